import { parentPort, workerData } from 'node:worker_threads';
import { type Search, search } from './search.ts';

const found = await search(workerData as Search);
parentPort?.postMessage(found);
