import { DeleteUserPolicyCommand, ListAccessKeysCommand, UpdateAccessKeyCommand } from '@aws-sdk/client-iam';
import { unknown } from '../../domain/observation.ts';
import { cutOffPolicy, holdPolicy } from '../../providers/aws/policies.ts';
import type { Reverted } from '../../providers/contract.ts';
import { type Plant, type Row, rowsOf } from './rows.ts';

/** One wrong undo, the row it is played in, and the words by which it is to be found. */
export interface Defect {
  readonly words: string;
  readonly row: Row;
  readonly found: RegExp;
}

const nothing = async (): Promise<Reverted> => ({
  outcome: 'changed',
  requestIds: [],
  observation: unknown(new Date().toISOString(), 'engine', 'a defect says so'),
});

const defect = (words: string, row: string, plant: Plant, found: RegExp): Defect => {
  const played = (['public', 'internal', 'crowded'] as const).flatMap(rowsOf).find((each) => each.name === row);
  if (!played) throw new Error(`no row "${row}"`);
  return { words, row: { ...played, name: `planted: ${words}`, plant }, found };
};

/** Undo defects of the kinds that have been written: each says that all is well, and only the world tells. */
export const defects: readonly Defect[] = [
  defect(
    'a revert that enables every key of the user',
    'crowded: rolled back after aws/disable-key leaked',
    {
      step: 'aws/disable-key leaked',
      async revert(right, { iam }, { user: UserName }) {
        const { AccessKeyMetadata = [] } = await iam.send(new ListAccessKeysCommand({ UserName }));
        for (const { AccessKeyId } of AccessKeyMetadata)
          await iam.send(new UpdateAccessKeyCommand({ UserName, AccessKeyId, Status: 'Active' }));
        return await right();
      },
    },
    /^key AKIA\w+ of deployer-crowded-\d+: changed$/,
  ),
  defect(
    'a revert that forgets the old policy',
    'crowded: rolled back after aws/deny-principal',
    {
      step: 'aws/deny-principal',
      async revert(right, { iam }, { user: UserName }) {
        const answer = await right();
        await iam.send(new DeleteUserPolicyCommand({ UserName, PolicyName: holdPolicy }));
        return answer;
      },
    },
    /^policy tourniquet-hold of deployer-crowded-\d+: gone$/,
  ),
  defect(
    'a revert that lifts the cut-off',
    'internal: rolled back after aws/cut-off-sessions',
    {
      step: 'aws/cut-off-sessions',
      async revert(_right, { iam }, { user: UserName }) {
        await iam.send(new DeleteUserPolicyCommand({ UserName, PolicyName: cutOffPolicy }));
        return await nothing();
      },
    },
    /^the cut-off was lifted before its date$/,
  ),
  defect(
    'a revert that writes something else over the old value',
    'internal: rolled back after vault/distribute-secret',
    {
      step: 'vault/distribute-secret',
      async revert(right, { bao }, { below, stored }) {
        const answer = await right();
        await bao.call('POST', `kv/data/${below}`, { data: { id: stored.id, secret: stored.secret } });
        return answer;
      },
    },
    /^secret kv\/ci\/internal-\d+: changed$/,
  ),
  defect(
    'a revert that leaves the key it made',
    'internal: rolled back after aws/mint-key',
    { step: 'aws/mint-key', revert: nothing },
    /^key AKIA\w+ of deployer-internal-\d+: new$/,
  ),
  defect(
    'a revert that leaves the staged copy',
    'internal: rolled back after vault/stage-secret',
    { step: 'vault/stage-secret', revert: nothing },
    /^secret kv\/ci\/internal-\d+--staged\/\w+: new$/,
  ),
  defect(
    'a revert that leaves the deny',
    'public: rolled back after aws/deny-principal',
    { step: 'aws/deny-principal', revert: nothing },
    /^policy tourniquet-hold of deployer-public-\d+: new$/,
  ),
];
