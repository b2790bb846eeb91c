import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readAuthorisations } from '../../audit/authorisations.ts';
import { madeEngine, passphrase, tourniquet } from './harness.ts';

let engine: Awaited<ReturnType<typeof madeEngine>>;
beforeAll(async () => {
  engine = await madeEngine();
  writeFileSync(join(engine.folder, '..', 'pass'), `${passphrase}\n`, { mode: 0o600 });
}, 30_000);
afterAll(() => engine?.remove());

const run = (...argv: string[]) =>
  tourniquet(['authorise', ...argv], {
    cwd: engine.folder,
    environment: { TOURNIQUET_PASSPHRASE_FILE: join(engine.folder, '..', 'pass') },
  });
const draft = ['tokens.yaml', '--kind', 'github.token', '--per-hour', '7', '--reason', 'better than a stranger in the house'];
const inForce = () => readAuthorisations(join(engine.folder, 'trust.yaml'));

describe('a standing authorisation', () => {
  it('is signed by one person after the other, and in force only when two have', { timeout: 60_000 }, async () => {
    expect(await run(...draft, '--as', 'carol')).toMatchObject({ code: 4, err: expect.stringContaining('(trust.no-leave)') });
    expect(existsSync(join(engine.folder, 'tokens.yaml'))).toBe(false);
    expect(await run(...draft, '--as', 'alice')).toMatchObject({ code: 0, out: expect.stringContaining('signed by 1 of 2') });
    expect(await run('tokens.yaml', '--publish')).toMatchObject({ code: 4, err: expect.stringContaining('signed by 1 of 2') });
    expect(await run('tokens.yaml', '--as', 'alice')).toMatchObject({ code: 0, out: expect.stringContaining('signed by 1 of 2') });
    expect(inForce()).toEqual([]);
    expect(await run('tokens.yaml', '--as', 'bob')).toMatchObject({ code: 0, out: expect.stringContaining('--publish') });
    expect(await run('tokens.yaml', '--publish')).toMatchObject({ code: 0, out: expect.stringContaining('7 an hour') });
    expect(inForce().map((each) => each.authorisation.kinds)).toEqual([['github.token']]);
    const shown = JSON.parse((await run('--json')).out);
    expect(shown).toMatchObject([{ signers: ['alice', 'bob'], perHour: 7, cascadeMs: 600_000 }]);
    expect(shown[0].trouble).toBeUndefined();
  });

  it('changed in its file gives no leave, and says why; withdrawn it is gone', { timeout: 60_000 }, async () => {
    const file = join(engine.folder, 'standing.yaml');
    writeFileSync(file, readFileSync(file, 'utf8').replace('perHour: 7', 'perHour: 700'));
    const shown = await run();
    expect(shown.out).toContain('It gives no leave');
    const id = inForce()[0]?.authorisation.id ?? '';
    expect(await run('--withdraw', id)).toMatchObject({ code: 0 });
    expect(inForce()).toEqual([]);
    expect((await run()).out).toContain('always asked about');
  });
});
