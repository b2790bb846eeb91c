import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sodium from 'libsodium-wrappers';
import { expect, it } from 'vitest';
import { githubControl } from '../../lab/github/index.ts';
import type { GithubSimulatorReady } from '../../lab/github/main.ts';
import { until } from '../until.ts';
import { octokit, publicKey, statusOf } from './world.ts';

/** The whole of a leak by hand, with the stock client and a simulator that is a process of its own. */
it('a leak lives its cycle in Octokit’s hands: found in the log, its keys listed, revoked, seen refused, replaced where it was kept', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'github-'));
  const readyFile = join(folder, 'ready.json');
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ readyFile, propagationMs: 200, auditLagMs: 200 }));
  const child = spawn(process.execPath, ['--import', 'tsx', 'lab/github/main.ts', join(folder, 'config.json')], { stdio: 'inherit' });
  try {
    await until('the simulator is ready', async () => existsSync(readyFile));
    const sim = JSON.parse(readFileSync(readyFile, 'utf8')) as GithubSimulatorReady;
    const control = githubControl(sim.control);
    await control.addUser('ci-bot');
    await control.addUser('olga');
    await control.addOrg('acme', { members: { olga: 'admin', 'ci-bot': 'admin' } });
    await control.addRepository('acme', 'shop');
    const leaked = await control.mint({ form: 'classic', login: 'ci-bot', scopes: ['repo', 'workflow'] });
    const olga = octokit(
      sim,
      (await control.mint({ form: 'classic', login: 'olga', scopes: ['repo', 'admin:org', 'read:audit_log'] })).token,
    );
    const shop = { owner: 'acme', repo: 'shop' };

    // The thief makes a way back in.
    const thief = octokit(sim, leaked.token);
    await thief.request('POST /repos/{owner}/{repo}/keys', { ...shop, title: 'backup', key: publicKey(), read_only: false });

    // What was done with it, by the hash that anybody who has it can make.
    const hash = createHash('sha256').update(leaked.token).digest('base64');
    await control.advance(1000);
    const { data: events } = await olga.request('GET /orgs/{org}/audit-log', { org: 'acme', phrase: `hashed_token:"${hash}"` });
    expect(events).toMatchObject([{ action: 'public_key.create', actor: 'ci-bot', repo: 'acme/shop' }]);
    const before = await olga.request('GET /repos/{owner}/{repo}/keys', shop);
    expect(before.data.map((key) => key.title)).toEqual(['backup']);

    // Revoked by nobody; dead once it is refused, and the key with it.
    expect((await octokit(sim).request('POST /credentials/revoke', { credentials: [leaked.token] })).status).toBe(202);
    await until('the token is refused', async () => (await statusOf(() => thief.request('GET /user'))) === 401);
    expect((await olga.request('GET /repos/{owner}/{repo}/keys', shop)).data).toEqual([]);

    // A new one goes where the workflows get it; the run that is under way keeps the old one.
    await control.putSecret('acme', 'shop', 'BOT_TOKEN', leaked.token);
    const { jobId } = await control.startJob('acme', 'shop');
    const { data: key } = await olga.request('GET /repos/{owner}/{repo}/actions/secrets/public-key', shop);
    await sodium.ready;
    const fresh = await control.mint({ form: 'fine-grained', login: 'ci-bot', orgs: ['acme'] });
    const box = sodium.crypto_box_seal(fresh.token, Buffer.from(key.key, 'base64'));
    await olga.request('PUT /repos/{owner}/{repo}/actions/secrets/{secret_name}', {
      ...shop,
      secret_name: 'BOT_TOKEN',
      encrypted_value: Buffer.from(box).toString('base64'),
      key_id: key.key_id,
    });
    expect(await control.jobValue(jobId, 'BOT_TOKEN')).toBe(leaked.token);
    expect(await control.jobValue((await control.startJob('acme', 'shop')).jobId, 'BOT_TOKEN')).toBe(fresh.token);
  } finally {
    child.kill('SIGTERM');
    rmSync(folder, { recursive: true, force: true });
  }
}, 60_000);
