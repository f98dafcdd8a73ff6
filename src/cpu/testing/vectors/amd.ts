/**
 * Where the processor that made the vectors (AMD EPYC, Zen 1) and the SDM's rules for a P6 differ, reviewed one by
 * one. The engine follows the SDM; the vector is changed to what the SDM asks for, or not compared.
 */
import type { Instruction } from '../../decode-instruction.ts';
import { DONE, type Vector } from './format.ts';
import { type Registers, x87Of } from './state.ts';

const PAGE_FAULT = 14,
  STACK_FAULT = 12,
  GENERAL_PROTECTION = 13,
  X87_FAULT = 16;

/** What our processor is held to, or undefined if this case says nothing about it. */
export function asIntel(
  vector: Vector,
  instruction: Instruction | undefined,
  before: Registers,
): Vector | undefined {
  if (instruction === undefined) {
    // LOCK MOV CR0 is MOV CR8 there: privileged, not undefined.
    const movCr =
      vector.spec.code.includes(0xf0) && /0f2[02]/.test(Buffer.from(vector.spec.code).toString('hex'));
    return movCr ? undefined : vector;
  }
  const { id } = instruction.row;
  // A fault leaves nothing behind. Zen has by then pushed, or popped, a part.
  if (vector.vector !== DONE && /^(pusha|popa|enter|callf)/.test(id)) {
    return { ...vector, memory: [], gpr: before.gpr };
  }
  // A REP string with a count of 0 does nothing. Zen asks for the I/O permission first.
  if (/^(ins|outs) /.test(id) && instruction.repeat !== 0) {
    const count = before.gpr[1] ?? 0;
    if ((instruction.addressSize === 16 ? count & 0xffff : count) === 0) return undefined;
  }
  // F2 and F3 mean nothing to LOOPE and LOOPNE (reserved). Zen lets them choose the condition.
  if (/^loopn?e /.test(id) && instruction.repeat !== 0) return undefined;
  // Zen looks at all of the stack that a far return may need before it looks at the selector.
  if (/^(retf|retf Iw|iret)$/.test(id) && (vector.vector === PAGE_FAULT || vector.vector === STACK_FAULT))
    return undefined;
  // FSTP1 of an empty register is documented nowhere.
  if (id.startsWith('fstpnce') && vector.vector === DONE && isTopEmpty(vector)) return undefined;
  // Across the end of a segment of 4 GiB an access "may or may not" fault (SDM vol. 3A, "Limit Checking").
  if (id === 'leave' && (before.gpr[5] ?? 0) > 0xffff_fffc && vector.vector === STACK_FAULT) return undefined;
  return vector;
}

function isTopEmpty(vector: Vector): boolean {
  const image = x87Of(vector.spec);
  const top = ((image[5] ?? 0) >> 3) & 7;
  return ((((image[8] ?? 0) | ((image[9] ?? 0) << 8)) >> (top * 2)) & 3) === 3;
}

/** Several places can fault: which is told first is not architectural. */
export function faultAddressIsOpen(instruction: Instruction | undefined): boolean {
  return (
    instruction !== undefined && /^(cmps|retf|iret|fnsave|frstor|fldenv|fnstenv)/.test(instruction.row.id)
  );
}

/**
 * Faults on executing an instruction are one class, whose order is the processor's own (SDM vol. 3A, "Priority Among
 * Concurrent Events"): a pending x87 exception and a bad operand, two operands, an operand and the
 * stack, the ends of a large block.
 */
export function isOpenPriority(instruction: Instruction | undefined, ours: number, theirs: number): boolean {
  const isOperandFault = ours === STACK_FAULT || ours === GENERAL_PROTECTION || ours === PAGE_FAULT;
  if (theirs === X87_FAULT) return isOperandFault;
  if (ours === theirs || !isOperandFault) return false;
  const twoPlaces = /^(pop E|push E|call|cmps|movs|fnsave|fnstenv|frstor|fldenv)/;
  const usesTwo = instruction !== undefined && twoPlaces.test(instruction.row.id);
  return usesTwo && (theirs === STACK_FAULT || theirs === GENERAL_PROTECTION || theirs === PAGE_FAULT);
}

const C1 = 0x200;
const CONDITIONS = 0x4700;
const INVALID = 1,
  STACK = 0x40;

/** Bits of the x87 status word to compare. `status` and `control` as the hardware left them. */
export function comparableStatus(
  instruction: Instruction | undefined,
  status: number,
  control: number,
): number {
  const name = instruction?.row.mnemonic ?? '';
  // With #IA unmasked a comparison leaves the codes alone (SDM, FCOM "Operation"); Zen sets them.
  if (/^(fi?com|fucom|ftst)/.test(name) && !/i$|ip$/.test(name) && status & INVALID && !(control & INVALID)) {
    return ~CONDITIONS;
  }
  // C1 without stack fault: the SDM says undefined for FCMOVcc, 0 for FCOMI; Zen keeps it.
  if (/^fcmov|^fu?comip?$/.test(name)) return ~C1;
  // Not documented at all, and FLD of an empty register onto a full one.
  if (name === 'fstpnce' || (name === 'fld' && status & STACK)) return ~C1;
  return ~0;
}

/** FCOMI with #IA unmasked: EFLAGS stay (SDM); Zen sets them. */
export function leavesFlagsOpen(
  instruction: Instruction | undefined,
  status: number,
  control: number,
): boolean {
  const name = instruction?.row.mnemonic ?? '';
  return /^fu?comip?$/.test(name) && (status & INVALID) !== 0 && (control & INVALID) === 0;
}
