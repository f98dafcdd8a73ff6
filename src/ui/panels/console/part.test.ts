import { describe, expect, it } from 'vitest';
import { partOf } from './part.ts';

describe("the user's part of a demo", () => {
  it('is nothing where the demo asks for nothing', () => {
    expect(partOf({ input: [], presses: [] })).toBeNull();
    expect(partOf({})).toBeNull();
  });
  it('names what is typed, without the keys that end a line', () => {
    expect(partOf({ input: ['help\r', 'ps\r'] })).toBe('type help, ps');
    expect(partOf({ input: ['a\r', 'b\r', 'c\r', 'd\r', 'e\r', 'f\r', 'g\r'] })).toBe(
      'type a, b, c, d, e and 2 more',
    );
  });
  it('counts what is pressed', () => {
    const press = (kind: 'button' | 'nmi' | 'debug', domid = 0) => ({ press: kind, domid, atMs: 1 });
    expect(partOf({ presses: [press('button'), press('nmi'), press('button'), press('debug', 1)] })).toBe(
      'press Lab button 2 times, press NMI and send VIRQ_DEBUG to d1',
    );
  });
});
