import { expect, it } from 'vitest';
import { responderPolicy } from '../../lab/world/aws.ts';
import { manifest } from '../../providers/aws/manifest.ts';
import { actionsIn, describeProvider } from '../conformance/index.ts';
import { describePage } from '../conformance/page.ts';
import { harnesses } from './harnesses.ts';
import { practice } from './practice.ts';

describeProvider(manifest, harnesses, async () => actionsIn(await practice()));

const declared = [...new Set(manifest.actions.flatMap((action) => action.permissions))];

it('the practice responder is allowed all that the manifest declares', () => {
  const { Statement } = JSON.parse(responderPolicy('111122223333')) as { Statement: readonly { Action: readonly string[] }[] };
  const allowed = Statement.flatMap((statement) => statement.Action);
  expect(
    declared.filter((name) => !allowed.includes(name)),
    'permissions that lab/world/aws.ts does not give',
  ).toEqual([]);
});

// Nobody can be denied it.
describePage(manifest, ['sts:GetCallerIdentity']);
