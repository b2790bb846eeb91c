import { ListSecretsCommand } from '@aws-sdk/client-secrets-manager';
import { GetScopedCredentialsCommand, GetSessionTokenCommand } from '@aws-sdk/client-sts';
import { expect, it } from 'vitest';
import { outcomeOf, type Pair, pairOf, practice, timing, until } from './practice.ts';
import { lookAt, stepOf } from './steps.ts';

const user = 'ci-deployer';

/** AWS does not say whether credentials that are scoped down from a session bear its issue time. The engine has to be right in either case. */
it.each(['own', 'parent'] as const)(
  'credentials that a thief scopes down after the cut-off are found by the sweep, and a second stamp reaches them: the issue time read as %s',
  { timeout: 40_000 },
  async (scopedIssueTime) => {
    const world = await practice();
    try {
      await world.control.setTiming({ scopedIssueTime });
      const leaked = await world.makeUser(user);
      const lists = (pair: Pair) => outcomeOf(() => world.as(pair).secrets.send(new ListSecretsCommand({})));
      await until(
        'the leaked key works',
        () => lists(leaked),
        (said) => said === 'ok',
      );
      const session = pairOf((await world.as(leaked).sts.send(new GetSessionTokenCommand({}))).Credentials);
      const connection = await world.connect();
      const target = { account: world.account, user };
      const { accessKeyId } = leaked;
      const disable = stepOf(connection, 'disable-key', { ...target, accessKeyId });
      const off = await disable.capture();
      await disable.apply(off);
      const { effectiveAt } = await disable.probe(off);
      const stamp = async (cutoffAt: unknown) => {
        const cut = stepOf(connection, 'cut-off-sessions', target, { params: { keys: [accessKeyId], cutoffAt: [cutoffAt] } });
        const before = await cut.capture();
        const { residual } = await cut.apply(before);
        expect((await cut.probe(before)).observation.state).toBe('yes');
        return Date.parse(residual?.stamp ?? '');
      };
      const first = await stamp(effectiveAt);
      expect(await lists(session)).toBe('AccessDeniedException');
      // The session is denied everything, and yet it is scoped down: nothing says that this takes a permission.
      await until('the stamp has passed', async () => Date.now() > first + 1_000);
      const scope = new GetScopedCredentialsCommand({ DurationSeconds: 3_600 });
      const scoped = pairOf((await world.as(session).sts.send(scope)).Credentials);
      expect(await lists(scoped)).toBe(scopedIssueTime === 'own' ? 'ok' : 'AccessDeniedException');
      const containedAt = new Date().toISOString();
      const { finding } = await connection.look(lookAt(accessKeyId, { depth: 'full', containedAt }));
      const node = finding.graph.nodes.find((each) => each.credential?.locator.accessKeyId === scoped.accessKeyId);
      expect(node?.credential).toMatchObject({
        derivedVia: 'GetScopedCredentials',
        principal: `arn:aws:iam::${world.account}:user/${user}`,
        live: { state: 'yes' },
      });
      expect(finding.descendants).toContain(node?.id);
      expect(await stamp(containedAt)).toBeGreaterThan(first);
      await new Promise((resolve) => setTimeout(resolve, timing.propagationMs));
      expect(await lists(scoped)).toBe('AccessDeniedException');
    } finally {
      await world.close();
    }
  },
);
