/**
 * DAA DAS AAA AAS AAM AAD. Intel SDM vol. 2. Flags that the SDM leaves open: OF stays with DAA and DAS, the others are
 * cleared.
 */
import { AF, CF, OF, PF, packFlags, SF, ZF } from '../flags.ts';
import { RARE_NEXT, type RareFunction, type RareMachine, type RareStatus } from './rare.ts';

const VECTOR_DE = 0;
const AX = 0,
  AL = 0,
  AH = 4;

/** SF, ZF and PF of a byte. */
const resultBits = (byte: number): number => {
  const signed = (byte << 24) >> 24;
  return packFlags(signed, signed, 0) & (SF | ZF | PF);
};
function setFlags(m: RareMachine, changed: number, value: number): RareStatus {
  m.cpu.eflags = (m.cpu.eflags & ~changed) | value;
  return RARE_NEXT;
}

const adjustPacked =
  (direction: 1 | -1): RareFunction =>
  (m) => {
    const flags = m.cpu.eflags;
    const before = m.getReg8(AL);
    const low = (before & 15) > 9 || (flags & AF) !== 0;
    const high = before > 0x99 || (flags & CF) !== 0;
    const al = (before + direction * ((low ? 6 : 0) + (high ? 0x60 : 0))) & 0xff;
    // Subtracting 6 can borrow although the high digit needs no correction.
    const carry = high || (direction < 0 && low && before < 6);
    m.setReg8(AL, al);
    return setFlags(m, SF | ZF | PF | AF | CF, resultBits(al) | (low ? AF : 0) | (carry ? CF : 0));
  };

const adjustUnpacked =
  (direction: 1 | -1): RareFunction =>
  (m) => {
    const adjust = (m.getReg8(AL) & 15) > 9 || (m.cpu.eflags & AF) !== 0;
    if (adjust) m.setReg16(AX, (m.getReg16(AX) + direction * 0x106) & 0xffff);
    const al = m.getReg8(AL) & 15;
    m.setReg8(AL, al);
    return setFlags(m, OF | SF | ZF | PF | AF | CF, (resultBits(al) & ~SF) | (adjust ? AF | CF : 0));
  };

const aam: RareFunction = (m, insn) => {
  const base = insn.immediate & 0xff;
  if (base === 0) return m.raise(VECTOR_DE, -1);
  const value = m.getReg8(AL);
  m.setReg8(AH, Math.floor(value / base));
  m.setReg8(AL, value % base);
  return setFlags(m, OF | SF | ZF | PF | AF | CF, resultBits(value % base));
};
const aad: RareFunction = (m, insn) => {
  const al = (m.getReg8(AL) + m.getReg8(AH) * (insn.immediate & 0xff)) & 0xff;
  m.setReg16(AX, al);
  return setFlags(m, OF | SF | ZF | PF | AF | CF, resultBits(al));
};

export const decimalInstructions: Readonly<Record<string, RareFunction>> = {
  daa: adjustPacked(1),
  das: adjustPacked(-1),
  aaa: adjustUnpacked(1),
  aas: adjustUnpacked(-1),
  'aam Ib': aam,
  'aad Ib': aad,
};
