import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { durationField, type FileProblem, parseYaml, readYaml } from './file.schema.ts';

const schema = z.strictObject({
  v: z.literal(1),
  account: z.string(),
  wait: durationField.optional(),
  rereads: z.union([durationField, z.literal('never')]).optional(),
  things: z.array(z.strictObject({ id: z.string(), size: z.number() })).optional(),
  labels: z.record(z.string().regex(/^[a-z]+$/), z.string()).optional(),
});

const problems = (text: string): readonly FileProblem[] => {
  const read = readYaml(text, 'a.yaml', schema);
  return read.ok ? [] : read.problems;
};
const only = (text: string): Pick<FileProblem, 'code' | 'line' | 'column' | 'path'> & { problem: string } => {
  const found = problems(text);
  expect(found).toHaveLength(1);
  const { code, line, column, path, problem } = found[0] as FileProblem;
  return { code, line, column, path, problem };
};

describe('a file is read with places', () => {
  it('good YAML and the same as JSON give the same value, with durations in milliseconds', () => {
    const yaml = "v: 1\naccount: '1'\nwait: 4s\nthings:\n  - { id: a, size: 2 }\n";
    const value = { v: 1, account: '1', wait: 4_000, things: [{ id: 'a', size: 2 }] };
    expect(parseYaml(yaml, 'a.yaml', schema)).toEqual(value);
    expect(parseYaml('{"v":1,"account":"1","wait":"4s",\n\t"things":[{"id":"a","size":2}]}', 'a.json', schema)).toEqual(value);
  });

  it.each([
    ['an unclosed bracket', 'v: 1\nthings: [1, 2', 2],
    ['a duplicate key', 'v: 1\nv: 1\naccount: x\n', 2],
    ['a tab as indentation', 'v: 1\nthings:\n\t- id: a\n', 3],
    ['two documents', 'v: 1\naccount: x\n---\nv: 1\n', 3],
    ['an alias to nothing', 'v: 1\naccount: *x\n', 2],
    ['an unknown tag', 'v: 1\naccount: !shell x\n', 2],
  ])('%s is a syntax error with its line', (_what, text, line) => {
    expect(problems(text)[0]).toMatchObject({ code: 'file.syntax', file: 'a.yaml', line });
  });

  it('absurd nesting and aliases without measure are syntax errors, not crashes', () => {
    expect(problems('['.repeat(100_000))[0]).toMatchObject({ code: 'file.syntax' });
    const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${[...'bcdefgh'].map((c, i) => `${c}: &${c} [${Array(9).fill(`*${'abcdefgh'[i]}`).join(',')}]`).join('\n')}\n`;
    expect(problems(bomb)[0]).toMatchObject({ code: 'file.syntax' });
  });

  it.each([
    ['an unknown key at the key', 'v: 1\naccount: x\nacount: y\n', 3, 1, 'acount'],
    ['a wrong value at the value', 'v: 1\naccount: x\nwait: soon\n', 3, 7, 'wait'],
    ['a missing member at its parent', 'v: 1\naccount: x\nthings:\n  - id: a\n    size: 1\n  - size: 2\n', 6, 5, 'things[1].id'],
    ['a deep unknown key at the key', 'v: 1\naccount: x\nthings:\n  - id: a\n    size: 1\n    colour: red\n', 6, 5, 'things[0].colour'],
    ['an empty value at its key', 'v: 1\naccount:\n', 2, 1, 'account'],
    ['a key of the wrong form at the key', 'v: 1\naccount: x\nlabels:\n  UPPER: x\n', 4, 3, 'labels.UPPER'],
    [
      'a value behind an alias at its anchor',
      'v: 1\naccount: x\nthings:\n  - &a { id: a, size: big }\n  - { id: b, size: 1 }\n',
      4,
      23,
      'things[0].size',
    ],
    ['a union that nothing fits', 'v: 1\naccount: x\nrereads: often\n', 3, 10, 'rereads'],
  ])('%s', (_what, text, line, column, path) => {
    expect(only(text)).toMatchObject({ code: 'file.invalid', line, column, path });
  });

  it('a number where text is expected says to put it in quotes', () => {
    expect(only('v: 1\naccount: 123456789012\n').problem).toContain('put it in quotes');
  });

  it('an empty file is invalid at line 1', () => {
    for (const text of ['', '\n\n', '# nothing\n'])
      expect(only(text)).toMatchObject({ code: 'file.invalid', line: 1, path: '(whole file)' });
  });

  it('the fault names the first problem by place and counts the others', () => {
    expect(() => parseYaml('v: 2\naccount: 1\nwait: soon\n', 'a.yaml', schema)).toThrow(
      expect.objectContaining({
        code: 'file.invalid',
        context: expect.objectContaining({ file: 'a.yaml', line: 1, column: 4, path: 'v', more: 2 }),
      }),
    );
  });
});
