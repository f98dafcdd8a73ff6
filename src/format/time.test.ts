import { describe, expect, it } from 'vitest';
import { formatSeconds, formatSpan, groupDigits } from './time.ts';

describe('time and counts as text', () => {
  it('groups digits by three from the right', () => {
    expect(groupDigits(4102640337)).toBe('4 102 640 337');
    expect(groupDigits(0)).toBe('0');
    expect(groupDigits(999)).toBe('999');
    expect(groupDigits(1000)).toBe('1 000');
  });
  it('writes seconds to the nanosecond', () => {
    expect(formatSeconds(4216803512)).toBe('4.216 803 512');
    expect(formatSeconds(0)).toBe('0.000 000 000');
    expect(formatSeconds(5)).toBe('0.000 000 005');
  });
  it('chooses the unit of a span by its size', () => {
    expect(formatSpan(12)).toBe('12 ns');
    expect(formatSpan(4600)).toBe('4.6 µs');
    expect(formatSpan(56_000)).toBe('56 µs');
    expect(formatSpan(1_500_000)).toBe('1.5 ms');
    expect(formatSpan(2_000_000_000)).toBe('2 s');
  });
});
