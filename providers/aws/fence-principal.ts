import { fault } from '../../domain/errors.ts';
import type { Action, StepContext } from '../contract.ts';
import { type AwsAccount, textsOf } from './account.ts';
import { type Denial, denyOn } from './deny.ts';
import { type Gates, gatesIn, gatesOf } from './fence.ts';
import { fenceDocument, fencePolicy, isFence, markOf, type PolicyBefore } from './policies.ts';

/** All inline policies of a user together, white space apart (IAM User Guide, "IAM and AWS STS quotas"). */
const inlineQuota = 2048;

/** What the params leave open: declared networks and VPCs. Throws `provider.invalid` where they name nothing, what is none, or half of the internet. */
function wanted(context: StepContext): Gates {
  return gatesOf(textsOf(context, 'networks') ?? [], textsOf(context, 'vpcs') ?? []);
}

export const fence: Denial = {
  on: 'fence-principal',
  off: 'lift-fence',
  policy: fencePolicy,
  document(context) {
    const document = fenceDocument(markOf(context), wanted(context));
    if (document.length > inlineQuota)
      throw fault('provider.invalid', {
        policy: fencePolicy,
        because: `so many networks make a policy of ${document.length} characters, and a user has room for ${inlineQuota}`,
      });
    return document;
  },
  serves(document, context) {
    const open = gatesIn(document);
    if (!open) return false;
    const may = wanted(context);
    const within = (of: keyof Gates) => open[of].every((each) => may[of].includes(each));
    return within('networks') && within('vpcs') && within('endpoints');
  },
  isOurs: isFence,
  facts(context) {
    const gates = wanted(context);
    const passedOver = (textsOf(context, 'networks') ?? []).filter((each) => !gates.networks.includes(each.trim().toLowerCase()));
    return { open: [...gates.networks, ...gates.vpcs, ...gates.endpoints], ...(passedOver.length > 0 ? { passedOver } : {}) };
  },
  words: (user) => `denies ${user} everything from elsewhere than the declared networks`,
};

/**
 * Denies a user everything that does not come from a declared network or VPC, or from AWS itself on the user's behalf: consumers that stand there go on working while whoever stole the key is
 * out. Params: `networks` (CIDRs) and `vpcs` (ids of VPCs or their endpoints), which are the inventory's and never addresses that were merely seen.
 */
export function fencePrincipal(account: AwsAccount): Action<PolicyBefore> {
  return denyOn(account, fence);
}
