import { CloudTrailClient, LookupEventsCommand } from '@aws-sdk/client-cloudtrail';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { fault } from '../../domain/errors.ts';
import type { AccountConfig, Discovered } from '../contract.ts';
import { faultOf } from './errors.ts';

/** Regions that are enabled in every account unless somebody turned them off (AWS Account Management Guide, "Enable or disable Regions in your account"), and after them those that have to be enabled. */
const regionsOfAws: readonly string[] = [
  ...['us-east-1', 'us-east-2', 'us-west-1', 'us-west-2', 'ca-central-1', 'sa-east-1'],
  ...['eu-central-1', 'eu-west-1', 'eu-west-2', 'eu-west-3', 'eu-north-1'],
  ...['ap-south-1', 'ap-northeast-1', 'ap-northeast-2', 'ap-northeast-3', 'ap-southeast-1', 'ap-southeast-2'],
  ...['af-south-1', 'ap-east-1', 'ap-south-2', 'ap-southeast-3', 'ap-southeast-4', 'ap-southeast-5', 'ap-southeast-7', 'ca-west-1'],
  ...['eu-central-2', 'eu-south-1', 'eu-south-2', 'il-central-1', 'me-central-1', 'me-south-1', 'mx-central-1'],
];

/**
 * Whose credentials these are, and in which Regions the log answers: by asking each. A Region that is turned off refuses the key itself; one whose log may not be read is told apart, since it is enabled and a
 * sweep would not see it. Regions that are newer than this release have to be added by hand.
 */
export async function discover({ settings, credentials }: Omit<AccountConfig, 'account'>, signal: AbortSignal): Promise<Discovered> {
  const { accessKeyId, secretAccessKey, sessionToken } = credentials;
  if (!accessKeyId || !secretAccessKey)
    throw fault('provider.invalid', { because: 'the credentials hold no accessKeyId and secretAccessKey' });
  const endpoint = typeof settings.endpoint === 'string' ? settings.endpoint : undefined;
  const place = (region: string) => ({
    region,
    maxAttempts: 2,
    ...(endpoint === undefined ? {} : { endpoint }),
    credentials: {
      accessKeyId: accessKeyId.reveal(),
      secretAccessKey: secretAccessKey.reveal(),
      ...(sessionToken ? { sessionToken: sessionToken.reveal() } : {}),
    },
  });
  const globalRegion = typeof settings.globalRegion === 'string' ? settings.globalRegion : 'us-east-1';
  const sts = new STSClient(place(globalRegion));
  let identity: { readonly Account?: string | undefined; readonly Arn?: string | undefined };
  try {
    identity = await sts.send(new GetCallerIdentityCommand({}), { abortSignal: signal });
  } catch (error) {
    throw faultOf(error, 'sts:GetCallerIdentity', false);
  } finally {
    sts.destroy();
  }
  const named = Array.isArray(settings.regions) ? settings.regions.filter((each): each is string => typeof each === 'string') : undefined;
  const asked = await Promise.all(
    (named ?? regionsOfAws).map(async (region) => {
      const trail = new CloudTrailClient(place(region));
      try {
        await trail.send(new LookupEventsCommand({ MaxResults: 1 }), { abortSignal: signal });
        return { region, answer: 'yes' as const };
      } catch (error) {
        const { name } = error as Error;
        if (/AccessDenied|UnauthorizedOperation/.test(name)) return { region, answer: 'denied' as const };
        return { region, answer: /Throttl/.test(name) ? ('yes' as const) : ('no' as const) };
      } finally {
        trail.destroy();
      }
    }),
  );
  const of = (answer: 'yes' | 'no' | 'denied') => asked.filter((each) => each.answer === answer).map((each) => each.region);
  const [readable, denied] = [of('yes'), of('denied')];
  return {
    account: identity.Account ?? '',
    identity: identity.Arn ?? '',
    settings: { regions: [...readable, ...denied] },
    told: [
      readable.length > 0 ? `The log answers in ${readable.join(', ')}.` : 'The log answers in no Region.',
      ...(denied.length > 0
        ? [`The log may not be read in ${denied.join(', ')}: allow cloudtrail:LookupEvents, or no sweep there counts.`]
        : []),
      ...(named === undefined && of('no').length > 0
        ? [`${of('no').length} other Regions do not take this key: they are turned off, or cannot be reached from here.`]
        : []),
      'Whether the account is in an organisation was not asked; a quarantine from outside the account has to be set up by hand.',
    ],
  };
}
