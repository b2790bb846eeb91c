import type { KindManifest, ProviderManifest, Way } from '../../domain/manifest.ts';

const on = (action: string, subject = '{id}', more: Readonly<Record<string, string>> = {}): Way => ({
  action,
  target: { account: '{account}', system: '{system}', id: '{id}', ...more },
  subject,
});

const source = 'docs/webhook.md';

/** What both kinds have in common. What a credential of a team's system can make only its endpoint can tell: `maxDerivedTtl` of its capabilities bounds it, and `listDescendants` names it. */
const ofTeam = {
  locator: ['system', 'id'],
  identified: 'By the text `webhook:SYSTEM/ID`, without the secret; with it the endpoint says whether the secret is the one of that id.',
  mints: [
    {
      kind: 'webhook.derived',
      via: 'whatever the system gives for it',
      logged: 'sometimes',
      maxLife: 'unlimited',
      killedBy: ['its own expiry', 'what `contain` does, where the endpoint says so'],
    },
  ],
  overlap: 'unlimited',
  survives: ['What it has made, until `residualUntil` of the endpoint’s answer; for good where the endpoint gives no such time.'],
  limits: ['One request to the endpoint at a time for each step; 1 MiB an answer; 5000 descendants or uses.'],
} as const satisfies Partial<KindManifest>;

/**
 * Any system that a team runs an endpoint for. Pure data; permissions are operations of the contract, which an endpoint may allow one by one.
 */
export const manifest: ProviderManifest = {
  name: 'webhook',
  title: 'A team’s own system, by webhook',
  kinds: [
    {
      ...ofTeam,
      kind: 'webhook.credential',
      title: 'Credential of a team’s system, which can take a containment back',
      holderNotices: 'Its calls are refused while it is contained; what else, the system’s own team knows.',
      ways: {
        disable: on('contain'),
        remove: on('revoke'),
        mint: on('mint', '{system}'),
        watchNewUse: on('watch-new-use', '{consumer}', { consumer: '{consumer}' }),
        watchOldQuiet: on('watch-old-quiet'),
      },
    },
    {
      ...ofTeam,
      kind: 'webhook.one-way',
      title: 'Credential of a team’s system, which cannot give back what it has taken away',
      identified: 'By the text `webhook-one-way:SYSTEM/ID`; else as the other kind.',
      holderNotices: 'Its calls are refused from the revocation on.',
      // No `disable`: its only containment is for good, and somebody is asked first.
      ways: {
        remove: on('revoke'),
        mint: on('mint', '{system}'),
        watchNewUse: on('watch-new-use', '{consumer}', { consumer: '{consumer}' }),
        watchOldQuiet: on('watch-old-quiet'),
      },
    },
    {
      kind: 'webhook.derived',
      title: 'What a credential of a team’s system has made',
      locator: ['system', 'id'],
      identified: 'By the endpoint alone, when it lists what a credential has made.',
      mints: [],
      overlap: 'unlimited',
      survives: [],
      holderNotices: 'When it expires, or when its parent is contained and the endpoint says that this stops it.',
    },
  ],
  actions: [
    {
      name: 'contain',
      title: 'Contain {id} of {system} through its team’s endpoint',
      phase: 'contain',
      reversibility: 'reversible',
      scope: 'credential',
      permissions: ['capabilities', 'check', 'contain', 'uncontain'],
      byHand: 'Ask the team that runs {system} to make {id} useless in a way that can be taken back.',
      byHandUndo: 'Ask the team that runs {system} to give {id} back.',
      source,
    },
    {
      name: 'revoke',
      title: 'Revoke {id} of {system} for good through its team’s endpoint',
      phase: 'revoke',
      reversibility: 'irreversible',
      irreversibleBecause: 'the contract has no way back from `revoked`',
      scope: 'credential',
      permissions: ['check', 'revoke'],
      byHand: 'Ask the team that runs {system} to revoke {id}.',
      source,
    },
    {
      name: 'mint',
      title: 'Make a successor of {id} at {system} through its team’s endpoint',
      phase: 'mint',
      reversibility: 'reversible',
      scope: 'credential',
      mints: true,
      permissions: ['capabilities', 'check', 'mint', 'activate', 'revoke'],
      byHand: 'Ask the team that runs {system} for a successor of {id}, and have it put where its users look for it.',
      byHandUndo: 'Ask the team that runs {system} to revoke the successor, once {id} is accepted again.',
      source,
    },
    {
      name: 'watch-new-use',
      title: 'Wait until {consumer} is seen with the successor at {system}',
      phase: 'verify',
      reversibility: 'reversible',
      scope: 'none',
      watches: true,
      permissions: ['check', 'evidence'],
      byHand: 'Ask the team that runs {system} whether {consumer} has used the successor.',
      source,
    },
    {
      name: 'watch-old-quiet',
      title: 'Wait until {id} of {system} is not used any more',
      phase: 'verify',
      reversibility: 'reversible',
      scope: 'none',
      watches: true,
      permissions: ['check', 'evidence'],
      byHand: 'Ask the team that runs {system} when {id} was used last.',
      source,
    },
  ],
  reads: ['capabilities', 'identify', 'check', 'listDescendants', 'evidence'],
  // An answer carries `effectiveAt`; whatever still spreads after it is in the account's own `timing`.
  propagationMs: 0,
  logs: [
    {
      source: 'the endpoint’s evidence',
      usualLagMs: 60_000,
      reachDays: 0,
      blind: ['whatever the team’s system does not log', 'everything, where the endpoint says that its evidence is not complete'],
    },
  ],
  links: ['https://www.standardwebhooks.com'],
};
