import { ListSecretsCommand } from '@aws-sdk/client-secrets-manager';
import { GetSessionTokenCommand } from '@aws-sdk/client-sts';
import { afterAll, expect, it } from 'vitest';
import { everything, outcomeOf, type Pair, type Practice, pairOf, practice, until } from './practice.ts';
import { stepOf } from './steps.ts';

/*
 * A leaked key is contained and replaced, once behind a fence and once behind a deny of everything, while its consumer calls on from a network that it declares and the thief from elsewhere. What each of
 * them got is counted; how long the consumer stood still is printed, and nothing is asserted of time.
 */

const user = 'ci-deployer';
const [here, there] = ['127.0.0.21', '127.0.0.66'];
const params = { networks: ['198.51.100.0/24'], vpcs: [] };
const lists = (world: Practice, address: string, pair: Pair) =>
  outcomeOf(() => world.from(address, pair).secrets.send(new ListSecretsCommand({})));

const told: string[] = [];
afterAll(() => {
  process.stdout.write(
    `\n| contained by | calls of the consumer | of them refused | outage | the thief after it |\n|---|---|---|---|---|\n${told.join('\n')}\n`,
  );
});

it.each(['fence-principal', 'deny-principal'] as const)(
  'a consumer in a declared network, and a thief elsewhere: %s',
  { timeout: 60_000 },
  async (name) => {
    const world = await practice();
    try {
      const leaked = await world.makeUser(user, everything);
      await world.control.setOrigin(here, { ip: '198.51.100.7' });
      await world.control.setOrigin(there, { ip: '203.0.113.66' });
      await until(
        'the key is let through',
        () => lists(world, there, leaked),
        (said) => said === 'ok',
      );
      const session = pairOf((await world.from(there, leaked).sts.send(new GetSessionTokenCommand({}))).Credentials);
      const connection = await world.connect();
      const target = { account: world.account, user };
      const act = async (action: string, more: Record<string, string> = {}, given: Record<string, unknown> = {}) => {
        const step = stepOf(connection, action, { ...target, ...more }, { params: given });
        const before = await step.capture();
        const { made } = await step.apply(before);
        const probed = await step.probe(before, made ? { mint: made } : undefined);
        return { step, made, probed };
      };

      // What the consumer reads from its store, and how each of its calls went.
      let current = leaked;
      let going = true;
      let refused = 0;
      let calls = 0;
      let outage = 0;
      const consumer = (async () => {
        let failing: number | undefined;
        while (going) {
          const started = performance.now();
          const said = await lists(world, here, current);
          calls++;
          if (said === 'ok') {
            if (failing !== undefined) outage += performance.now() - failing;
            failing = undefined;
          } else {
            refused++;
            failing ??= started;
          }
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
      })();

      const { accessKeyId } = leaked;
      const fenced = name === 'fence-principal';
      const contained = await act(name, {}, fenced ? params : {});
      expect(contained.probed.observation.state).toBe('yes');
      if (!fenced) await act('disable-key', { accessKeyId });
      for (const pair of [leaked, session]) expect(await lists(world, there, pair)).not.toBe('ok');

      const { step, made } = await act('mint-key', {}, { sealTo: { provider: 'vault', account: 'main' } });
      const sealed = await step.context().sealing.open(made?.sealed as `sha256:${string}`, made?.keyId ?? '', `mint:${made?.accessKeyId}`);
      const fresh = JSON.parse(sealed.reveal()) as Pair;
      if (fenced)
        await until(
          'the new key works behind the fence',
          () => lists(world, here, fresh),
          (said) => said === 'ok',
        );
      current = fresh;
      const off = await act('disable-key', { accessKeyId });
      await act('cut-off-sessions', {}, { keys: [accessKeyId], cutoffAt: [off.probed.effectiveAt ?? new Date().toISOString()] });
      await act(fenced ? 'lift-fence' : 'lift-deny', {}, { keys: [accessKeyId] });
      await until(
        'the consumer works',
        () => lists(world, here, fresh),
        (said) => said === 'ok',
      );
      const before = calls;
      await until('it has called again', async () => calls > before + 2);
      going = false;
      await consumer;

      const thief = [await lists(world, there, leaked), await lists(world, there, session)];
      expect(thief).toEqual(['InvalidClientTokenId', 'AccessDeniedException']);
      if (fenced) expect(refused, 'calls of the consumer that were refused').toBe(0);
      else expect(refused).toBeGreaterThan(0);
      told.push(`| ${name} | ${calls} | ${refused} | ${Math.round(outage)} ms | ${thief.join(', ')} |`);
    } finally {
      await world.close();
    }
  },
);
