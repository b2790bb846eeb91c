import { fault } from '../../domain/errors.ts';
import type { ActionManifest } from '../../domain/manifest.ts';
import { unknown, yes } from '../../domain/observation.ts';
import type { AccountConfig, Action, Applied, Connection, Look, Looked, Probed, StepContext } from '../contract.ts';
import { manifest } from './manifest.ts';

/** Connects with nothing: no system is reached, no credential is needed, and no clock but ours is at hand. */
export async function connect(config: AccountConfig): Promise<Connection> {
  return {
    provider: 'manual',
    account: config.account,
    check: async () => [{ what: 'by hand', observation: yes(new Date().toISOString(), 'engine', 'nothing is needed') }],
    look: async (look) => lookAt(config.account, look),
    actions: Object.fromEntries(manifest.actions.map((action) => [action.name, attested(action)])),
    close: async () => undefined,
  };
}

function lookAt(account: string, look: Look): Looked {
  const at = new Date().toISOString();
  const because = `no provider handles ${look.credential.kind}: only a person can tell`;
  const open = unknown(at, 'engine', because);
  return {
    finding: {
      provider: 'manual',
      account,
      providerTime: at,
      ours: open,
      canary: false,
      live: open,
      possession: open,
      privilege: 'unknown',
      graph: { nodes: [], edges: [] },
      descendants: [],
      misuse: open,
      sessions: { maxLifeSeconds: 0 },
      logs: [],
      secretsRead: [],
      seen: [],
      swept: open,
      requestIds: [],
    },
    befores: {},
    evidence: {},
  };
}

/**
 * An action that is done when somebody has signed that it is. Whether the gate is satisfied has been judged before this is called; what is left to do here is to
 * say who attested. There is no revert: what a person did, a person undoes.
 */
function attested(action: ActionManifest): Action {
  return {
    manifest: action,
    capture: async () => ({}),

    async apply(_target, _before, context): Promise<Applied> {
      const last = lastOf(context);
      // A gate that went by silence satisfies a warrant, but silence has attested nothing.
      if (last === undefined)
        throw fault('warrant.gate-unsatisfied', { step: context.step, because: 'nobody has attested that it is done' });
      return {
        outcome: 'changed',
        acceptedAt: last.at,
        requestIds: [],
        facts: { attestedBy: (context.attested ?? []).map((one) => one.by) },
      };
    },

    async probe(_target, _before, context): Promise<Probed> {
      const last = lastOf(context);
      if (last === undefined) {
        return { observation: unknown(new Date().toISOString(), 'engine', 'nobody has attested that it is done'), requestIds: [] };
      }
      const names = [...new Set((context.attested ?? []).map((one) => one.by))].join(', ');
      return { observation: yes(last.at, 'administrator', `attested by ${names}`), effectiveAt: last.at, requestIds: [] };
    },
  };
}

/** The attestation that came last: with a quorum, the one that made it whole. */
function lastOf(context: StepContext): { readonly by: string; readonly at: string } | undefined {
  return [...(context.attested ?? [])].sort((a, b) => Date.parse(a.at) - Date.parse(b.at)).at(-1);
}
