import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { openDirectoryStore } from '../audit/store.ts';
import { expectCodecKeys } from './codec-keys.ts';

const ring = (current: string, ...ids: string[]) => ({
  current,
  keys: Object.fromEntries(ids.map((id, index) => [id, new Uint8Array(32).fill(index)])),
});

it('a worker starts with every key that was ever used, and with no ring from which one is gone', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tourniquet-codec-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const store = openDirectoryStore(folder, new Uint8Array(32));
  await expectCodecKeys(store, ring('codec-a', 'codec-a'));
  await expectCodecKeys(store, ring('codec-B', 'codec-a', 'codec-B'));
  await expectCodecKeys(store, ring('codec-a', 'codec-a', 'codec-B'));
  await expect(expectCodecKeys(store, ring('codec-B', 'codec-B'))).rejects.toMatchObject({
    code: 'key.missing',
    context: expect.objectContaining({ key: 'codec-a' }),
  });
  await expect(expectCodecKeys(store, ring('codec-a', 'codec-a'))).rejects.toMatchObject({ code: 'key.missing' });
  await expect(expectCodecKeys(store, undefined)).resolves.toBeUndefined();
});
