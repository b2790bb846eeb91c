import { describeMutants } from '../conformance/planted.ts';
import { harnesses } from './harnesses.ts';
import { mutants } from './mutants.ts';

describeMutants(mutants, harnesses);
