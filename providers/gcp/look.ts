import { BlockList, isIP } from 'node:net';
import type { Consumer, LogReach, ProviderFinding, Watermark } from '../../domain/assessment.ts';
import { sha256Of } from '../../domain/canonical.ts';
import {
  type CredentialNode,
  type CredentialRef,
  type GraphEdge,
  type GraphNode,
  nodeId,
  type Provenance,
} from '../../domain/credential.ts';
import { codeOf } from '../../domain/errors.ts';
import { no, type Observation, unknown, yes } from '../../domain/observation.ts';
import { stepKey } from '../../domain/plan.ts';
import type { Look, Looked } from '../contract.ts';
import { type GcpAccount, type KeyRow, readAccount, readKeys } from './account.ts';
import { type Calls, reasonWord } from './api.ts';
import { type ApiKeyRow, apiKeyBefore, readApiKey } from './api-key.ts';
import { type Made, madeBy, readProjectPolicy, rolesOf, type Walk, walk } from './descendants.ts';
import { keyBefore } from './disable-key.ts';
import { type HmacRow, hmacBefore, readHmac } from './hmac.ts';
import { keyOffSince, type LogEvent, reachMs } from './log.ts';
import { manifest } from './manifest.ts';
import { readPrivateKey, type Tried, tryKey } from './probe.ts';

const blind = manifest.logs[0]?.blind ?? [];
const projectIn = (email: string): string | undefined => /@([a-z][a-z0-9-]{4,28}[a-z0-9])\.iam\.gserviceaccount\.com$/.exec(email)?.[1];
const memberOf = (email: string): string => `serviceAccount:${email}`;

/** What was found out of the leaked credential itself. */
interface Root {
  readonly email?: string;
  readonly live: Observation;
  readonly possession: Observation;
  readonly ours: Observation;
  readonly status?: string;
  readonly issuedAt?: string;
  readonly expiresAt?: string;
  /** What came of the one active probe. */
  readonly tried?: Tried;
  /** The API key by its name, where the leaked text was looked up. */
  readonly uid?: string;
}

/**
 * Looks at a credential and all that hangs on it, and changes nothing. Nothing is asked about a key of another project. The account's own word is read before the one active probe, which the
 * key's "last authentication" would show.
 */
export async function look(account: GcpAccount, on: Look): Promise<Looked> {
  const calls = account.api.calls(reasonWord('look'), on.signal);
  const email = on.credential.locator.clientEmail;
  const foreign = email === undefined ? undefined : projectIn(email);
  if (foreign !== undefined && foreign !== account.project)
    return strange(account, on, no(new Date().toISOString(), 'engine', `the account is of project ${foreign}`));
  return await new Looking(account, on, calls).run();
}

function strange(account: GcpAccount, on: Look, ours: Observation): Looked {
  const { at } = ours;
  const notAsked = unknown(at, 'engine', 'nothing was asked: it is not known to be of this project');
  const provenance: Provenance = {
    source: 'key file',
    at,
    confidence: 'certain',
    evidence: ours.state === 'unknown' ? ours.why : ours.evidence,
  };
  return {
    finding: {
      provider: 'gcp',
      account: account.project,
      providerTime: at,
      ours,
      canary: false,
      live: notAsked,
      possession: notAsked,
      privilege: 'unknown',
      graph: {
        nodes: [
          {
            id: nodeId(on.credential),
            type: 'credential',
            title: on.credential.kind,
            credential: { ...on.credential, live: notAsked },
            provenance,
          },
        ],
        edges: [],
      },
      descendants: [],
      misuse: notAsked,
      sessions: { maxLifeSeconds: 0 },
      logs: [],
      secretsRead: [],
      seen: [],
      swept: notAsked,
      requestIds: [],
    },
    befores: {},
    evidence: {},
  };
}

class Looking {
  readonly #account: GcpAccount;
  readonly #on: Look;
  readonly #calls: Calls;
  readonly #nodes = new Map<string, GraphNode>();
  readonly #edges: GraphEdge[] = [];
  readonly #befores: Record<string, unknown> = {};
  constructor(account: GcpAccount, on: Look, calls: Calls) {
    this.#account = account;
    this.#on = on;
    this.#calls = calls;
  }

  async run(): Promise<Looked> {
    const on = this.#on;
    const calls = this.#calls;
    const account = this.#account;
    const full = on.depth === 'full';
    let root = await this.#root();
    const passed = full && on.containedAt !== undefined ? await this.#passed(Date.parse(on.containedAt)) : undefined;
    const since = on.since === undefined ? Number.NaN : Date.parse(on.since);
    const from = Number.isNaN(since) ? calls.now - reachMs : Math.max(calls.now - reachMs, since - 60_000);
    const { email } = root;
    const keyId = on.credential.locator.privateKeyId;
    const walked =
      // An HMAC key signs requests to Cloud Storage and gets no token for them: it acts as nobody else.
      full && email !== undefined && on.credential.kind !== 'gcp.hmac-key'
        ? await walk(account, calls, { email, ...(keyId ? { keyId } : {}) }, from, { heartbeat: () => on.heartbeat() })
        : undefined;
    // Read again after the waits of a full look, so that what the sweep says is of after the log and not of before it.
    if (full) root = await this.#root(root);
    const rows = email === undefined ? undefined : await readKeys(account, calls, email);
    const privilege = await this.#privilege(email, walked);
    this.#draw(root, rows);
    const isKey = on.credential.kind === 'gcp.service-account-key';
    // A token issued at the last moment at which the key was accepted, and one that was minted with that at its last, and so on down the chain.
    const off = full && isKey && keyId !== undefined && root.live.state === 'no' ? await keyOffSince(account, calls, keyId) : undefined;
    const lifeMs = account.limits.maxTokenLifeSeconds * 1000;
    const diesAt = (depth: number) => (off === undefined ? undefined : Date.parse(off) + on.timing.propagationMs + depth * lifeMs);
    const depths = new Map<string | undefined, number>([[email, 1]]);
    if (email !== undefined && isKey)
      await this.#tokensOf(email, nodeId(on.credential), 'jwt-bearer', diesAt(1), 'exchanges at the token endpoint are in no log');
    if (walked) {
      for (const each of walked.reached) {
        const parent = each.from === email ? nodeId(on.credential) : tokenId(each.from);
        const life = each.event === undefined ? undefined : lifeOf(each.event);
        const expired = each.event !== undefined && life !== undefined && Date.parse(each.event.at) + life * 1000 < calls.now;
        const depth = (depths.get(each.from) ?? 1) + 1;
        depths.set(each.email, depth);
        await this.#tokensOf(
          each.email,
          parent,
          'GenerateAccessToken',
          diesAt(depth),
          each.evidence,
          each.how,
          expired ? each.event : undefined,
        );
      }
      await this.#made(madeBy(walked.events), email);
      await this.#hmacKeysOf([...(email ? [email] : []), ...walked.reached.map((each) => each.email)]);
    }
    return this.#tell(root, rows, walked, passed, from, since, privilege);
  }

  /** The leaked credential by the administrator's word, and by the one active probe where a secret was sealed to us. `known`: what was found before, so that nothing is tried a second time. */
  async #root(known?: Root): Promise<Root> {
    const { credential, secret } = this.#on;
    if (credential.kind === 'gcp.service-account-key') return await this.#keyRoot(known);
    if (credential.kind === 'gcp.hmac-key') return await this.#hmacRoot();
    if (credential.kind === 'gcp.api-key') return await this.#apiKeyRoot(known);
    const calls = this.#calls;
    const nothing = (why: string): Root => ({
      live: unknown(this.#at(), 'administrator', why),
      possession: unknown(this.#at(), 'engine', 'no secret was tried'),
      ours: unknown(this.#at(), 'administrator', why),
    });
    await readProjectPolicy(this.#account, calls);
    if (credential.kind !== 'gcp.access-token') return nothing('this kind is not known here');
    if (!secret) return nothing('whose token it is only Google can say, to whoever holds it');
    if (sha256Of(secret.reveal()) !== `sha256:${credential.locator.sha256}`) return nothing('what was sealed is another text');
    const info = await this.#account.api.tokenInfo(secret);
    const at = this.#at();
    if (info === undefined) {
      const gone = no(at, 'probe', 'tokeninfo does not know it, or it has expired');
      return {
        ...nothing('a token that is no more says nothing of its owner'),
        live: gone,
        possession: unknown(at, 'probe', 'it is no longer accepted'),
      };
    }
    const email = info.email ?? '';
    const state =
      projectIn(email) === undefined || projectIn(email) === this.#account.project
        ? await readAccount(this.#account, calls, email)
        : undefined;
    const ours = state
      ? yes(at, 'administrator', `${email} is an account of this project`)
      : no(at, 'administrator', `${email} is no account of this project`);
    // tokeninfo tells what a token says. Whether it is accepted is another matter: the account may be disabled.
    const live = state?.disabled
      ? no(at, 'administrator', `${email} is disabled; enabling it would revive the token`)
      : yes(at, 'probe', 'tokeninfo knows it, and its account is enabled');
    return {
      ...(state ? { email } : {}),
      live,
      possession: yes(at, 'probe', 'tokeninfo knows it'),
      ours,
      ...(info.expiresAt ? { expiresAt: info.expiresAt } : {}),
    };
  }

  async #keyRoot(known: Root | undefined): Promise<Root> {
    const { clientEmail: email = '', privateKeyId: id = '' } = this.#on.credential.locator;
    const account = this.#account;
    const calls = this.#calls;
    const state = await readAccount(account, calls, email);
    const row = state === undefined ? undefined : (await readKeys(account, calls, email))?.find((each) => each.id === id);
    const at = this.#at();
    const ours = state
      ? yes(at, 'administrator', `${email} is an account of this project`)
      : projectIn(email) === account.project
        ? yes(at, 'engine', 'its address says this project')
        : no(at, 'administrator', `there is no account ${email} here`);
    const off =
      state === undefined
        ? 'its account does not exist'
        : row === undefined
          ? 'there is no such key'
          : row.disabled
            ? 'it is disabled'
            : state.disabled
              ? 'its account is disabled'
              : undefined;
    const privateKey = this.#on.secret ? readPrivateKey(this.#on.secret) : undefined;
    const tried: Tried | undefined =
      known !== undefined
        ? known.tried
        : privateKey && ours.state === 'yes'
          ? await tryKey(account, { clientEmail: email, privateKeyId: id, privateKey })
          : undefined;
    let live: Observation;
    if (tried?.answer === 'accepted') live = yes(at, 'probe', `${tried.words}${off ? `, though ${off}` : ''}`);
    else if (off === undefined)
      live =
        tried?.answer === 'refused'
          ? unknown(at, 'probe', `it is enabled, and yet ${tried.words}`)
          : yes(at, 'administrator', `key ${id} is enabled`);
    else if (tried?.answer === 'refused') live = no(at, 'probe', `${tried.words}; ${off}`);
    else live = await this.#offLongEnough(off);
    const possession: Observation =
      known?.possession ??
      (tried === undefined
        ? unknown(at, 'engine', 'no secret was tried')
        : tried.answer === 'accepted'
          ? yes(at, 'probe', tried.words)
          : tried.answer === 'refused' && off === undefined
            ? no(at, 'probe', tried.words)
            : unknown(at, 'probe', tried.words));
    return {
      email,
      ...(tried ? { tried } : {}),
      live,
      possession,
      ours,
      status: row === undefined ? 'absent' : row.disabled ? 'disabled' : 'enabled',
      ...(row ? { issuedAt: row.createdAt } : {}),
    };
  }

  /** Off, and for as long as that takes to be known everywhere: `containedAt` is when it was seen to be in effect. */
  async #offLongEnough(words: string): Promise<Observation> {
    if (this.#on.containedAt === undefined && this.#on.depth === 'full') await this.#on.sleep(this.#on.timing.propagationMs);
    else if (this.#on.containedAt === undefined) return unknown(this.#at(), 'administrator', `${words}, and since when is not known`);
    return no(this.#at(), 'administrator', words);
  }

  async #hmacRoot(): Promise<Root> {
    const { accessId = '' } = this.#on.credential.locator;
    const row = await readHmac(this.#account, this.#calls, accessId);
    const at = this.#at();
    const possession = unknown(at, 'engine', 'no secret was tried');
    if (!row)
      return {
        live: unknown(at, 'administrator', 'there is no such key here, and it may be another project’s'),
        possession,
        ours: unknown(at, 'administrator', 'there is no such key here'),
        status: 'absent',
      };
    this.#befores[stepKey('gcp/deactivate-hmac-key', { account: this.#account.project, accessId })] = hmacBefore(row, this.#at());
    return {
      email: row.serviceAccount,
      live: this.#hmacLive(accessId, row),
      possession,
      ours: yes(at, 'administrator', `it acts as ${row.serviceAccount}`),
      status: row.state,
      issuedAt: row.createdAt,
    };
  }

  #hmacLive(accessId: string, row: HmacRow | undefined): Observation {
    const at = this.#at();
    if (!row) return no(at, 'administrator', `there is no HMAC key ${accessId}`);
    if (row.state === 'ACTIVE') return yes(at, 'administrator', `HMAC key ${accessId} is ACTIVE`);
    const rest = Date.parse(row.updatedAt) + this.#account.limits.hmacPropagationMs + 1000 - this.#calls.now;
    return rest > 0
      ? unknown(at, 'administrator', `HMAC key ${accessId} is INACTIVE since ${row.updatedAt}, which takes up to three minutes`)
      : no(at, 'administrator', `HMAC key ${accessId} is INACTIVE`);
  }

  async #apiKeyRoot(known: Root | undefined): Promise<Root> {
    const account = this.#account;
    const calls = this.#calls;
    const { secret, credential } = this.#on;
    let uid = credential.locator.uid ?? known?.uid;
    let possession: Observation | undefined = known?.possession;
    if (uid === undefined && secret && sha256Of(secret.reveal()) === `sha256:${credential.locator.sha256}`) {
      try {
        // The key itself goes into the address of this call, which is neither logged nor kept by us; Google offers no other way.
        const found = await calls.read<{ name?: string }>('apikeys.keys.lookup', ({ request }) =>
          request('apikeys.googleapis.com', 'GET', '/v2/keys:lookupKey', { query: { keyString: secret.reveal() } }),
        );
        uid = new RegExp(`^projects/${account.project}/locations/global/keys/([^/]+)$`).exec(found.name ?? '')?.[1];
        if (uid !== undefined) possession = yes(this.#at(), 'administrator', 'Google knows the text as a key of this project');
      } catch (error) {
        if (!['provider.denied', 'provider.gone', 'provider.invalid'].includes(codeOf(error))) throw error;
      }
    } else if (uid === undefined) await readProjectPolicy(account, calls);
    const at = this.#at();
    const nobody = unknown(at, 'administrator', 'Google names a key to whoever holds it, and to nobody else');
    if (uid === undefined) return { live: nobody, possession: possession ?? nobody, ours: nobody };
    const row = await readApiKey(account, calls, uid);
    this.#befores[stepKey('gcp/restrict-api-key', { account: account.project, key: uid })] = apiKeyBefore(row, this.#at());
    return {
      ...(row?.serviceAccount ? { email: row.serviceAccount } : {}),
      uid,
      live: this.#apiKeyLive(uid, row),
      possession: possession ?? unknown(at, 'engine', 'no secret was tried'),
      ours: row ? yes(at, 'administrator', 'it is a key of this project') : unknown(at, 'administrator', 'there is no such key here'),
      ...(row ? { issuedAt: row.createdAt, status: row.deletedAt ? 'deleted' : 'there' } : { status: 'absent' }),
    };
  }

  #apiKeyLive(uid: string, row: ApiKeyRow | undefined): Observation {
    const at = this.#at();
    if (!row) return unknown(at, 'administrator', `there is no API key ${uid}, and since when is not known`);
    if (row.deletedAt === undefined)
      return yes(at, 'administrator', `API key ${uid} is there${row.restrictions ? ', with restrictions' : ''}`);
    const until = Date.parse(row.deletedAt) + this.#account.limits.apiKeyLingerMs;
    return this.#calls.now < until
      ? unknown(at, 'administrator', `it was deleted at ${row.deletedAt}, and may be accepted until ${new Date(until).toISOString()}`)
      : no(at, 'administrator', `it was deleted at ${row.deletedAt}`);
  }

  #at(): string {
    return this.#calls.at;
  }

  #says(evidence: string, source = 'iam', confidence: Provenance['confidence'] = 'certain'): Provenance {
    return { source, at: this.#at(), confidence, evidence };
  }

  #credential(ref: CredentialRef, more: Omit<CredentialNode, 'kind' | 'locator'>, title: string, provenance: Provenance): string {
    const id = nodeId(ref);
    this.#nodes.set(id, { id, type: 'credential', title, credential: { kind: ref.kind, locator: ref.locator, ...more }, provenance });
    if (more.principal) {
      this.#principal(more.principal);
      this.#edges.push({ from: id, to: more.principal, kind: 'acts-as', provenance });
    }
    return id;
  }

  #principal(id: string): void {
    if (!this.#nodes.has(id))
      this.#nodes.set(id, { id, type: 'principal', title: id, provenance: this.#says('an account of this project') });
  }

  #draw(root: Root, rows: readonly KeyRow[] | undefined): void {
    const { credential, since } = this.#on;
    const { email } = root;
    const principal = email === undefined ? undefined : memberOf(email);
    const rootId = this.#credential(
      credential,
      {
        ...(principal ? { principal } : {}),
        live: root.live,
        ...(root.status ? { status: root.status } : {}),
        ...(root.issuedAt ? { issuedAt: root.issuedAt } : {}),
        ...(root.expiresAt ? { expiresAt: root.expiresAt } : {}),
      },
      `leaked ${credential.kind}`,
      this.#says('the leaked credential'),
    );
    // A text that was looked up is a key by its name, and by that name it can be closed.
    if (root.uid !== undefined && credential.locator.uid === undefined) {
      const named = this.#credential(
        { kind: 'gcp.api-key', locator: { uid: root.uid } },
        { live: root.live, derivedVia: 'lookupKey' },
        `API key ${root.uid}`,
        this.#says('the leaked key by its name', 'apikeys'),
      );
      this.#edges.push({ from: rootId, to: named, kind: 'derives', provenance: this.#says('it is the same key', 'apikeys') });
    }
    const ours = new Set(this.#on.ours.map((each) => each.privateKeyId));
    for (const row of rows ?? []) {
      if (email === undefined) break;
      this.#befores[stepKey('gcp/disable-key', { account: this.#account.project, serviceAccount: email, keyId: row.id })] = keyBefore(
        row,
        this.#at(),
      );
      const ref = { kind: 'gcp.service-account-key', locator: { clientEmail: email, privateKeyId: row.id } };
      if (nodeId(ref) === rootId) continue;
      const late = since !== undefined && row.createdAt >= since && !ours.has(row.id);
      this.#credential(
        ref,
        { principal: memberOf(email), issuedAt: row.createdAt, live: this.#keyLive(row), status: row.disabled ? 'disabled' : 'enabled' },
        `key ${row.id}`,
        this.#says(
          ours.has(row.id)
            ? 'a key of our own making'
            : late
              ? `a key made at ${row.createdAt}, after the leak began`
              : 'another key of the same account',
          'iam',
          late ? 'suspected' : 'certain',
        ),
      );
    }
  }

  #keyLive(row: KeyRow | undefined): Observation {
    const at = this.#at();
    if (!row) return no(at, 'administrator', 'there is no such key');
    return row.disabled ? no(at, 'administrator', `key ${row.id} is disabled`) : yes(at, 'administrator', `key ${row.id} is enabled`);
  }

  /** The tokens of an account that a leak can have, as one node: there is no list of them, and none can be told from another. Its name is that of no target, so that nobody takes it for the account or a key. */
  async #tokensOf(
    email: string,
    parent: string,
    via: string,
    diesAt: number | undefined,
    evidence: string,
    how: Reached = 'seen',
    expired?: LogEvent,
  ): Promise<void> {
    const account = this.#account;
    const state = await readAccount(account, this.#calls, email);
    this.#befores[stepKey('gcp/disable-service-account', { account: account.project, serviceAccount: email })] = {
      state: state === undefined ? 'absent' : state.disabled ? 'disabled' : 'enabled',
    };
    const at = this.#at();
    const dead = diesAt !== undefined && diesAt < this.#calls.now;
    const live =
      state === undefined
        ? no(at, 'administrator', `there is no account ${email}`)
        : state.disabled
          ? no(
              at,
              'administrator',
              `${email} is disabled: its tokens are rejected, and would be accepted again if it were enabled before they expire`,
            )
          : dead
            ? no(at, 'engine', 'the leaked key has been off for longer than such a token can live')
            : expired
              ? no(at, 'log', `the one that was seen, by log entry ${expired.id}, has expired`)
              : unknown(
                  at,
                  'engine',
                  how === 'possible'
                    ? `whether there is one cannot be known: ${evidence}`
                    : 'tokens are in no list, and their account is enabled',
                );
    const id = this.#credential(
      { kind: 'gcp.access-token', locator: { tokensOf: memberOf(email) } },
      {
        principal: memberOf(email),
        derivedVia: via,
        live,
        ...(diesAt === undefined ? {} : { expiresAt: new Date(diesAt).toISOString() }),
      },
      `tokens of ${email}`,
      this.#says(evidence, how === 'seen' && via !== 'jwt-bearer' ? 'cloudaudit' : 'iam', how === 'possible' ? 'suspected' : 'likely'),
    );
    this.#edges.push({ from: parent, to: id, kind: 'derives', provenance: this.#says(evidence) });
  }

  /** Keys that calls in the log have made, with how they stand now. */
  async #made(made: readonly Made[], email: string | undefined): Promise<void> {
    const ours = new Set(this.#on.ours.map((each) => each.privateKeyId ?? each.accessId ?? each.uid));
    const { keyId } = { keyId: this.#on.credential.locator.privateKeyId };
    for (const each of made) {
      const id = Object.values(each.locator).at(-1) ?? '';
      if (ours.has(id) || (await this.#on.made?.(id))) continue;
      const live =
        each.kind === 'gcp.service-account-key'
          ? this.#keyLive((await readKeys(this.#account, this.#calls, each.locator.clientEmail ?? ''))?.find((row) => row.id === id))
          : each.kind === 'gcp.hmac-key'
            ? this.#hmacLive(id, await readHmac(this.#account, this.#calls, id))
            : this.#apiKeyLive(id, await readApiKey(this.#account, this.#calls, id));
      // The key's own name in the log shows that it was this one; without it another credential of the account may have been used.
      const certain = keyId !== undefined && each.event.keyName?.endsWith(`/keys/${keyId}`) === true;
      const provenance = this.#says(
        `${each.event.name} by ${each.event.by}${certain ? ' with the leaked key' : ''} at ${each.event.at}, log entry ${each.event.id}`,
        'cloudaudit',
        certain ? 'certain' : 'likely',
      );
      const node = this.#credential(
        { kind: each.kind, locator: each.locator },
        {
          ...(each.owner ? { principal: memberOf(each.owner) } : {}),
          derivedVia: each.event.service === 'storage.googleapis.com' ? 'storage.hmacKeys.create' : each.event.name,
          issuedAt: each.event.at,
          live,
        },
        `${each.kind} ${id}`,
        provenance,
      );
      if (node === nodeId(this.#on.credential)) continue;
      const parent = each.event.by === email ? nodeId(this.#on.credential) : tokenId(each.event.by);
      this.#edges.push({ from: parent, to: node, kind: 'derives', provenance });
    }
  }

  /** HMAC keys of the accounts, which no change of their other keys touches. */
  async #hmacKeysOf(emails: readonly string[]): Promise<void> {
    const own = (await this.#account.api.ownEmail()).toLowerCase();
    for (const email of emails) {
      if (email.toLowerCase() === own) continue;
      const found = await this.#calls.read<{ items?: readonly { accessId?: string | null; timeCreated?: string | null }[] }>(
        'storage.hmacKeys.list',
        ({ storage, options }) => storage.projects.hmacKeys.list({ projectId: this.#account.project, serviceAccountEmail: email }, options),
      );
      for (const { accessId } of found.items ?? []) {
        if (!accessId) continue;
        const row = await readHmac(this.#account, this.#calls, accessId);
        this.#befores[stepKey('gcp/deactivate-hmac-key', { account: this.#account.project, accessId })] = hmacBefore(row, this.#at());
        const ref = { kind: 'gcp.hmac-key', locator: { accessId } };
        if (this.#nodes.has(nodeId(ref))) continue;
        const late = this.#on.since !== undefined && row !== undefined && row.createdAt >= this.#on.since;
        this.#credential(
          ref,
          {
            principal: memberOf(email),
            live: this.#hmacLive(accessId, row),
            ...(row ? { issuedAt: row.createdAt, status: row.state } : {}),
          },
          `HMAC key ${accessId}`,
          this.#says('an HMAC key of the same account', 'storage', late ? 'suspected' : 'certain'),
        );
      }
    }
  }

  /** Waits until the log has had the time that it takes to be complete. Cloud Logging has no watermark, so that time is all there is. */
  async #passed(containedAt: number): Promise<Watermark> {
    const { logLagMs, marginMs } = this.#on.timing;
    const lagMs = logLagMs + marginMs;
    await readProjectPolicy(this.#account, this.#calls);
    const rest = containedAt + lagMs + 1000 - this.#calls.now;
    if (rest > 0) {
      await this.#on.sleep(rest);
      await readProjectPolicy(this.#account, this.#calls);
    }
    const so = this.#calls.now >= containedAt + lagMs;
    const until = new Date(containedAt).toISOString();
    return so
      ? { ...yes(this.#at(), 'log', `${lagMs} ms have gone by since ${until}`), until, lagMs }
      : { ...unknown(this.#at(), 'log', `the log may be behind ${until}`), lagMs };
  }

  async #privilege(email: string | undefined, walked: Walk | undefined): Promise<ProviderFinding['privilege']> {
    if (email === undefined) return 'unknown';
    let policy = walked?.policy;
    try {
      policy ??= await readProjectPolicy(this.#account, this.#calls);
    } catch (error) {
      if (codeOf(error) === 'provider.denied') return 'unknown';
      throw error;
    }
    const roles = rolesOf(policy, email);
    if (
      roles.some(
        (role) =>
          role === 'roles/owner' ||
          /^roles\/(iam\.(securityAdmin|organizationRoleAdmin|serviceAccountAdmin|serviceAccountTokenCreator|serviceAccountKeyAdmin)|resourcemanager\.)/.test(
            role,
          ),
      )
    )
      return 'administrator';
    if (
      roles.some((role) => role === 'roles/editor' || role.startsWith('roles/iam.') || !role.startsWith('roles/')) ||
      walked?.reached.length
    )
      return 'elevated';
    return 'ordinary';
  }

  #tell(
    root: Root,
    rows: readonly KeyRow[] | undefined,
    walked: Walk | undefined,
    passed: Watermark | undefined,
    from: number,
    since: number,
    privilege: ProviderFinding['privilege'],
  ): Looked {
    const on = this.#on;
    const at = this.#at();
    const account = this.#account;
    const rootId = nodeId(on.credential);
    const graph = { nodes: [...this.#nodes.values()], edges: this.#edges };
    const descendants = below(rootId, this.#edges).filter((id) => this.#nodes.get(id)?.credential?.live.state !== 'no');
    const mine = (walked?.calls ?? []).filter((event) => !event.reason?.startsWith('tourniquet/'));
    const consumers = consumersOf(on, root.email);
    const strangers = mine
      .filter((event) => Number.isNaN(since) || Date.parse(event.at) >= since)
      .filter((event) => !consumers.some((each) => isSeenAs(each, event)));
    const notRead = unknown(at, 'log', 'the log was not read');
    const first = strangers.at(-1);
    const misuse = !walked
      ? notRead
      : first
        ? on.since === undefined || consumers.length === 0
          ? unknown(
              at,
              'log',
              `${consumers.length === 0 ? 'no consumer is declared' : 'when it leaked is not known'}: ${strangers.length} calls, the first ${first.name} at ${first.at} from ${first.address}`,
            )
          : yes(
              at,
              'log',
              `${strangers.length} of ${mine.length} calls are of no declared consumer, the first ${first.name} at ${first.at} from ${first.address}; log entry ${first.id}`,
            )
        : walked.visible.so
          ? no(at, 'log', `all ${mine.length} calls are of declared consumers, as far as the log reaches`)
          : unknown(at, 'log', `no call was seen that a consumer does not explain, and most are not logged: ${walked.visible.why}`);
    const logs: LogReach[] = [
      {
        source: 'cloudaudit activity',
        from: new Date(from).toISOString(),
        passed: passed ?? unknown(at, 'log', 'nothing was contained that it should have passed'),
        blind,
      },
      {
        source: 'cloudaudit data_access',
        from: new Date(from).toISOString(),
        passed: walked?.visible.so && passed ? passed : unknown(at, 'log', walked ? walked.visible.why : 'it was not read'),
        blind,
      },
    ];
    const seenBy: ProviderFinding['seen'][number][] = [];
    for (const consumer of consumers) {
      const last = mine.find((event) => isSeenAs(consumer, event));
      const id = last?.keyName?.split('/keys/')[1];
      if (last)
        seenBy.push({
          consumer: consumer.id,
          credential:
            id && root.email ? nodeId({ kind: 'gcp.service-account-key', locator: { clientEmail: root.email, privateKeyId: id } }) : rootId,
          lastAt: last.at,
        });
    }
    // Every log that could show more has to have passed. Where Data Access is off there is nothing to wait for: every account that could have been reached is in the graph.
    const full = on.depth === 'full';
    const swept =
      !walked && root.email !== undefined && !(full && on.credential.kind === 'gcp.hmac-key')
        ? notRead
        : walked && walked.gaps.length > 0
          ? unknown(at, 'log', walked.gaps.join('; '))
          : (passed ?? unknown(at, 'log', 'nothing has been contained yet that the log should have passed'));
    const finding: ProviderFinding = {
      provider: 'gcp',
      account: account.project,
      providerTime: at,
      ours: root.ours,
      canary: false,
      live: root.live,
      possession: root.possession,
      credential: on.credential,
      ...(root.email ? { principal: memberOf(root.email) } : {}),
      privilege,
      graph,
      descendants,
      misuse,
      sessions: { maxLifeSeconds: account.limits.maxTokenLifeSeconds },
      logs,
      secretsRead: [
        ...new Set(mine.filter((event) => event.name === 'AccessSecretVersion' && !event.refused).map((event) => event.resource)),
      ],
      ...(rows ? { slots: { used: rows.length, limit: 10 } } : {}),
      swept,
      seen: seenBy,
      requestIds: [...this.#calls.requestIds],
    };
    const evidence: Record<string, unknown> = {
      ...(rows ? { keys: rows } : {}),
      ...(walked
        ? {
            reached: walked.reached.map(({ email, from: by, how, evidence: why }) => ({ email, from: by, how, why })),
            visible: walked.visible,
            gaps: walked.gaps,
            changes: walked.events.slice(0, 200).map(kept),
            unexplained: strangers.slice(0, 200).map(kept),
            bindings: walked.policy?.bindings ?? [],
          }
        : {}),
    };
    return { finding, befores: this.#befores, evidence };
  }
}

type Reached = 'seen' | 'possible';
const tokenId = (email: string): string => nodeId({ kind: 'gcp.access-token', locator: { tokensOf: memberOf(email) } });

/** An entry as it is kept: who did what, and neither request nor answer. */
function kept(event: LogEvent): Readonly<Record<string, unknown>> {
  const { id, at, service, name, by, keyName, delegation, resource, address, agent, refused } = event;
  return { id, at, service, name, by, ...(keyName ? { keyName } : {}), delegation, resource, address, agent, refused };
}

/** How long a token lives that a mint in the log made, in seconds; undefined where its life is not in the entry. */
function lifeOf(event: LogEvent): number | undefined {
  if (event.name === 'SignBlob' || event.name === 'SignJwt') return 12 * 3_600 + 3_600;
  const seconds = /^(\d+)s$/.exec(typeof event.request.lifetime === 'string' ? event.request.lifetime : '3600s')?.[1];
  return seconds === undefined ? undefined : Number(seconds);
}

/** True where a call looks like that consumer's, by every mark that the inventory gives. The user agent is what the caller says of itself. */
function isSeenAs(consumer: Consumer, event: LogEvent): boolean {
  const { userAgent, sourceAddress } = consumer.seenAs;
  if (userAgent === undefined && sourceAddress === undefined) return false;
  if (userAgent !== undefined && !event.agent.includes(userAgent)) return false;
  return sourceAddress === undefined || isAt(event.address, sourceAddress);
}

function isAt(address: string, place: string): boolean {
  if (address === place) return true;
  const [network, prefix] = place.split('/');
  const family = isIP(address);
  if (prefix === undefined || family === 0 || network === undefined || isIP(network) !== family) return false;
  const list = new BlockList();
  list.addSubnet(network, Number(prefix), family === 4 ? 'ipv4' : 'ipv6');
  return list.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

/** The consumers whose store holds a credential of the account; all that are declared, where no store names it. */
function consumersOf(on: Look, email: string | undefined): readonly Consumer[] {
  const names = email === undefined ? [] : [email, memberOf(email)];
  const stores = new Set(on.inventory.stores.filter((store) => names.includes(store.principal)).map((store) => store.id));
  const own = on.inventory.consumers.filter((consumer) => stores.has(consumer.store));
  return own.length > 0 ? own : on.inventory.consumers;
}

function below(root: string, edges: readonly GraphEdge[]): readonly string[] {
  const found = new Set<string>();
  const queue = [root];
  for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
    for (const edge of edges) {
      if (edge.kind !== 'derives' || edge.from !== id || edge.to === root || found.has(edge.to)) continue;
      found.add(edge.to);
      queue.push(edge.to);
    }
  }
  return [...found];
}
