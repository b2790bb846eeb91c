import { codeOf, fault } from '../../domain/errors.ts';
import { type ActionManifest, actionOf } from '../../domain/manifest.ts';
import { no, unknown, yes } from '../../domain/observation.ts';
import type { Action, Applied, StepContext } from '../contract.ts';
import { type GithubAccount, leakedToken, tryToken } from './account.ts';
import { nobody } from './api.ts';
import { endOf, eventsWith } from './log.ts';
import { manifest } from './manifest.ts';
import { type TokenBefore, tokenBefore } from './standing.ts';

/**
 * Revokes a leaked token for good: an installation's by itself, any other by the call that is for whoever finds a token, which has to be made by nobody. That one says 202 whatever it is
 * sent, so that nothing is done until the token has been refused, or the log says that it ended.
 */
export function revokeToken(account: GithubAccount): Action<TokenBefore> {
  /** Whether the one active call with the token is allowed: by the account's settings, and by the step. */
  const mayTry = (context: StepContext): boolean => account.settings.activeProbe && context.params.activeProbe !== false;

  return {
    manifest: actionOf(manifest, 'revoke-token') as ActionManifest,

    async capture(target, context) {
      const { sha256 } = account.targetOf(target, 'sha256');
      account.refuseOwn(sha256);
      return await tokenBefore(account, account.step(context), sha256, () => context.heartbeat());
    },

    async apply(target, before, context) {
      const { sha256 } = account.targetOf(target, 'sha256');
      account.refuseOwn(sha256);
      const leaked = await leakedToken(context, sha256);
      if (leaked === undefined)
        throw fault('provider.invalid', {
          token: sha256,
          because: 'GitHub revokes a token by the token itself, and the step has none sealed',
        });
      const calls = account.step(context);
      context.signal.throwIfAborted();
      const gone = (words: string, requestIds: readonly string[], at: string): Applied => ({
        outcome: 'absent',
        acceptedAt: at,
        requestIds,
        facts: { ended: words },
      });
      if (mayTry(context)) {
        const tried = await tryToken(account, leaked.secret, leaked.token, context.signal);
        if (tried.answer === 'refused') return gone(tried.words, tried.requestIds, tried.at);
      } else if (before.endedAt !== undefined) return gone(`the log says that it ended at ${before.endedAt}`, [], before.endedAt);
      // Sent again by a step whose first answer came: GitHub takes it as the first time.
      const again = account.settling.has(context);
      if (leaked.token.form === 'installation') {
        try {
          await calls.write('DELETE /installation/token', {}, { kind: 'token', token: leaked.secret });
        } catch (error) {
          if (codeOf(error) !== 'provider.denied' || calls.requestIds.length === 0 || !isUnaccepted(error)) throw error;
          return gone('it is not accepted', calls.requestIds, calls.at);
        }
      } else {
        const { status } = await calls.write('POST /credentials/revoke', { credentials: [leaked.secret.reveal()] }, nobody);
        if (status !== 202) throw fault('provider.uncertain', { call: 'POST /credentials/revoke', status });
      }
      account.settling.accepted(context);
      return {
        outcome: again ? 'already' : 'changed',
        acceptedAt: calls.at,
        requestIds: calls.requestIds,
        facts: {
          answer: 'accepted, which GitHub says to anything: the probe tells',
          ...(before.deployKeys.length > 0
            ? { deployKeysThatGoWithIt: before.deployKeys.map((key) => `${key.repository}#${key.keyId}`) }
            : {}),
        },
      };
    },

    async probe(target, _before, context) {
      const { sha256 } = account.targetOf(target, 'sha256');
      const leaked = mayTry(context) ? await opened(context, sha256) : undefined;
      if (leaked !== undefined && leaked.token.form !== 'refresh') {
        const until = performance.now() + 2 * context.timing.propagationMs;
        const requestIds: string[] = [];
        for (;;) {
          // What is called accepted at last was asked after the time was up: an answer that was slow to come says nothing of then.
          const last = performance.now() >= until;
          const tried = await tryToken(account, leaked.secret, leaked.token, context.signal);
          requestIds.push(...tried.requestIds);
          if (tried.answer === 'refused') {
            return {
              observation: yes(tried.at, 'probe', tried.words),
              effectiveAt: new Date(Date.parse(tried.at) + 1000).toISOString(),
              requestIds,
            };
          }
          if (last) {
            const observation = tried.answer === 'accepted' ? no(tried.at, 'probe', tried.words) : unknown(tried.at, 'probe', tried.words);
            return { observation, requestIds };
          }
          await context.sleep(context.timing.pollMs);
        }
      }
      const calls = account.step(context);
      const { events, why } = await eventsWith(account, calls, sha256);
      const end = endOf(events, sha256);
      const requestIds = calls.requestIds;
      const at = requestIds.length > 0 ? calls.at : new Date().toISOString();
      if (end !== undefined)
        return { observation: yes(at, 'log', `${end.action} of it at ${end.at}; event ${end.id}`), effectiveAt: end.at, requestIds };
      return {
        observation: unknown(at, 'log', why ?? 'the log does not show yet that it ended, and GitHub says 202 to anything'),
        requestIds,
      };
    },
  };
}

/** As {@link leakedToken}; undefined where what was sealed is gone or does not open: that takes the better witness away and not the probe. */
async function opened(context: StepContext, sha256: string): ReturnType<typeof leakedToken> {
  try {
    return await leakedToken(context, sha256);
  } catch (error) {
    if (['record.missing', 'record.unreadable', 'key.missing'].includes(codeOf(error))) return undefined;
    throw error;
  }
}

const isUnaccepted = (error: unknown): boolean => (error as { context?: { status?: unknown } }).context?.status === 401;
