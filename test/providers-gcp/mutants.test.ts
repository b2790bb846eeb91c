import { expect, it } from 'vitest';
import { codeOf } from '../../domain/errors.ts';
import { yes } from '../../domain/observation.ts';
import type { Action, Connection } from '../../providers/contract.ts';
import { describeMutants } from '../conformance/planted.ts';
import { harnesses } from './harnesses.ts';
import { mutants } from './mutants.ts';
import { type Practice, practice, timing } from './practice.ts';
import { keyRef, lookAt, stepOf } from './steps.ts';

describeMutants(mutants, harnesses);

/** A trap of time: what is played, and what of the thief's still works afterwards although the engine says that it does not. */
interface Trap {
  readonly name: string;
  readonly open: () => Promise<Practice>;
  readonly settings?: Readonly<Record<string, unknown>>;
  play(world: Practice, connection: Connection): Promise<readonly string[]>;
  readonly mutant: { readonly name: string; make(right: Connection, world: Practice): Connection };
}

const minute = 60_000;
const swap = (right: Connection, name: string, change: (action: Action) => Partial<Omit<Action, 'manifest'>>): Connection => {
  const action = right.actions[name] as Action;
  return { ...right, actions: { ...right.actions, [name]: { ...action, ...change(action) } } };
};
const unlessRefused = async (run: () => Promise<unknown>): Promise<void> => {
  try {
    await run();
  } catch (error) {
    if (codeOf(error) !== 'provider.conflict') throw error;
  }
};

const traps: readonly Trap[] = [
  {
    name: 'trap 9: an account is given back while a token lives',
    open: () => practice(),
    async play(world, connection) {
      const email = await world.makeAccount('ci-deployer');
      await world.grant(email, 'roles/viewer');
      const file = await world.makeKey(email);
      const token = await world.alive(file);
      const target = { account: world.project, serviceAccount: email };
      await stepOf(connection, 'disable-key', { ...target, keyId: file.private_key_id ?? '' }).play();
      await stepOf(connection, 'disable-service-account', target).play();
      await world.control.advance(10 * minute);
      const lift = stepOf(connection, 'enable-service-account', target);
      const before = await lift.capture();
      await unlessRefused(() => lift.apply(before));
      await world.control.advance(timing.propagationMs + 50);
      return (await world.lists(token)) ? ['the token from before'] : [];
    },
    mutant: {
      name: 'it is enabled as soon as its keys are off',
      make: (right, world) =>
        swap(right, 'enable-service-account', () => ({
          apply: async (target) => {
            await world.admin('POST', `${world.account(target.serviceAccount ?? '')}:enable`, {});
            return { outcome: 'changed', acceptedAt: new Date().toISOString(), requestIds: [] };
          },
        })),
    },
  },
  {
    name: 'trap 10: an account is impersonated where no log shows it',
    open: () => practice(),
    async play(world, connection) {
      const email = await world.makeAccount('ci-deployer');
      const file = await world.makeKey(email);
      const other = await world.makeAccount('payments');
      await world.grant(other, 'roles/viewer');
      await world.grant(email, 'roles/iam.serviceAccountTokenCreator', other);
      const token = await world.alive(file);
      const scope = ['https://www.googleapis.com/auth/cloud-platform'];
      const said = await world.call(token, 'POST', `/v1/projects/-/serviceAccounts/${other}:generateAccessToken`, { scope });
      const { finding } = await connection.look(lookAt(keyRef(file)));
      for (const node of finding.graph.nodes.filter(({ id }) => finding.descendants.includes(id))) {
        const serviceAccount = node.credential?.principal?.replace('serviceAccount:', '') ?? '';
        await stepOf(connection, 'disable-service-account', { account: world.project, serviceAccount }).play();
      }
      return (await world.lists(String(said.body.accessToken))) ? ['the token of the other account'] : [];
    },
    mutant: {
      name: 'what no log shows has not happened',
      make: (right) => ({
        ...right,
        async look(on) {
          const looked = await right.look(on);
          const possible = new Set(
            looked.finding.graph.nodes.filter((node) => node.provenance.confidence === 'suspected').map((node) => node.id),
          );
          return { ...looked, finding: { ...looked.finding, descendants: looked.finding.descendants.filter((id) => !possible.has(id)) } };
        },
      }),
    },
  },
  {
    name: 'trap 11: an HMAC key is deleted before its deactivation has gone round',
    open: () => practice({ hmacPropagationMs: 3 * minute }),
    settings: { hmacPropagationMs: 3 * minute },
    async play(world, connection) {
      const email = await world.makeAccount('exporter');
      await world.grant(email, 'roles/viewer');
      const key = await world.makeHmac(email);
      await world.control.advance(4 * minute);
      const target = { account: world.project, accessId: key.accessId };
      const off = stepOf(connection, 'deactivate-hmac-key', target);
      await off.apply(await off.capture());
      await world.control.advance(minute);
      const gone = stepOf(connection, 'delete-hmac-key', target, { sleep: (ms) => world.control.advance(ms) });
      const before = await gone.capture();
      await gone.apply(before);
      const { observation } = await gone.probe(before);
      return observation.state === 'yes' && (await world.listsWithHmac(key)) ? ['the HMAC key that is said to be gone'] : [];
    },
    mutant: {
      name: 'it deletes at once',
      make: (right, world) =>
        swap(right, 'delete-hmac-key', () => ({
          apply: async (target) => {
            await world.admin('DELETE', `/storage/v1/projects/${world.project}/hmacKeys/${target.accessId}`);
            return { outcome: 'changed', acceptedAt: new Date().toISOString(), requestIds: [] };
          },
        })),
    },
  },
  {
    name: 'a deleted API key lingers',
    open: () => practice(),
    settings: { apiKeyLingerMs: 30 * minute },
    async play(world, connection) {
      const { uid, text } = await world.makeApiKey();
      const step = stepOf(connection, 'delete-api-key', { account: world.project, key: uid });
      const before = await step.capture();
      await step.apply(before);
      const survivors: string[] = [];
      for (const _ of [5, 10, 15, 20, 25, 30]) {
        const { observation } = await step.probe(before);
        if (observation.state === 'yes' && (await world.listsWithApiKey(text))) survivors.push('the API key that is said to be dead');
        await world.control.advance(5 * minute);
      }
      await world.control.advance(minute);
      expect((await step.probe(before)).observation.state, 'half an hour later').toBe('yes');
      expect(await world.listsWithApiKey(text)).toBe(false);
      return survivors;
    },
    mutant: {
      name: 'it is dead when it is deleted',
      make: (right, world) =>
        swap(right, 'delete-api-key', () => ({
          probe: async () => ({
            observation: yes(new Date(await world.now()).toISOString(), 'administrator', 'it is deleted'),
            requestIds: [],
          }),
        })),
    },
  },
];

it.each(traps.map((trap) => [trap.name, trap] as const))(
  '%s: nothing survives the engine, and with the defect planted something does',
  async (_name, trap) => {
    for (const planted of [false, true]) {
      const world = await trap.open();
      try {
        const right = await world.connect(undefined, trap.settings);
        const survivors = await trap.play(world, planted ? trap.mutant.make(right, world) : right);
        if (planted) expect(survivors.length, `nobody noticed that ${trap.mutant.name}`).toBeGreaterThan(0);
        else expect(survivors).toEqual([]);
      } finally {
        await world.close();
      }
    }
  },
);
