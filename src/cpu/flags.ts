/**
 * The six arithmetic flags as three words, so that an instruction leaves its flags as by-products and a condition is
 * one comparison, whatever instruction came before.
 *
 *   zero    ZF = (zero == 0)
 *   sign    SF = bit 31, PF = even parity of bits 0-7. Most instructions set zero = sign = sign-extended result
 *   carry   carry (borrow) out of each bit of the operation, moved so that that of the top bit is bit 31:
 *           CF = bit 31, OF = bit 31 ^ bit 30; AF = bit 3 (not moved). Other bits are meaningless
 */
export const CF = 1,
  PF = 4,
  AF = 0x10,
  ZF = 0x40,
  SF = 0x80,
  OF = 0x800;
export const TF = 0x100,
  IF = 0x200,
  DF = 0x400,
  NT = 0x4000,
  RF = 0x10000,
  AC = 0x40000,
  ID = 0x200000;
export const ARITHMETIC_FLAGS = CF | PF | AF | ZF | SF | OF;
/** Bits of EFLAGS that exist; the others read as 0 (bit 1 as 1). VM, VIF and VIP do not exist here. */
export const EFLAGS_BITS = ARITHMETIC_FLAGS | TF | IF | DF | 0x3000 | NT | RF | AC | ID;

export function packFlags(zero: number, sign: number, carry: number): number {
  let parity = sign & 0xff;
  parity ^= parity >> 4;
  return (
    ((carry >>> 31) & 1) |
    ((0x9669 >> (parity & 15)) & 1 ? PF : 0) |
    ((carry & 8) << 1) |
    (zero === 0 ? ZF : 0) |
    (sign < 0 ? SF : 0) |
    ((carry ^ (carry << 1)) < 0 ? OF : 0)
  );
}

export const zeroWord = (bits: number): number => (bits & ZF ? 0 : 1);
export const signWord = (bits: number): number => (bits & SF ? -0x80000000 : 0) | (bits & PF ? 0 : 1);
export function carryWord(bits: number): number {
  const carry = bits & CF;
  const overflow = (bits >> 11) & 1;
  return (carry << 31) | ((carry ^ overflow) << 30) | ((bits & AF) >> 1);
}
