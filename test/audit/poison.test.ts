import { describe, expect, it } from 'vitest';
import { replayInChild } from '../../audit/replay.ts';
import { verifyBundle } from '../../audit/verify.ts';
import { manifests } from '../../providers/manifests.ts';
import { workflowCode } from '../../workers/bundle.ts';
import { play } from './engine.ts';

const half = '\ud83d';

describe('what has no canonical form', { timeout: 120_000 }, () => {
  it('is refused and recorded, be it a report, an approval or a rollback, and neither wedges the run nor breaks its bundle', async () => {
    const release = await workflowCode();
    const result = await play('acme/private', async (played) => {
      await played.until((now) => now.gates.some((gate) => gate.state === 'open'));
      const { credential } = await played.status();
      await played.signal('sighting', {
        report: {
          v: 1,
          id: `rpt_${'2'.padStart(26, '0')}`,
          format: 'manual',
          credential,
          origin: { where: 'chat' },
          reporter: `bob${half}`,
          seenAt: '2026-11-24T12:00:00.000Z',
          claims: {},
        },
      });
      await played.signal('approve', { x: half });
      await played.signal('rollback', { payloadType: half, payload: 'e30=', signatures: [{ keyid: half, sig: 's' }] });
      await played.until(
        (now) => now.refused.length >= 2 && now.timeline.some((line) => line.what.includes('could not be read and were refused')),
      );
      const ruled = await played.status();
      expect(ruled.refused.map((each) => each.code)).toEqual(['decision.malformed', 'decision.malformed']);
      // The run goes on: a real decision is still taken.
      expect(await played.decide('cleo', 'g-outage', 'approve')).toMatchObject({ code: 'decision.wrong-role' });
      const { files } = await played.export(false);
      return await verifyBundle(files, { trust: played.trust.trust, manifests, release, replay: replayInChild });
    });
    expect(result.claims.filter((claim) => !claim.ok)).toEqual([]);
  });
});
