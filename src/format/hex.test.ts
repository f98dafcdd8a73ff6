import { describe, expect, it } from 'vitest';
import { hexDigits, hexGrouped, parseHex } from './hex.ts';

describe('hexadecimal', () => {
  it('pads to the digits asked for', () => {
    expect(hexDigits(0x1a2, 5)).toBe('001a2');
    expect(hexDigits(-1)).toBe('ffffffff');
  });
  it('groups addresses four and four', () => {
    expect(hexGrouped(0xc00021c7)).toBe('c000 21c7');
  });
  it.each([
    ['c000 21c7', 0xc00021c7],
    ['0xC00021C7', 0xc00021c7],
    ['0804b1f4', 0x0804b1f4],
    ['0', 0],
  ])('reads %s', (text, value) => {
    expect(parseHex(text)).toBe(value);
  });
  it.each(['', 'xyz', '123456789', '-1', '0x'])('refuses %j', (text) => {
    expect(parseHex(text)).toBeNull();
  });
});
