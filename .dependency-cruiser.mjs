/*
 * The arrows of ARCHITECTURE.md as dependency-cruiser reads them. `npm run check arrows` runs it through scripts/arrows.mjs, which lends
 * it a TypeScript that it can parse with (why stands there). What counts are imports as written, `import type` included; where only
 * values matter a rule says so. Tests may import anything, so every rule starts from files that are none.
 */

/** Who may import whom, itself apart. The left-hand room imports the right-hand ones and no other room. */
const drawing = {
  domain: [],
  planning: ['domain', 'providers/manifests', 'providers/*/manifest'],
  intake: ['domain'],
  inventory: ['domain'],
  providers: ['domain'],
  audit: ['domain', 'planning'],
  workflows: ['domain'], // and the types of activities: see `workflows-know-types-of-activities-only`
  activities: ['domain', 'planning', 'providers', 'inventory', 'intake', 'audit'],
  workers: ['domain', 'planning', 'providers', 'inventory', 'intake', 'audit', 'activities'],
  client: ['domain', 'intake', 'audit'],
  cli: ['domain', 'planning', 'client', 'intake', 'inventory', 'audit', 'providers', 'lab', 'workers/bundle'], // the bundle for `audit verify` only, planning for a dry run (docs/decisions); the inventory because `init` and `doctor` read its file
  policies: ['domain', 'planning'],
};

/** lab may import anything. Nothing but tests, cli and the benches imports lab; of scripts, only what runs before TypeScript can. */
const free = ['lab', 'test', 'bench', 'scripts', 'docs', 'api', 'console'];

const rooms = [...Object.keys(drawing), ...free];
const test = '\\.test\\.ts$';
const inRoom = (name) => `^${name.replaceAll('*', '[^/]+')}(/|\\.ts$)`;

const arrows = Object.entries(drawing).map(([room, mayImport]) => ({
  name: `${room}-imports-${mayImport.length === 0 ? 'only-itself' : mayImport.join('-').replaceAll('/', '.')}`,
  comment: `${room} imports ${mayImport.length === 0 ? 'no other room' : `of the other rooms only ${mayImport.join(', ')}`}.`,
  severity: 'error',
  from: { path: inRoom(room), pathNot: test },
  to: {
    path: rooms.map(inRoom).join('|'),
    pathNot: [...[room, ...mayImport].map(inRoom), ...(room === 'workflows' ? [inRoom('activities')] : [])].join('|'),
  },
}));

/** In node_modules or not: what an import of that package resolves to. */
const packages = (...names) => names.map((name) => `(^|/)node_modules/${name}/`).join('|');
const outside = { dependencyTypes: ['npm', 'npm-dev', 'npm-optional', 'npm-peer', 'npm-no-pkg', 'npm-unknown', 'core'] };
const manifests = '^providers/manifests\\.ts$|^providers/[^/]+/manifest\\.ts$';
const shipped = `^(${[...Object.keys(drawing), 'lab'].join('|')})/`;

export default {
  forbidden: [
    ...arrows,
    {
      name: 'workflows-know-types-of-activities-only',
      comment: 'Workflow code runs in a sandbox, replays for years, and may name an activity but never carry its code.',
      severity: 'error',
      from: { path: '^workflows/', pathNot: test },
      to: { path: '^activities/', dependencyTypesNot: ['type-only', 'type-import'] },
    },
    {
      name: 'nobody-imports-workflows',
      comment: 'Workers run the bundle; everybody else speaks by the messages in domain.',
      severity: 'error',
      from: { pathNot: `^workflows/|^test/|${test}` },
      to: { path: '^workflows/' },
    },
    {
      name: 'only-workers-import-the-built-bundle',
      comment: 'And lab, which may import anything, since it starts workers.',
      severity: 'error',
      from: { pathNot: `^(workers|lab|test|bench|scripts)/|^cli/release\\.ts$|${test}` },
      to: { path: '^workers/bundle\\.ts$|workflow-bundle\\.cjs$' },
    },
    {
      name: 'nothing-but-tests-and-cli-imports-lab',
      severity: 'error',
      from: { pathNot: `^(lab|cli|test|bench|scripts)/|${test}` },
      to: { path: '^lab/' },
    },
    {
      name: 'no-circle',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'plain-domain-imports-only-canonicalize-and-noble',
      comment: 'These files enter the workflow bundle and the auditor reads them: pure, and small.',
      severity: 'error',
      from: { path: '^domain/', pathNot: `\\.schema\\.ts$|${test}` },
      to: { ...outside, pathNot: packages('canonicalize', '@noble/hashes', '@noble/curves') },
    },
    {
      name: 'plain-domain-takes-only-types-from-schemas',
      comment: 'So no schema library enters the bundle, where it costs two to three times the CPU of a run.',
      severity: 'error',
      from: { path: '^domain/', pathNot: `\\.schema\\.ts$|${test}` },
      to: { path: '\\.schema\\.ts$', dependencyTypesNot: ['type-only', 'type-import'] },
    },
    {
      name: 'workflows-take-only-types-from-schemas',
      severity: 'error',
      from: { path: '^workflows/', pathNot: test },
      to: { path: '\\.schema\\.ts$', dependencyTypesNot: ['type-only', 'type-import'] },
    },
    {
      name: 'schemas-import-zod-and-what-reads-a-file',
      comment: 'YAML, the condition language and path arithmetic are how a file at an edge is read; nothing here does I/O.',
      severity: 'error',
      from: { path: '^domain/.*\\.schema\\.ts$' },
      to: { ...outside, pathNot: `${packages('zod', 'yaml', '@marcbachmann/cel-js')}|^path$` },
    },
    {
      name: 'workflows-import-only-the-sdk',
      comment: 'With the three rules above: workflow-reachable code never imports zod or a node module.',
      severity: 'error',
      from: { path: '^workflows/', pathNot: test },
      to: { ...outside, pathNot: packages('@temporalio/workflow', '@temporalio/common') },
    },
    {
      name: 'planning-and-manifests-are-pure',
      comment: 'Both are re-run by an auditor, years later, on another machine.',
      severity: 'error',
      from: { path: `^planning/|${manifests}`, pathNot: test },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'manifests-import-only-domain-and-manifests',
      severity: 'error',
      from: { path: manifests },
      to: { pathNot: `^domain/|${manifests}` },
    },
    {
      name: 'providers-do-not-know-each-other',
      severity: 'error',
      from: { path: '^providers/([^/]+)/', pathNot: test },
      to: { path: '^providers/[^/]+/', pathNot: '^providers/$1/' },
    },
    {
      name: 'what-ships-needs-no-development-package',
      severity: 'error',
      from: { path: shipped, pathNot: test },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['npm', 'type-only'] },
    },
    {
      name: 'every-import-is-found',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    moduleSystems: ['es6', 'cjs'],
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
};
