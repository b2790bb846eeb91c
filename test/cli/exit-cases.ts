/** One wrong call of each command, with the exit code and the error code it ends with. It runs in a folder with a made engine whose server is away. */
export const exitCases: Readonly<
  Record<string, readonly { readonly argv: readonly string[]; readonly exit: number; readonly code?: string; readonly stdin?: string }[]>
> = {
  init: [
    { argv: ['init', '.', '--person', 'alice:approver'], exit: 2, code: 'file.exists' },
    { argv: ['init', 'new'], exit: 2, code: 'usage.invalid' },
    { argv: ['init', 'new', '--person', 'alice'], exit: 2, code: 'usage.invalid' },
    { argv: ['init', 'new', '--person', 'alice:approver', '--account', 'aws'], exit: 2, code: 'usage.invalid' },
    { argv: ['init', 'new', '--person', 'alice:approver'], exit: 2, code: 'usage.invalid' },
  ],
  report: [
    { argv: ['report'], exit: 2, code: 'usage.invalid' },
    { argv: ['report', 'nowhere.json'], exit: 2, code: 'file.missing' },
    { argv: ['report', '-'], stdin: '{"a":', exit: 2 },
    { argv: ['report', '-'], stdin: '{"a":1}', exit: 2 },
    { argv: ['report', '-', '--format', 'gitleaks'], stdin: '[]', exit: 0 },
    { argv: ['report', '--key-id', 'not-a-key-id'], exit: 2, code: 'usage.invalid' },
    { argv: ['report', '--where', 'moon'], exit: 2, code: 'usage.invalid' },
    { argv: ['report', '--secret'], exit: 2, code: 'usage.invalid' },
    { argv: ['report', '--key-id', 'AKIAY34FZKBOKMUTVV7A'], exit: 1, code: 'engine.unavailable' },
    { argv: ['report', '--key-id', 'AKIAY34FZKBOKMUTVV7A', '--as', 'nobody'], exit: 4, code: 'key.missing' },
  ],
  list: [
    { argv: ['list'], exit: 1, code: 'engine.unavailable' },
    { argv: ['list', '--state', 'asleep'], exit: 2, code: 'usage.invalid' },
    { argv: ['list', '--keys', 'elsewhere'], exit: 4, code: 'key.missing' },
    { argv: ['list', '--config', 'nowhere.yaml'], exit: 2, code: 'file.missing' },
  ],
  show: [
    { argv: ['show'], exit: 2, code: 'usage.invalid' },
    { argv: ['show', 'deadbeef'], exit: 1, code: 'engine.unavailable' },
  ],
  plan: [{ argv: ['plan', 'deadbeef'], exit: 1, code: 'engine.unavailable' }],
  approve: [
    { argv: ['approve', 'deadbeef', '--reason', 'x', '--as', 'alice'], exit: 2, code: 'usage.invalid' },
    { argv: ['approve', 'deadbeef', '--plan', 'sha256:0', '--reason', 'x', '--as', 'alice'], exit: 1, code: 'engine.unavailable' },
  ],
  reject: [{ argv: ['reject', 'deadbeef'], exit: 1, code: 'engine.unavailable' }],
  rollback: [{ argv: ['rollback', 'deadbeef'], exit: 1, code: 'engine.unavailable' }],
  finish: [
    { argv: ['finish'], exit: 2, code: 'usage.invalid' },
    { argv: ['finish', 'deadbeef'], exit: 1, code: 'engine.unavailable' },
    { argv: ['finish', 'deadbeef', 'r1-x'], exit: 1, code: 'engine.unavailable' },
  ],
  watch: [
    { argv: ['watch', 'deadbeef'], exit: 1, code: 'engine.unavailable' },
    { argv: ['watch', 'deadbeef', '--until', 'lunch'], exit: 2, code: 'usage.invalid' },
  ],
  'key new': [
    { argv: ['key', 'new', 'tourniquet.yaml', '--as', 'dora'], exit: 2, code: 'file.exists' },
    { argv: ['key', 'new', 'dora.json'], exit: 2, code: 'usage.invalid' },
    { argv: ['key', 'new', 'dora.json', '--as', 'dora'], exit: 2, code: 'usage.invalid' },
    { argv: ['key', 'new', 'dora.json', '--as', 'dora', '--valid', 'long'], exit: 2, code: 'usage.invalid' },
    { argv: ['key', 'new', 'dora.json', '--as', 'dora', '--passphrase-file', 'nowhere'], exit: 4, code: 'key.missing' },
  ],
  'key list': [{ argv: ['key', 'list', '--config', 'nowhere.yaml'], exit: 2, code: 'file.missing' }],
  'trust show': [
    { argv: ['trust', 'show', 'nowhere.yaml'], exit: 2, code: 'file.missing' },
    { argv: ['trust', 'show', 'trust.yaml'], exit: 2, code: 'file.invalid' },
    { argv: ['trust', 'show'], exit: 0 },
  ],
  'trust propose': [
    { argv: ['trust', 'propose', 'trust.yaml', '--as', 'alice'], exit: 2, code: 'file.exists' },
    { argv: ['trust', 'propose', 'next.yaml', '--as', 'alice'], exit: 2, code: 'usage.invalid' },
    { argv: ['trust', 'propose', 'next.yaml', '--as', 'alice', '--until', 'nobody=now'], exit: 2, code: 'usage.invalid' },
    { argv: ['trust', 'propose', 'next.yaml', '--as', 'alice', '--add', 'people.yaml'], exit: 2, code: 'file.invalid' },
    { argv: ['trust', 'propose', 'next.yaml', '--as', 'nobody', '--code', `sha256:${'0'.repeat(64)}`], exit: 4, code: 'key.missing' },
  ],
  'trust sign': [
    { argv: ['trust', 'sign', 'nowhere.yaml', '--as', 'bob'], exit: 2, code: 'file.missing' },
    { argv: ['trust', 'sign', 'people.yaml', '--as', 'bob'], exit: 2, code: 'file.invalid' },
  ],
  'trust publish': [
    { argv: ['trust', 'publish', 'nowhere.yaml'], exit: 2, code: 'file.missing' },
    { argv: ['trust', 'publish', '--keys', 'elsewhere'], exit: 4, code: 'key.missing' },
    { argv: ['trust', 'publish'], exit: 4, code: 'trust.gap' },
  ],
  'decision sign': [{ argv: ['decision', 'sign', 'deadbeef', '--verdict', 'perhaps'], exit: 2, code: 'usage.invalid' }],
  conformance: [
    { argv: ['conformance'], exit: 2, code: 'usage.invalid' },
    { argv: ['conformance', 'http://127.0.0.1:1', '--credential', 'billing/key'], exit: 2, code: 'usage.invalid' },
    { argv: ['conformance', 'http://127.0.0.1:1', '--secret-file', 'nowhere', '--credential', 'billing'], exit: 2, code: 'usage.invalid' },
    {
      argv: ['conformance', 'http://127.0.0.1:1', '--secret-file', 'nowhere', '--credential', 'billing/key'],
      exit: 4,
      code: 'key.missing',
    },
    {
      argv: ['conformance', 'http://keys.example.org', '--secret-file', 'nowhere', '--credential', 'billing/key'],
      exit: 1,
      code: 'provider.invalid',
    },
  ],
  doctor: [{ argv: ['doctor'], exit: 1 }],
  connect: [
    { argv: ['connect'], exit: 2, code: 'usage.invalid' },
    { argv: ['connect', 'moon'], exit: 2, code: 'usage.invalid' },
    { argv: ['connect', 'aws', '--credentials', 'nowhere.json'], exit: 2, code: 'file.missing' },
  ],
  drill: [
    { argv: ['drill'], exit: 2, code: 'usage.invalid' },
    { argv: ['drill', 'moon'], exit: 2, code: 'usage.invalid' },
  ],
  help: [
    { argv: ['help', 'exit-codes'], exit: 0 },
    { argv: ['help', 'decision.stale'], exit: 0 },
    { argv: ['help', 'nonsense'], exit: 2, code: 'usage.invalid' },
  ],
  up: [{ argv: ['up', '--directory'], exit: 2, code: 'usage.invalid' }],
  start: [{ argv: ['start', '--variant', 'third'], exit: 2, code: 'usage.invalid' }],
  down: [{ argv: ['down'], exit: 1, code: 'stack.not-running' }],
  'audit export': [{ argv: ['audit', 'export', 'deadbeef'], exit: 1, code: 'engine.unavailable' }],
  'audit verify': [
    { argv: ['audit', 'verify', 'nowhere.zip'], exit: 2, code: 'file.missing' },
    { argv: ['audit', 'verify', 'tourniquet.yaml'], exit: 1, code: 'audit.broken' },
    { argv: ['audit', 'verify', 'store', '--root', 'x'], exit: 2, code: 'usage.invalid' },
  ],
  'audit gaps': [
    { argv: ['audit', 'gaps', '--config', 'nowhere.yaml'], exit: 2, code: 'file.missing' },
    { argv: ['audit', 'gaps', '--offline', '--root', 'x'], exit: 2, code: 'usage.invalid' },
    { argv: ['audit', 'gaps', '--offline', '--bundle', 'nowhere.zip'], exit: 2, code: 'file.missing' },
    { argv: ['audit', 'gaps', '--offline', '--bundle', 'tourniquet.yaml'], exit: 1, code: 'audit.broken' },
    { argv: ['audit', 'gaps'], exit: 1, code: 'engine.unavailable' },
  ],
  'audit replay': [
    { argv: ['audit', 'replay', 'nowhere'], exit: 2, code: 'file.missing' },
    { argv: ['audit', 'replay', 'trust.yaml'], exit: 1, code: 'audit.broken' },
    { argv: ['audit', 'replay', 'keys/people/alice.json'], exit: 1, code: 'audit.broken' },
  ],
};
