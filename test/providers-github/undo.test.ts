import { it } from 'vitest';
import { manifest } from '../../providers/github/manifest.ts';
import { describeUndoOf, expectAllUndone } from '../conformance/undo.ts';
import { harnesses } from './harnesses.ts';

for (const { name, open, options } of harnesses) describeUndoOf(name, open, { timeout: 60_000, concurrent: options.concurrent === true });

it('every action of the manifest is held to its undo', () => {
  expectAllUndone(
    manifest,
    harnesses.map((each) => each.name),
  );
});
