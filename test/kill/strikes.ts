import { setTimeout as wait } from 'node:timers/promises';
import type { PartName, StackProxies } from '../../lab/stack.ts';
import { type KillWorld, pace } from './world.ts';

/** How an actor is struck. `kill`: SIGKILL, and started again. `pause`: SIGSTOP for longer than a heartbeat may be late, then SIGCONT. `cut`: its connections are cut, and for a moment there are no new ones. */
export type Manner = 'kill' | 'pause' | 'cut';

export interface Strike {
  /** Of the row. */
  readonly name: string;
  readonly manner: Manner;
  readonly actors: readonly PartName[];
}

const strike = (manner: Manner, ...actors: readonly PartName[]): Strike => ({ name: `${manner} ${actors.join(' + ')}`, manner, actors });

/** Every actor alone, in every manner that it can be struck in, and the pairs whose halves keep each other's promises. */
export const strikes: readonly Strike[] = [
  strike('kill', 'judge'),
  strike('kill', 'aws-worker'),
  strike('kill', 'vault-worker'),
  strike('kill', 'temporal'),
  strike('kill', 'openbao'),
  strike('kill', 'simulator'),
  strike('pause', 'judge'),
  strike('pause', 'aws-worker'),
  strike('pause', 'vault-worker'),
  strike('pause', 'temporal'),
  strike('pause', 'openbao'),
  strike('pause', 'simulator'),
  strike('cut', 'temporal'),
  strike('cut', 'openbao'),
  strike('cut', 'simulator'),
  strike('kill', 'judge', 'temporal'),
  strike('kill', 'judge', 'aws-worker'),
  strike('kill', 'aws-worker', 'temporal'),
  strike('kill', 'aws-worker', 'simulator'),
  strike('kill', 'vault-worker', 'openbao'),
  strike('kill', 'temporal', 'openbao'),
];

/** Servers come back before the workers that call them, as a machine's service files would have it. */
const order: readonly PartName[] = ['temporal', 'openbao', 'simulator', 'judge', 'aws-worker', 'vault-worker'];

/**
 * Strikes, calls `meanwhile` while what was struck is away, and brings it back. What a killed server had not answered is lost with it; the connections of its clients
 * break as they would without a proxy between.
 */
export async function carryOut({ world, proxies }: KillWorld, { manner, actors }: Strike, meanwhile: () => Promise<void>): Promise<void> {
  const { stack } = world;
  switch (manner) {
    case 'kill': {
      await Promise.all(actors.map((name) => stack.part(name).kill('SIGKILL')));
      for (const name of actors) if (isProxied(name)) proxies[name].cut();
      await meanwhile();
      const servers = order.filter((name) => actors.includes(name) && isProxied(name));
      const workers = order.filter((name) => actors.includes(name) && !isProxied(name));
      await Promise.all(servers.map((name) => stack.part(name).restart()));
      await Promise.all(workers.map((name) => stack.part(name).restart()));
      return;
    }
    case 'pause':
      for (const name of actors) stack.part(name).pause();
      try {
        await meanwhile();
        await wait(1.5 * pace.heartbeatMs);
      } finally {
        for (const name of actors) stack.part(name).resume();
      }
      return;
    case 'cut':
      for (const name of actors) if (isProxied(name)) proxies[name].block(true);
      try {
        await meanwhile();
        await wait(500);
      } finally {
        for (const name of actors) if (isProxied(name)) proxies[name].block(false);
      }
  }
}

const isProxied = (name: PartName): name is keyof StackProxies => name === 'temporal' || name === 'openbao' || name === 'simulator';
