import { manifest } from '../../providers/gcp/manifest.ts';
import { actionsIn, describeProvider } from '../conformance/index.ts';
import { describePage } from '../conformance/page.ts';
import { harnesses } from './harnesses.ts';
import { practice } from './practice.ts';

describeProvider(manifest, harnesses, async () => actionsIn(await practice()));

describePage(manifest);
