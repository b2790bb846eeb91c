/** What the numbers mean. Every error code of the registry has one of them. */
export const exitCodes: readonly { readonly code: number | string; readonly meaning: string }[] = [
  { code: 0, meaning: 'done as asked' },
  { code: 1, meaning: 'failed' },
  { code: 2, meaning: 'usage: the command, a file or a report is not right' },
  { code: 3, meaning: 'refused by policy or for want of authority' },
  { code: 4, meaning: 'not signed in: a key, passphrase or trust is missing or wrong' },
  { code: 5, meaning: 'the plan is stale, look again' },
  { code: 6, meaning: 'failed and fully rolled back' },
  { code: 7, meaning: 'stuck: a person is needed' },
  { code: 8, meaning: 'pending: waiting for approvals or steps' },
  {
    code: 9,
    meaning: 'consistent, not authenticated: verified without a trust file; or the log of the provider does not reach far enough to tell',
  },
  { code: '128+n', meaning: 'stopped by signal n' },
];
