import type { TourniquetClient } from '../client/index.ts';
import type { DecisionRuling, DecisionVerdict, SignedDecision } from '../domain/decision.ts';
import { registry } from '../domain/errors.ts';
import { type Call, type CommandOption, text } from './command.ts';
import { personKey, personOf, type Setting, withClient } from './engine.ts';
import { shortId } from './words.ts';

/** Options that every command has which signs a decision. */
export const decisionOptions: readonly CommandOption[] = [
  { flags: '--reason <words>', summary: 'why; stands in the record' },
  { flags: '--as <person>', summary: 'who decides, by the id in people.yaml' },
  { flags: '--key <file>', summary: 'the key file of that person' },
  { flags: '--keys <folder>', summary: 'the folder with the keys; by default keys beside tourniquet.yaml' },
  { flags: '--passphrase-file <file>', summary: 'a file with the passphrase of that key' },
];

/** Signs what a person says of an incident as it stands now. Where no hash is given, the present plan is meant, and that is said. */
export async function signFor(
  call: Call,
  client: TourniquetClient,
  setting: Setting,
  verdict: DecisionVerdict,
): Promise<{ readonly id: string; readonly signed: SignedDecision }> {
  const { decisionFor, signDecision } = await import('../client/decision.ts');
  const { signerFrom } = await import('../audit/signing.ts');
  const id = await client.resolveId(call.arguments[0] ?? '');
  const status = await client.incident(id).status();
  const named = text(call, 'plan');
  if (named === undefined && status.planHash !== undefined) call.terminal.say(`deciding on the present plan, ${status.planHash}`);
  const by = await personOf(call);
  const reason = text(call, 'reason') ?? (await call.terminal.ask('Reason: ', 'give --reason WORDS'));
  const gate = text(call, 'gate');
  const until = text(call, 'until');
  // All that can be known to be wrong is said before anybody types a passphrase.
  const decision = decisionFor(status, {
    verdict,
    by,
    reason,
    planHash: named ?? status.planHash ?? '',
    ...(gate === undefined ? {} : { gate }),
    ...(until === undefined ? {} : { until }),
  });
  return { id, signed: signDecision(decision, signerFrom(await personKey(call, setting, by))) };
}

/** Signs, sends, and tells the ruling: 0 where it holds, 8 where it counts and more are needed, and the code of the refusal otherwise. */
export function decide(call: Call, verdict: DecisionVerdict): Promise<number> {
  return withClient(call, async (client, setting) => {
    const { id, signed } = await signFor(call, client, setting, verdict);
    const ruling = await client.incident(id).decide(signed);
    return tellRuling(call, id, ruling);
  });
}

export function tellRuling(call: Call, id: string, ruling: DecisionRuling): number {
  const { terminal } = call;
  if (!ruling.accepted) {
    const entry = registry[ruling.code ?? 'engine.unexpected'];
    terminal.answer(ruling, [
      `${terminal.paint('red', '✕')} refused: ${entry.title} (${ruling.code ?? 'engine.unexpected'})`,
      `  where: ${ruling.verdict} of ${ruling.gate} by ${ruling.by}`,
      `  why:   ${ruling.why}`,
      `  do:    ${entry.remedy}`,
      ...(ruling.record === undefined ? [] : [`  The refusal stands in the record as ${ruling.record}.`]),
    ]);
    return entry.exit;
  }
  const missing = ruling.missing ?? 0;
  terminal.answer(ruling, [
    `${terminal.paint('green', '✓')} ${ruling.verdict} of ${ruling.gate} by ${ruling.by} counts${missing > 0 ? `; ${missing} more needed` : ''}: ${ruling.why}`,
    `Next: tourniquet watch ${shortId(id)}`,
  ]);
  return missing > 0 ? 8 : 0;
}
