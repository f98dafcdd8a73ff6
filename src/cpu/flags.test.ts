import { describe, expect, it } from 'vitest';
import { ARITHMETIC_FLAGS, carryWord, packFlags, signWord, zeroWord } from './flags.ts';

describe('the three flag words', () => {
  it('hold every combination of the six arithmetic flags', () => {
    for (let bits = 0; bits <= ARITHMETIC_FLAGS; bits++) {
      if ((bits & ~ARITHMETIC_FLAGS) !== 0) continue;
      expect(packFlags(zeroWord(bits), signWord(bits), carryWord(bits))).toBe(bits);
    }
  });
});
