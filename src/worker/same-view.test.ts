import { describe, expect, it } from 'vitest';
import { sameData } from './same-view.ts';

describe('two views are the same', () => {
  const view = () => ({
    view: 'x',
    rows: [
      { a: 1, b: null },
      { a: Number.NaN, b: 'c' },
    ],
  });
  it('when all in them is', () => {
    expect(sameData(view(), view())).toBe(true);
  });
  it.each([
    [
      'a value',
      {
        view: 'x',
        rows: [
          { a: 2, b: null },
          { a: Number.NaN, b: 'c' },
        ],
      },
    ],
    ['a missing row', { view: 'x', rows: [{ a: 1, b: null }] }],
    ['a missing key', { view: 'x' }],
    ['a further key', { ...view(), more: 1 }],
    ['null for an object', { view: 'x', rows: null }],
  ])('not when they differ in %s', (_, other) => {
    expect(sameData(view(), other)).toBe(false);
    expect(sameData(other, view())).toBe(false);
  });
});
