import type { ActionManifest, KindManifest, ProviderManifest, Way } from '../domain/manifest.ts';
import {
  administratorBy,
  awsRoles,
  fileOf,
  knowsEscalation,
  type PartPolicy,
  partOf,
  policiesOf,
  renderPolicy,
} from '../providers/permissions.ts';

/** Pages and policies that are made from manifests, by their path from the root of the project. */
export function providerPages(manifests: Readonly<Record<string, ProviderManifest>>, generated: string): Readonly<Record<string, string>> {
  const all = Object.values(manifests);
  return {
    'docs/capabilities.md': capabilitiesPage(all, generated),
    ...Object.fromEntries(all.map((manifest) => [`docs/providers/${manifest.name}.md`, providerPage(manifest, generated)])),
    ...Object.fromEntries(all.flatMap(policyFiles)),
  };
}

/** The policies of one provider, by path. */
export function policyFiles(manifest: ProviderManifest): readonly (readonly [string, string])[] {
  const files = policiesOf(manifest).map((policy) => [path(manifest, policy), renderPolicy(manifest, policy)] as const);
  return manifest.name === 'aws' ? [...files, ['permissions/aws/roles.json', awsRoles(manifest)]] : files;
}

const path = (manifest: ProviderManifest, policy: PartPolicy): string => `permissions/${manifest.name}/${fileOf(manifest, policy.part)}`;
const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
const row = (...cells: readonly string[]): string => `| ${cells.map((each) => (each === '' ? '–' : cell(each))).join(' | ')} |`;
const table = (head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] => [
  row(...head),
  `|${head.map(() => '---').join('|')}|`,
  ...rows.map((each) => row(...each)),
];
/** Sentences and half-sentences on one line. */
const listed = (items: readonly string[]): string =>
  items.map((each, at) => (at === items.length - 1 ? each : each.replace(/\.$/, ''))).join('; ');
const code = (text: string): string => (text.includes('`') ? `\`\` ${text} \`\`` : `\`${text}\``);

/** A span of time as a person says it. */
export function spanOf(ms: number): string {
  if (ms === 0) return 'none';
  const units = [
    [86_400_000, 'd'],
    [3_600_000, 'h'],
    [60_000, 'min'],
    [1000, 's'],
    [1, 'ms'],
  ] as const;
  const [size, name] = units.find(([each]) => ms >= each && ms % each === 0) ?? [1, 'ms'];
  return `${ms / size} ${name}`;
}

const maxLife = (life: number | 'unlimited'): string => (life === 'unlimited' ? 'no end' : `at most ${spanOf(life * 1000)}`);

const actionBy = (manifest: ProviderManifest, way: Way | undefined): ActionManifest | undefined =>
  way && manifest.actions.find((action) => action.name === way.action);

/** Containment that can be taken back, with what takes it back. */
function reversible(manifest: ProviderManifest, kind: KindManifest): string {
  const { disable, deny, liftDeny, cutOff, liftCutOff } = kind.ways ?? {};
  const undo = (lift: Way | undefined): string => (lift ? `→ ${code(lift.action)}` : '→ its undo');
  const pairs = [
    [disable, undefined],
    [deny, liftDeny],
    [cutOff, liftCutOff],
  ] as const;
  const told = pairs.flatMap(([way, lift]) =>
    way && actionBy(manifest, way)?.reversibility !== 'irreversible' ? [`${code(way.action)} ${undo(lift)}`] : [],
  );
  for (const name of kind.stoppedBy ?? [])
    if (!told.some((each) => each.startsWith(code(name)))) told.push(`${code(name)} on its principal`);
  return told.length > 0 ? told.join('; ') : 'none';
}

function irreversible(manifest: ProviderManifest, kind: KindManifest): string {
  const { remove, disable } = kind.ways ?? {};
  const named = [remove, disable].filter((way) => actionBy(manifest, way)?.reversibility === 'irreversible');
  return named.length > 0 ? [...new Set(named.map((way) => code(way?.action ?? '')))].join(', ') : 'none';
}

const mintsOf = (kind: KindManifest): string =>
  kind.mints
    .map(({ kind: made, via, logged, maxLife: life, killedBy }) => {
      const killed =
        killedBy.length === 0
          ? 'nothing here ends it'
          : `ended by ${killedBy.map((each) => (each.includes(' ') ? each : code(each))).join(', ')}`;
      return `${code(made)} by ${via} (${maxLife(life)}, logged ${logged}): ${killed}`;
    })
    .join('; ');

function capabilitiesPage(manifests: readonly ProviderManifest[], generated: string): string {
  const kinds = manifests.flatMap((manifest) => manifest.kinds.map((kind) => [manifest, kind] as const));
  return lines([
    '# What can be done to which credential',
    '',
    generated,
    '',
    'From the manifests of the providers, which the planner reads too. *Irreversible* is what ends a credential for good. *Survives* is what is still live when that is done, and *makes* what a holder can have made of it meanwhile, with what ends that. What has neither a reversible nor an irreversible way goes to a person.',
    '',
    ...table(
      ['provider', 'kind', 'told by', 'containment → inverse', 'irreversible', 'survives', 'makes: killed by', 'at once', 'holder notices'],
      kinds.map(([manifest, kind]) => [
        `[${manifest.name}](providers/${manifest.name}.md)`,
        `${code(kind.kind)} ${kind.title}`,
        kind.identified ?? '',
        reversible(manifest, kind),
        irreversible(manifest, kind),
        kind.survives === undefined ? '' : kind.survives.length === 0 ? 'nothing' : listed(kind.survives),
        mintsOf(kind) || 'nothing',
        String(kind.overlap),
        kind.holderNotices ?? '',
      ]),
    ),
    '',
    '## How long it takes, and who sees it',
    '',
    ...table(
      ['provider', 'a change is effective within', 'log', 'usually behind', 'reaches back', 'blind for'],
      manifests.flatMap((manifest) =>
        manifest.logs.length === 0
          ? [[manifest.name, spanOf(manifest.propagationMs), '', '', '', '']]
          : manifest.logs.map((log) => [
              manifest.name,
              spanOf(manifest.propagationMs),
              log.source,
              spanOf(log.usualLagMs),
              log.reachDays === 0 ? 'as far as the file does' : `${log.reachDays} d`,
              listed(log.blind),
            ]),
      ),
    ),
    '',
    'The figures are as documented or measured elsewhere; an account states its own in `settings.timing`, and a drill measures them.',
  ]);
}

function providerPage(manifest: ProviderManifest, generated: string): string {
  const out: string[] = [
    `# ${manifest.title}`,
    '',
    generated,
    '',
    `What \`providers/${manifest.name}\` declares of itself. How it does it, and what it does not, stands in its [README](../../providers/${manifest.name}/README.md).`,
    '',
    '## Kinds',
    '',
  ];
  if (manifest.kinds.length === 0) out.push('None: it keeps or carries credentials of others.');
  for (const kind of manifest.kinds) {
    out.push(`### ${code(kind.kind)}: ${kind.title}`, '');
    const facts: readonly (readonly [string, string])[] = [
      ['located by', kind.locator.map(code).join(', ')],
      ['told by', kind.identified ?? ''],
      ['contained by → taken back by', reversible(manifest, kind)],
      ['ended for good by', irreversible(manifest, kind)],
      ['survives that', kind.survives === undefined ? '' : kind.survives.length === 0 ? 'nothing' : listed(kind.survives)],
      ['at once, for one principal', String(kind.overlap)],
      ['holder notices', kind.holderNotices ?? ''],
      ['limits', listed(kind.limits ?? [])],
    ];
    out.push(
      ...table(
        ['', ''],
        facts.filter(([, said]) => said !== ''),
      ),
      '',
    );
    if (kind.mints.length > 0) {
      out.push(
        'What a holder can make of it:',
        '',
        ...table(
          ['makes', 'by', 'logged', 'lives', 'ended by'],
          kind.mints.map((each) => [
            code(each.kind),
            each.via,
            each.logged,
            maxLife(each.maxLife),
            each.killedBy.length === 0 ? 'nothing here' : each.killedBy.map((by) => (by.includes(' ') ? by : code(by))).join(', '),
          ]),
        ),
        '',
      );
    }
  }
  out.push('', '## Actions', '');
  for (const action of manifest.actions) out.push(...actionSection(manifest, action));
  out.push('## Timing and logs', '', `A change is effective within: ${spanOf(manifest.propagationMs)}.`, '');
  for (const log of manifest.logs) {
    out.push(
      `- **${log.source}**: usually ${log.usualLagMs === 0 ? 'not behind' : `${spanOf(log.usualLagMs)} behind`}${log.reachDays === 0 ? '' : `, reaches back ${log.reachDays} days`}. Blind for ${log.blind.length === 0 ? 'nothing that is known' : listed(log.blind)}.`,
    );
  }
  out.push('', '## Permissions', '', ...permissionSection(manifest));
  if (manifest.links.length > 0) out.push('', '## Links', '', ...manifest.links.map((each) => `- <${each}>`));
  return lines(out);
}

function actionSection(manifest: ProviderManifest, action: ActionManifest): readonly string[] {
  const facts: readonly (readonly [string, string])[] = [
    ['phase, part', `${action.phase}, ${partOf(manifest, action)}`],
    ['hits', hits[action.scope]],
    [
      'can be taken back',
      action.watches ? 'it changes nothing' : action.reversibility === 'reversible' ? 'yes' : `no: ${action.irreversibleBecause ?? ''}`,
    ],
    ['by hand', code(action.byHand)],
    ['and back', action.byHandUndo === undefined ? '' : code(action.byHandUndo)],
    ['needs', action.permissions.length === 0 ? 'no permission' : action.permissions.map(code).join(', ')],
    ['source', action.source],
  ];
  return [
    `### ${code(action.name)}: ${action.title}`,
    '',
    ...table(
      ['', ''],
      facts.filter(([, said]) => said !== ''),
    ),
    '',
  ];
}

const hits: Readonly<Record<ActionManifest['scope'], string>> = {
  credential: 'this one credential',
  principal: 'whatever acts as the same principal',
  store: 'a place that credentials are kept in',
  none: 'nobody',
};

const purpose: Readonly<Record<PartPolicy['part'], string>> = {
  read: 'looks, and changes nothing',
  contain: 'turns off, and turns on again what it turned off',
  grant: 'contains by calls that could as well give somebody more',
  mint: 'makes new credentials and puts them in place',
  eradicate: 'ends for good',
};

function permissionSection(manifest: ProviderManifest): readonly string[] {
  const policies = policiesOf(manifest);
  if (policies.length === 0) return ['It needs none.'];
  const out = [
    'Each part is for an identity and a worker process of its own, so that the system’s own access control enforces who may do what. Give an account the parts that it shall have done, and no more.',
    '',
    ...table(
      ['part', 'does', 'policy', 'for', 'equals administrator'],
      policies.map((policy) => {
        const up = administratorBy(manifest, policy);
        return [
          policy.part,
          purpose[policy.part],
          `[${path(manifest, policy)}](../../${path(manifest, policy)})`,
          [...new Set(policy.statements.flatMap((each) => each.neededBy))].sort().map(code).join(', '),
          !knowsEscalation(manifest.name) ? 'nobody has looked' : up.length === 0 ? 'no' : `**yes**: ${up.map(code).join(', ')}`,
        ];
      }),
    ),
    '',
  ];
  if (policies.some((policy) => policy.part === 'grant')) {
    out.push(
      '`grant` is apart from `contain` on purpose: the calls that it needs take any text or hit what access hangs on, and the system offers no condition that would limit them. Who holds it equals an administrator over the users and roles it names. Without it, its actions are refused by name and a person does them; `contain` alone can give nobody more.',
      '',
    );
  }
  if (manifest.name === 'aws') {
    out.push(
      '`ACCOUNT_ID` stands for the account. [permissions/aws/roles.json](../../permissions/aws/roles.json) has the parts as roles (CloudFormation), trusted with an external id, so that no key of ours is stored there. `sts:GetCallerIdentity` needs no permission and stands in no policy.',
      '',
    );
  }
  return out;
}

const lines = (parts: readonly string[]): string =>
  `${parts
    .join('\n')
    .replace(/\n{3,}/g, '\n\n')
    .trimEnd()}\n`;
