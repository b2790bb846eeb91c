import { manifest } from '../../providers/gcp/manifest.ts';
import type { HarnessEntry } from '../conformance/runner.ts';
import { describeLeast } from '../permissions/least.ts';
import { harnesses } from './harnesses.ts';

// With exactly the generated role every action works, and with any one statement taken out exactly the actions that need it are refused by name.
describeLeast(manifest, harnesses as readonly HarnessEntry[], async (world, { statements }) => {
  if (!world.under) throw new Error('the world of this case knows no policies');
  return await world.under(JSON.stringify(statements.flatMap((each) => each.permissions)));
});
