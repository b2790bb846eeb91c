import { it } from 'vitest';
import { manifest as aws } from '../../providers/aws/manifest.ts';
import { describeUndoOf, expectAllUndone } from '../conformance/index.ts';
import { harnesses } from '../providers-aws/harnesses.ts';

for (const { name, open } of harnesses) describeUndoOf(name, open, { concurrent: true });

it('the undo of every action of AWS is held to it', () => {
  expectAllUndone(
    aws,
    harnesses.map((each) => each.name),
  );
});
