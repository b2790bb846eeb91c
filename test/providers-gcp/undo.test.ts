import { it } from 'vitest';
import { manifest } from '../../providers/gcp/manifest.ts';
import { describeUndoOf, expectAllUndone } from '../conformance/index.ts';
import { harnesses } from './harnesses.ts';

for (const { name, open } of harnesses) describeUndoOf(name, open, { concurrent: true });

it('the undo of every action of Google Cloud is held to it', () => {
  expectAllUndone(
    manifest,
    harnesses.map((each) => each.name),
  );
});
