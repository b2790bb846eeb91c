import { describe, expect, it } from 'vitest';
import { nodeId } from '../../domain/credential.ts';
import { actionOf } from '../../domain/manifest.ts';
import { knowledgeOf } from '../../planning/kinds/index.ts';
import { provider } from '../../providers/webhook/index.ts';
import { manifest } from '../../providers/webhook/manifest.ts';

const identified = (text: string) => provider.identify(text)?.credential ?? { kind: 'none', locator: {} };

describe('what a report may call such a credential', () => {
  it.each([
    ['webhook:billing/key_17', 'webhook.credential', { system: 'billing', id: 'key_17' }],
    [' webhook-one-way:old.billing/a/b:c=1 ', 'webhook.one-way', { system: 'old.billing', id: 'a/b:c=1' }],
  ])('%j is a %s', (text, kind, locator) => {
    expect(provider.identify(text)).toEqual({ credential: { kind, locator }, provider: 'webhook', account: locator.system });
  });
  it.each([
    'webhook:',
    'webhook:billing',
    'webhook:/key',
    'webhook:Bil ling/key',
    'webhooks:billing/key',
    'webhook:billing/a b',
    'AKIAIOSFODNN7EXAMPLE',
    '',
  ])('%j is none', (text) => expect(provider.identify(text)).toBeUndefined());
});

describe('what a plan can do about it, by the manifest alone', () => {
  const knowledge = knowledgeOf('webhook', { webhook: manifest });
  const levers = (text: string) => {
    const credential = { ...identified(text), live: { state: 'yes' as const, at: '', source: 'administrator' as const, evidence: '' } };
    if (!knowledge?.handles(credential)) throw new Error('the planner does not know it');
    // A kind without a principal stands for itself.
    const principal = { id: nodeId(credential), account: 'billing', name: 'key_17', kind: 'user' as const };
    return {
      disable: knowledge.disable(credential, principal),
      remove: knowledge.remove(credential, principal),
      mint: knowledge.mint(principal, credential),
      newUse: knowledge.watchNewUse(principal, 'runner', credential),
      quiet: knowledge.watchOldQuiet(credential, principal),
    };
  };
  const target = { account: 'billing', system: 'billing', id: 'key_17' };

  it('contain comes first where it can be taken back', () => {
    expect(levers('webhook:billing/key_17')).toEqual({
      disable: { action: 'contain', target, subject: 'key_17' },
      remove: { action: 'revoke', target, subject: 'key_17' },
      mint: { action: 'mint', target, subject: 'billing' },
      newUse: { action: 'watch-new-use', target: { ...target, consumer: 'runner' }, subject: 'runner' },
      quiet: { action: 'watch-old-quiet', target, subject: 'key_17' },
    });
  });

  it('a system that cannot undo is given the irreversible action alone', () => {
    const { disable, remove } = levers('webhook-one-way:billing/key_17');
    expect(disable).toBeUndefined();
    expect(remove).toEqual({ action: 'revoke', target, subject: 'key_17' });
    expect(actionOf(manifest, remove?.action ?? '')?.reversibility).toBe('irreversible');
  });
});
