import { type AccountConfig, type Connection, fault, no, unknown, yes } from 'tourniquet-engine/provider';
import { Acme } from './api.ts';
import { deleteToken } from './delete-token.ts';
import { look } from './descendants.ts';
import { suspendToken } from './suspend-token.ts';

/** Connects with one account of Acme's. Sends nothing. */
export async function connect(config: AccountConfig): Promise<Connection> {
  const { address } = config.settings;
  const key = config.credentials.key;
  if (typeof address !== 'string' || !URL.canParse(address)) throw fault('provider.invalid', { setting: 'address' });
  if (!key) throw fault('provider.invalid', { because: 'its credentials hold no key' });
  const acme = new Acme(config.account, address.replace(/\/$/, ''), key);
  return {
    provider: 'acme',
    account: config.account,
    async check() {
      const now = new Date().toISOString();
      try {
        const { at, requestId } = await acme.list();
        return [{ what: 'Acme answers, and lets us list tokens', observation: yes(at, 'administrator', `request ${requestId}`) }];
      } catch (error) {
        const denied = (error as { code?: string }).code === 'provider.denied';
        const observation = denied ? no(now, 'administrator', 'it refuses our key') : unknown(now, 'administrator', 'it does not answer');
        return [{ what: 'Acme answers, and lets us list tokens', observation, remedy: 'Give the key tokens.read and tokens.list.' }];
      }
    },
    look: (on) => look(acme, on),
    actions: { 'suspend-token': suspendToken(acme), 'delete-token': deleteToken(acme) },
    close: async () => undefined,
  };
}
