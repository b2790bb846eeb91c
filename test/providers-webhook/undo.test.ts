import { it } from 'vitest';
import { manifest } from '../../providers/webhook/manifest.ts';
import { describeUndoOf, expectAllUndone } from '../conformance/index.ts';
import { harnesses } from './harnesses.ts';

for (const { name, open } of harnesses) describeUndoOf(name, open, { concurrent: true });

it('every action of the manifest has an undo run', () => {
  expectAllUndone(
    manifest,
    harnesses.map((each) => each.name),
  );
});
