import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { openDirectoryStore } from '../audit/store.ts';
import { Holders } from './holders.ts';

const control = { provider: 'aws', account: '1', principal: 'arn:aws:iam::1:user/ci', action: 'deny-principal' };

function fresh(): Holders {
  const folder = mkdtempSync(join(tmpdir(), 'tourniquet-holders-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return new Holders(openDirectoryStore(folder, new Uint8Array(32)));
}

it('whoever took hold and has not let go holds, however often each was said', async () => {
  const holders = fresh();
  for (const incident of ['leak/a', 'leak/b', 'leak/a']) await holders.take(control, incident);
  expect(await holders.others(control, 'leak/a')).toEqual(['leak/b']);
  expect(await holders.others(control, 'leak/c')).toEqual(['leak/a', 'leak/b']);
  await holders.letGo(control, 'leak/a');
  await holders.letGo(control, 'leak/a');
  expect(await holders.others(control, 'leak/c')).toEqual(['leak/b']);
  await holders.take(control, 'leak/a');
  expect(await holders.others(control, 'leak/b')).toEqual(['leak/a']);
});

it('holds of another principal, action or account are none of this one', async () => {
  const holders = fresh();
  await holders.take({ ...control, principal: 'arn:aws:iam::1:user/other' }, 'leak/a');
  await holders.take({ ...control, action: 'cut-off-sessions' }, 'leak/a');
  await holders.take({ ...control, account: '2' }, 'leak/a');
  await holders.letGo(control, 'leak/a');
  expect(await holders.others(control, 'leak/b')).toEqual([]);
});
