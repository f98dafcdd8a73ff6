/**
 * Instructions that raise: INT n, INT3, INTO, INT1, BOUND, UD. Intel SDM vol. 2. What becomes of an interrupt is the
 * sink's business: it owns the gates.
 */

import { OF } from '../flags.ts';
import { load } from './checked-access.ts';
import { VECTOR_BP, VECTOR_BR, VECTOR_DB, VECTOR_OF, VECTOR_UD } from './descriptors.ts';
import { finish } from './finish.ts';
import { RARE_NEXT, type RareFunction } from './rare.ts';
import { afterOffset } from './segments.ts';

export const intN: RareFunction = (m, insn) => m.softwareInterrupt(insn.immediate & 0xff);
export const int3: RareFunction = (m) => m.trap(VECTOR_BP, -1);
export const int1: RareFunction = (m) => m.trap(VECTOR_DB, -1);
export const into: RareFunction = (m) => (m.cpu.eflags & OF ? m.trap(VECTOR_OF, -1) : RARE_NEXT);
export const undefinedInstruction: RareFunction = (m) => m.raise(VECTOR_UD, -1);

/** BOUND: a signed index against the signed bounds at memory: lower, then upper. */
export const bound: RareFunction = (m, insn) => {
  const size = insn.operandSize >>> 3;
  const lower = load(m.cpu, insn.segment, insn.offset, size);
  if (lower < 0) return finish(m, -lower);
  const upper = load(m.cpu, insn.segment, afterOffset(insn, size), size);
  if (upper < 0) return finish(m, -upper);
  const shift = 32 - insn.operandSize;
  const index = (size === 4 ? m.getReg32(insn.reg) : m.getReg16(insn.reg)) << shift;
  if (index < lower << shift || index > upper << shift) return m.raise(VECTOR_BR, -1);
  return RARE_NEXT;
};
