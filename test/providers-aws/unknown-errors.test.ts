import { describe, expect, it } from 'vitest';
import { codeOf } from '../../domain/errors.ts';
import { manifest } from '../../providers/aws/manifest.ts';
import { stageOf } from '../conformance/world.ts';
import { harnesses } from './harnesses.ts';

const changing = harnesses.filter(({ name }) => !manifest.actions.find((each) => `aws/${each.name}` === name)?.watches);
const codeFrom = (run: Promise<unknown>) =>
  run.then(
    () => 'done',
    (error: unknown) => codeOf(error),
  );

describe.concurrent('an error that nobody knows', { timeout: 60_000 }, () => {
  it.each(changing)('leaves $name uncertain where it is a change that is refused, and probed as anything but done', async ({ open }) => {
    const world = await open();
    try {
      const stage = stageOf(world);
      const before = await stage.action.capture(world.target, stage.context());
      await world.refuse('changing', 'SomethingNewException', 409);
      expect(await codeFrom(stage.action.apply(world.target, before, stage.context()))).toBe('provider.uncertain');
      await world.calm();
      // Nothing has happened, and the probe says so by looking.
      if (!stage.action.manifest.mints)
        expect((await stage.action.probe(world.target, before, stage.context())).observation.state).toBe('no');
      await world.refuse('all', 'SomethingNewException', 400);
      expect(await codeFrom(stage.action.probe(world.target, before, stage.context()))).toBe('provider.uncertain');
      await world.calm();
      const after = await stage.action.apply(world.target, before, stage.context());
      expect(after.outcome).toBe('changed');
    } finally {
      await world.close();
    }
  });
});
