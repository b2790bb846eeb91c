import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { Secret } from '../../domain/secret.ts';
import { type Answer, Refusal, type Request, type System, serve } from '../../examples/webhook/server.ts';
import type { Action, StepContext } from '../../providers/contract.ts';
import { connect } from '../../providers/webhook/connect.ts';
import { stageOf, type World } from '../conformance/world.ts';
import { listen, newSecret, shut, timing } from '../providers-webhook/bench.ts';

/*
 * Traps 22 and 23, each twice: a script as somebody would write it under pressure, against a small stand-in of the system, and the engine's own actions through a webhook endpoint that a team would write with the kit.
 * What tells the two apart is a named call: one that the thief, or the owner, makes of the system.
 */

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** The engine's actions on a system of the kit, over a line on which the reply to one call may be lost. */
async function engineOn(system: System, settings: Record<string, unknown> = {}) {
  const secret = newSecret();
  const listener = serve(system, { secret });
  let lose: string | undefined;
  const { url, server } = await listen((request, response) => {
    if (lose !== undefined && request.url?.endsWith(`/${lose}`)) {
      lose = undefined;
      response.writeHead = (() => response) as typeof response.writeHead;
      response.end = (() => request.socket.destroy()) as unknown as typeof response.end;
    }
    listener(request, response);
  });
  closing.push(() => shut(server));
  const { actions } = await connect({
    provider: 'webhook',
    account: 'team',
    mode: 'act',
    settings: { url, signedAnswers: true, ...settings },
    credentials: { secret: new Secret(secret) },
  });
  const step = (name: string, target: Record<string, string>) => {
    const action = actions[name] as Action;
    const opened: Secret[] = [];
    const stage = stageOf({
      action,
      target: { account: 'team', ...target },
      timing,
      params: { sealTo: { provider: 'vault', account: 'lab' } },
      secrets: [],
    } as unknown as World);
    let before: unknown;
    return {
      opened,
      context: (more: Partial<StepContext> = {}) => stage.context(more),
      async capture() {
        before = JSON.parse(JSON.stringify(await action.capture(stage.world.target, stage.context()))) as unknown;
      },
      apply: () => action.apply(stage.world.target, before, stage.context()),
      probe: () => action.probe(stage.world.target, before, stage.context()),
      revert: () => action.revert?.(stage.world.target, before, stage.context()),
    };
  };
  return { step, lose: (operation: string) => (lose = operation) };
}

/* ---------------------------------------------------------------- 22: GitLab, rotated twice ---------------------------------------------------------------- */

interface Token {
  readonly id: string;
  readonly value: string;
  readonly family: string;
  readonly name: string;
  readonly since: string;
  state: 'active' | 'rotated' | 'revoked';
}

/** GitLab's tokens, with the detection of reuse: whoever rotates with a token that was rotated already has the current token of the family revoked (docs.gitlab.com, "Automatic reuse detection"). */
class GitLab {
  readonly tokens: Token[] = [];
  readonly journal: string[] = [];
  /** The reply to the next rotation is lost. */
  loseReply = false;

  issue(name: string, family = randomBytes(4).toString('hex')): Token {
    const token: Token = {
      id: String(this.tokens.length + 1),
      value: `glpat-${randomBytes(15).toString('base64url')}`,
      family,
      name,
      since: new Date().toISOString(),
      state: 'active',
    };
    this.tokens.push(token);
    return token;
  }
  /** `POST /personal_access_tokens/self/rotate`. */
  rotate(value: string): Token {
    this.journal.push('rotate');
    const token = this.tokens.find((each) => each.value === value);
    if (token?.state === 'rotated') {
      const current = this.tokens.find((each) => each.family === token.family && each.state === 'active');
      if (current) current.state = 'revoked';
    }
    if (token?.state !== 'active') throw new Error('401 Unauthorized');
    token.state = 'rotated';
    const next = this.issue(token.name, token.family);
    if (this.loseReply) {
      this.loseReply = false;
      throw new Error('socket hang up');
    }
    return next;
  }
  /** `POST /users/:id/personal_access_tokens`, as an administrator. */
  create(name: string): Token {
    this.journal.push('create');
    return this.issue(name);
  }
  /** `DELETE /personal_access_tokens/:id`, as an administrator. */
  revoke(id: string): void {
    this.journal.push('revoke');
    const token = this.tokens.find((each) => each.id === id);
    if (token && token.state === 'active') token.state = 'revoked';
  }
  /** The named call: `GET /api/v4/projects`. */
  projects(value: string): 200 | 401 {
    return this.tokens.some((each) => each.value === value && each.state === 'active') ? 200 : 401;
  }
}

/** GitLab behind the contract: a successor is created by an administrator and never rotated; a token is ended by its id. A token alone cannot be turned off for a while. */
function gitlabEndpoint(gitlab: GitLab): System {
  const find = (id: string) => gitlab.tokens.find((each) => each.id === id);
  const tell = (token: Token | undefined, alreadyDone: boolean): Answer =>
    token === undefined
      ? { state: 'absent', alreadyDone: false }
      : { state: token.state === 'active' ? 'active' : 'revoked', effectiveAt: token.since, alreadyDone };
  return {
    capabilities: { v: 1, reversible: false, mints: true, overlap: 'unlimited', maxDerivedTtl: 0, signsResponses: true },
    operations: {
      check({ credential, body }) {
        const token = body.madeBy === undefined ? find(credential.id) : gitlab.tokens.find((each) => each.name === body.madeBy);
        return { ...tell(token, false), id: token?.id };
      },
      mint({ credential, key }) {
        if (!find(credential.id)) return tell(undefined, false);
        const token = gitlab.create(key);
        return { ...tell(token, false), id: token.id, secret: token.value };
      },
      activate: ({ credential }) => tell(find(credential.id), true),
      revoke({ credential }) {
        const token = find(credential.id);
        const dead = token !== undefined && token.state !== 'active';
        if (token && !dead) gitlab.revoke(token.id);
        return tell(token, dead);
      },
    },
  };
}

describe('trap 22: a GitLab token is rotated, the reply is lost, and it is rotated again', () => {
  it('the naive script: GET /projects fails with every token there is, since the retry had the new one revoked', () => {
    const gitlab = new GitLab();
    const leaked = gitlab.issue('pipeline');
    gitlab.loseReply = true;
    // As it is written when there is no time: rotate, and rotate again if the line breaks.
    let held = leaked.value;
    for (let attempt = 0; attempt < 3; attempt++) {
      try {
        held = gitlab.rotate(leaked.value).value;
        break;
      } catch {
        // A broken line: once more.
      }
    }
    expect(gitlab.projects(leaked.value), 'the thief is out').toBe(401);
    expect(gitlab.projects(held), 'and so is the pipeline, with what it was given').toBe(401);
    expect(
      gitlab.tokens.map(({ state }) => state),
      'nothing that works is left',
    ).toEqual(['rotated', 'revoked']);
  });

  it('the naive script that keeps the old token: GET /projects succeeds with the thief’s rotation of it', () => {
    const gitlab = new GitLab();
    const leaked = gitlab.issue('pipeline');
    // The thief rotates first, which the script takes for its own lost reply: 401 means gone.
    const theirs = gitlab.rotate(leaked.value);
    const dead = gitlab.projects(leaked.value) === 401;
    expect(dead, 'the script says that the token is dead').toBe(true);
    expect(gitlab.projects(theirs.value), 'and its successor, which the thief holds, is not').toBe(200);
  });

  it('the engine: the successor is made once and works, the leaked one is ended by its id, and nothing was rotated', async () => {
    const gitlab = new GitLab();
    const leaked = gitlab.issue('pipeline');
    const bystander = gitlab.issue('other');
    const engine = await engineOn(gitlabEndpoint(gitlab), { mints: true, reversible: false });
    const target = { system: 'gitlab', id: leaked.id };

    const mint = engine.step('mint', target);
    await mint.capture();
    engine.lose('mint');
    await expect(mint.apply(), 'the reply is lost').rejects.toMatchObject({ code: 'provider.uncertain' });
    engine.lose('activate');
    await expect(mint.apply(), 'and the one after it').rejects.toMatchObject({ code: 'provider.uncertain' });
    const made = (await mint.apply()).made ?? {};
    expect((await mint.probe()).observation.state).toBe('yes');
    const secret = await mint.context().sealing.open(made.sealed as never, made.keyId ?? '', `mint:${made.id}`);
    const { secret: value } = JSON.parse(secret.reveal()) as { secret: string };
    expect(gitlab.projects(value), 'the pipeline works with what was sealed for it').toBe(200);
    expect(gitlab.tokens, 'one successor, whatever was lost').toHaveLength(3);

    const revoke = engine.step('revoke', target);
    await revoke.capture();
    engine.lose('revoke');
    await expect(revoke.apply()).rejects.toMatchObject({ code: 'provider.uncertain' });
    expect((await revoke.apply()).outcome).toBe('already');
    expect((await revoke.probe()).observation.state).toBe('yes');
    expect([leaked.value, value, bystander.value].map((each) => gitlab.projects(each))).toEqual([401, 200, 200]);
    expect(gitlab.journal).toEqual(['create', 'revoke']);
  });

  it('an endpoint that rotates in mint is found by its own second answer: the named call fails with the successor', () => {
    const gitlab = new GitLab();
    const leaked = gitlab.issue('pipeline');
    const first = gitlab.rotate(leaked.value);
    expect(() => gitlab.rotate(leaked.value)).toThrow('401');
    expect(gitlab.projects(first.value)).toBe(401);
  });
});

/* ------------------------------------------------- 23: Entra, the secret removed and a token of 24 hours ------------------------------------------------- */

interface Issued {
  readonly value: string;
  readonly expires: number;
  readonly keyId: string;
}

const hour = 3_600_000;

/**
 * An application of Entra with its service principal. Tokens for Microsoft Graph that a client with continuous access evaluation is given live up to 24 hours; the removal of a secret is none of the events that end
 * one, the disabling of the service principal is (learn.microsoft.com, "Continuous access evaluation for workload identities").
 */
class Entra {
  now = Date.now();
  enabled = true;
  disabledBy: { readonly key: string; readonly at: number } | undefined;
  /** Secrets hang on the application, or on the service principal itself: either lets in. */
  readonly secrets = new Map<string, { readonly on: 'application' | 'servicePrincipal'; readonly value: string; readonly since: number }>();
  readonly removed = new Map<string, number>();
  readonly tokens: Issued[] = [];

  addPassword(on: 'application' | 'servicePrincipal'): { readonly keyId: string; readonly value: string } {
    const keyId = `key-${this.secrets.size + this.removed.size + 1}`;
    const value = `abc8Q~${randomBytes(20).toString('base64url')}`;
    this.secrets.set(keyId, { on, value, since: this.now });
    return { keyId, value };
  }
  removePassword(on: 'application' | 'servicePrincipal', keyId: string): 204 | 400 {
    if (this.secrets.get(keyId)?.on !== on) return 400;
    this.secrets.delete(keyId);
    this.removed.set(keyId, this.now);
    return 204;
  }
  /** `POST /oauth2/v2.0/token`. */
  token(secret: string): Issued {
    const found = [...this.secrets].find(([, each]) => each.value === secret);
    if (!found || !this.enabled) throw new Error('invalid_client');
    const issued = { value: randomBytes(16).toString('hex'), expires: this.now + 24 * hour, keyId: found[0] };
    this.tokens.push(issued);
    return issued;
  }
  /** The named call: `GET graph.microsoft.com/v1.0/users`. */
  users(token: string): 200 | 401 {
    return this.enabled && this.tokens.some((each) => each.value === token && this.now < each.expires) ? 200 : 401;
  }
}

function entraEndpoint(entra: Entra): System {
  const iso = (ms: number): string => new Date(ms).toISOString();
  const longest = (keyId: string): string | undefined => {
    const ends = entra.tokens.filter((each) => each.keyId === keyId && each.expires > entra.now).map(({ expires }) => expires);
    return ends.length === 0 ? undefined : iso(Math.max(...ends));
  };
  const tell = ({ credential: { id } }: Request, alreadyDone = false): Answer => {
    const removedAt = entra.removed.get(id);
    const known = entra.secrets.get(id);
    if (removedAt !== undefined) return { state: 'revoked', effectiveAt: iso(removedAt), alreadyDone, residualUntil: longest(id) };
    if (!known) return { state: 'absent', alreadyDone: false };
    return entra.enabled
      ? { state: 'active', effectiveAt: iso(known.since), alreadyDone }
      : { state: 'contained', effectiveAt: iso(entra.disabledBy?.at ?? entra.now), alreadyDone, reversibleBy: entra.disabledBy?.key };
  };
  return {
    capabilities: { v: 1, reversible: true, mints: false, overlap: 'unlimited', maxDerivedTtl: 86_400, signsResponses: true },
    operations: {
      check: (request) => tell(request),
      contain(request) {
        if (tell(request).state !== 'active') return tell(request, true);
        // What holds the secret is the service principal: disabling it ends its tokens too, which removing the secret does not.
        Object.assign(entra, { enabled: false, disabledBy: { key: request.key, at: entra.now } });
        return tell(request);
      },
      uncontain(request) {
        if (entra.enabled) return tell(request, true);
        if (entra.disabledBy?.key !== request.body.undoes) throw new Refusal(409, 'somebody else has disabled it');
        Object.assign(entra, { enabled: true, disabledBy: undefined });
        // Its tokens are accepted again, as far as they have not expired.
        return { ...tell(request), residualUntil: longest(request.credential.id) };
      },
      revoke(request) {
        const known = entra.secrets.get(request.credential.id);
        if (!known) return tell(request, true);
        entra.removePassword(known.on, request.credential.id);
        return tell(request);
      },
      listDescendants(request) {
        const made = entra.tokens.filter((each) => each.keyId === request.credential.id);
        const state = (each: Issued) => (each.expires <= entra.now ? 'revoked' : entra.enabled ? 'active' : 'contained');
        return {
          complete: true,
          asOf: iso(entra.now),
          descendants: made.map((each, at) => ({
            id: `token-${at}`,
            via: 'oauth2/v2.0/token',
            controllable: false,
            expiresAt: iso(each.expires),
            state: state(each),
          })),
        };
      },
    },
  };
}

describe('trap 23: a client secret of Entra is removed, and a token made with it lives for 24 hours', () => {
  it('the naive script: GET /users still succeeds with the thief’s token, 23 hours after the secret was removed', () => {
    const entra = new Entra();
    const { keyId, value } = entra.addPassword('application');
    const stolen = entra.token(value);
    // As it is written: remove the secret, see that it lets nobody in, and report success.
    expect(entra.removePassword('application', keyId)).toBe(204);
    expect(() => entra.token(value)).toThrow('invalid_client');
    entra.now += 23 * hour;
    expect(entra.users(stolen.value)).toBe(200);
  });

  it('the naive script that looks at the application alone: a secret on the service principal still gets a token', () => {
    const entra = new Entra();
    const { keyId, value } = entra.addPassword('servicePrincipal');
    expect(entra.removePassword('application', keyId), 'a 400, taken for "gone already"').toBe(400);
    expect(entra.users(entra.token(value).value)).toBe(200);
  });

  it.each(['application', 'servicePrincipal'] as const)(
    'the engine: GET /users fails with the thief’s token once it says contained; the revocation names until when tokens live (a secret on the %s)',
    async (on) => {
      const entra = new Entra();
      const { keyId, value } = entra.addPassword(on);
      const stolen = entra.token(value);
      const engine = await engineOn(entraEndpoint(entra), { maxDerivedTtl: 86_400 });
      const target = { system: 'entra', id: keyId };
      expect(entra.users(stolen.value), 'the thief is in').toBe(200);

      const contain = engine.step('contain', target);
      await contain.capture();
      expect((await contain.apply()).outcome).toBe('changed');
      expect((await contain.probe()).observation.state).toBe('yes');
      expect(entra.users(stolen.value), 'and out').toBe(401);
      expect(() => entra.token(value)).toThrow('invalid_client');

      const revoke = engine.step('revoke', target);
      await revoke.capture();
      const revoked = await revoke.apply();
      const until = new Date(stolen.expires).toISOString();
      expect(revoked).toMatchObject({ outcome: 'changed', descendantsDieAt: until, residual: { target: keyId, until } });
      expect((await revoke.probe()).facts).toEqual({ residualUntil: until });
      entra.now += 23 * hour;
      expect(entra.users(stolen.value), 'while the service principal stays disabled').toBe(401);
    },
  );

  it('the engine’s undo says that what was made before is accepted again, and until when', async () => {
    const entra = new Entra();
    const { keyId, value } = entra.addPassword('application');
    const stolen = entra.token(value);
    const engine = await engineOn(entraEndpoint(entra));
    const contain = engine.step('contain', { system: 'entra', id: keyId });
    await contain.capture();
    await contain.apply();
    expect(await contain.revert()).toMatchObject({
      outcome: 'changed',
      residual: { target: keyId, until: new Date(stolen.expires).toISOString() },
    });
    expect(entra.users(stolen.value)).toBe(200);
  });
});
