// Run by connect.test.ts in a process of its own, with DEBUG and VAULT_* set to do harm: stages a secret and says how that ended.
import { Secret } from '../../domain/secret.ts';
import type { Action } from '../../providers/contract.ts';
import { provider } from '../../providers/vault/index.ts';
import { sealings } from './bench.ts';

const { address, token, path, secret } = JSON.parse(process.env.CHATTER ?? '') as Record<'address' | 'token' | 'path' | 'secret', string>;
const connection = await provider.connect({
  provider: 'vault',
  account: 'lab',
  mode: 'act',
  settings: {},
  credentials: { address: new Secret(address), token: new Secret(token) },
});
const sealing = sealings();
const sealed = await sealing.seal(
  new Secret(JSON.stringify({ accessKeyId: 'AKIA1', secretAccessKey: secret })),
  { provider: 'vault', account: 'lab' },
  'mint:AKIA1',
);
const action = connection.actions['stage-secret'] as Action;
const store = { id: 's', provider: 'vault', account: 'lab', path, fields: { accessKeyId: 'a', secretAccessKey: 'b' }, principal: 'p' };
const context = {
  incident: 'leak/x',
  run: 'r',
  step: 's',
  signal: new AbortController().signal,
  heartbeat: () => undefined,
  timing: { propagationMs: 0, logLagMs: 0, marginMs: 0, pollMs: 10, giveUpMs: 100 },
  sealing,
  params: { mint: 'm' },
  made: { m: { accessKeyId: 'AKIA1', sealed: sealed.hash, keyId: sealed.keyId } },
  inventory: { stores: [store], consumers: [] },
  sleep: async () => undefined,
};
const target = { account: 'lab', path };
const applied = await action.apply(target, await action.capture(target, context), context);
process.stdout.write(`ended ${applied.outcome}\n`);
