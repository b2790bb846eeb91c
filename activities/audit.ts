import { readFileSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { authorisationPath, BundleFile, bytesOf, editionPath, packBundle, policyPath, recordPath } from '../audit/bundle.ts';
import { editionText, trustText as trustTextOf } from '../audit/editions.ts';
import { decodeHistory, encodeHistory, historyJson, readHistory, recordsNamed } from '../audit/history.ts';
import { openRecord } from '../audit/records.ts';
import { makeReport, reportHtml, reportJson } from '../audit/report.ts';
import { predicateOf, sealBundle } from '../audit/statement.ts';
import { parsePeople, parseTrust, peopleText as peopleTextOf } from '../audit/trust.ts';
import { canonicalJson, type Hash } from '../domain/canonical.ts';
import { fault } from '../domain/errors.ts';
import { type ExportInput, type ExportResult, type IncidentResult, QueryName } from '../domain/messages.ts';
import type { ChainEntry } from '../domain/record.ts';
import type { AnyRecord } from '../domain/record-bodies.ts';
import type { JudgeDeps } from './deps.ts';
import { guarded } from './failure.ts';
import { Lanes } from './lane.ts';
import { type Pulse, withPulse } from './pulse.ts';

/**
 * Writes an incident's bundle into the store: history in clear, records, policies, trust as used, code, report, and over all of it the statement signed by the judge. With `untilEnded` it waits for the run to end
 * first; otherwise the bundle is of the run as it stands and says so.
 */
export function createExportBundle(deps: JudgeDeps) {
  const exports = new Lanes();
  return async function exportBundle(input: ExportInput): Promise<ExportResult> {
    return await guarded(() =>
      withPulse(async (pulse) => {
        const handle = deps.client.workflow.getHandle(input.incident, input.run);
        let ended = false;
        for (let n = 0; ; n++) {
          ended = (await handle.describe()).status.name !== 'RUNNING';
          if (ended || !input.untilEnded) break;
          if (n > 600) throw fault('engine.unavailable', { incident: input.incident, problem: 'the run has not ended' });
          await pulse.sleep(200);
        }
        // One at a time: writing one is work for the processor, and a judge that wrote many at once would answer nobody meanwhile.
        return await exports.run('export', pulse.signal, async () => {
          let history = await decodeHistory(await handle.fetchHistory(), deps.codecs);
          let facts = readHistory(history);
          // A run that was terminated has no result; asked for its chain it answers from its history.
          let chain: readonly ChainEntry[] = [];
          if (facts.end === 'completed') chain = (facts.result as IncidentResult | undefined)?.chain ?? [];
          else if (ended) chain = await handle.query<readonly ChainEntry[]>(QueryName.CHAIN);
          for (let n = 0; !ended; n++) {
            // A run that goes on meanwhile: chain and history are taken until both are of the same moment.
            chain = await handle.query<readonly ChainEntry[]>(QueryName.CHAIN);
            history = await decodeHistory(await handle.fetchHistory(), deps.codecs);
            facts = readHistory(history);
            if (facts.end) throw fault('engine.unavailable', { incident: input.incident, problem: 'the run ended meanwhile' });
            const named = new Set(facts.activities.flatMap(recordsNamed));
            if (named.size === chain.length && chain.every((entry) => named.has(entry.record))) break;
            if (n > 50) throw fault('engine.unavailable', { incident: input.incident, problem: 'the run does not stand still' });
            await pulse.sleep(100);
          }

          const files = new Map<string, Uint8Array>();
          const records = new Map<Hash, AnyRecord>();
          const policies = new Set<Hash>();
          const authorisations = new Set<Hash>();
          for (const entry of chain) {
            const envelope = await deps.records.envelope(entry.record);
            const record = openRecord(envelope, { trust: deps.trust(), engine: deps.engine, hash: entry.record }) as AnyRecord;
            records.set(entry.record, record);
            files.set(recordPath(entry.record), bytesOf(canonicalJson(envelope)));
            await breath(pulse);
            if (record.type === 'verdict') policies.add(record.body.policy);
            if (record.type === 'verdict' && record.body.authorised) authorisations.add(record.body.authorised.authorisation);
          }
          for (const hash of policies) {
            const text = await deps.store.read(policyName(hash));
            if (!text) throw fault('record.missing', { policy: hash });
            files.set(policyPath(hash), text);
          }
          for (const hash of authorisations) {
            const text = await deps.store.read(authorisationName(hash));
            if (!text) throw fault('record.missing', { authorisation: hash });
            files.set(authorisationPath(hash), text);
          }
          await breath(pulse);
          files.set(BundleFile.HISTORY, encodeHistory(history));
          files.set(BundleFile.HISTORY_JSON, bytesOf(historyJson(history)));
          files.set(BundleFile.CHAIN, bytesOf(`${canonicalJson(chain)}\n`));
          const { trust: trustFile, people: peopleFile } = deps.configuration;
          // What is in force, and not what lies in the files: those may be refused ones.
          const editions = deps.editions?.() ?? [];
          const last = editions.at(-1);
          const [trustText, peopleText] = last
            ? [trustTextOf(last), peopleTextOf(last.people)]
            : [readFileSync(trustFile, 'utf8'), readFileSync(peopleFile, 'utf8')];
          for (const edition of editions.slice(0, -1)) files.set(editionPath(edition.trust.serial), bytesOf(editionText(edition)));
          files.set(BundleFile.TRUST, bytesOf(trustText));
          files.set(BundleFile.PEOPLE, bytesOf(peopleText));
          files.set(BundleFile.CODE, bytesOf(deps.workflowCode.code));
          await breath(pulse);
          const report = makeReport({ engine: deps.engine, chain, records, facts });
          files.set(BundleFile.REPORT, bytesOf(reportJson(report)));
          files.set(BundleFile.REPORT_HTML, bytesOf(reportHtml(report)));
          const predicate = predicateOf({
            report,
            chain,
            events: facts.events,
            ended,
            code: deps.workflowCode.hash,
            trust: parseTrust(trustText, trustFile).trust,
            people: parsePeople(peopleText, peopleFile),
            policies,
            register: await deps.records.register.head(),
            madeAt: deps.clock().toISOString(),
          });
          const sealed = sealBundle(files, predicate, deps.signStatement);
          await breath(pulse);
          const bundle = await deps.store.put(packBundle(sealed));
          return { bundle, events: facts.events };
        });
      }),
    );
  };
}

/** Lets others have the processor for a moment, the heartbeat among them, and ends an attempt that was given up. */
async function breath(pulse: Pulse): Promise<void> {
  await turn();
  pulse.signal.throwIfAborted();
}

/** Under which name a standing authorisation is kept that was the leave for something, by the hash that verdicts name. */
export function authorisationName(hash: Hash): string {
  return `authorisations/${hash}`;
}

/** Under which name a policy's text is kept, by the hash that verdicts name. */
export function policyName(hash: Hash): string {
  return `policies/${hash}`;
}
