/**
 * Loading segment registers. Intel SDM vol. 2, MOV, POP, LDS/LES/LFS/LGS/LSS; vol. 3A, "Segment Registers",
 * "Privilege Level Checking When Accessing Data Segments".
 */
import type { Processor } from '../cpu.ts';
import { CS, DS, ES, FS, GS, SS } from '../layout.ts';
import { load, moveStackPointer, peekStack } from './checked-access.ts';
import { $descriptor, commitDescriptor, fetchDescriptor } from './descriptor-fetch.ts';
import {
  checkDataLoad,
  checkReturnTransfer,
  checkStackLoad,
  isNullSelector,
  refusal,
  selectorRpl,
  VECTOR_GP,
} from './descriptors.ts';
import { finish } from './finish.ts';
import {
  RARE_NEXT,
  type RareFunction,
  type RareMachine,
  type RareOperands,
  type RareStatus,
} from './rare.ts';

/**
 * Loads a segment with every check. CS is loaded as a far return to the selector's RPL would, `cpl` included.
 * @returns 0, or the refusal (vector << 16 | error code); nothing is changed then, except cr2 of a page fault.
 */
export function loadSegment(cpu: Processor, segment: number, selector: number): number {
  if (isNullSelector(selector)) {
    if (segment === SS || segment === CS) return refusal(VECTOR_GP, 0);
    cpu.setSegmentHidden(segment, selector, 0, 0);
    return 0;
  }
  let refused = fetchDescriptor(cpu, selector);
  if (refused !== 0) return refused;
  const { high } = $descriptor;
  if (segment === SS) refused = checkStackLoad(selector, high, cpu.cpl);
  else if (segment === CS) refused = checkReturnTransfer(selector, high, cpu.cpl);
  else refused = checkDataLoad(selector, high, cpu.cpl);
  if (refused !== 0) return refused;
  commitDescriptor(cpu, segment, selector);
  if (segment === CS) cpu.cpl = selectorRpl(selector);
  return 0;
}

/** MOV Sreg, r/m16. The operand is always 16 bits wide. */
export const movToSegment: RareFunction = (m, insn) => {
  const selector = insn.isMemory ? load(m.cpu, insn.segment, insn.offset, 2) : m.getReg16(insn.rm);
  if (selector < 0) return finish(m, -selector);
  return loadWithShadow(m, insn.reg, selector);
};

/** MOV SS and POP SS hold traps back for one instruction, so that ESP can follow. */
function loadWithShadow(m: RareMachine, segment: number, selector: number): RareStatus {
  const refused = loadSegment(m.cpu, segment, selector);
  if (refused === 0 && segment === SS) m.setState('interruptShadow', 1);
  return finish(m, refused);
}

/** POP Sreg: reads as many bytes as the operand size says, uses two. */
const popSegment =
  (segment: number): RareFunction =>
  (m, insn) => {
    const size = insn.operandSize >>> 3;
    const selector = peekStack(m.cpu, 0, size);
    if (selector < 0) return finish(m, -selector);
    const status = loadSegmentAfterPop(m, segment, selector & 0xffff, size);
    if (status === RARE_NEXT && segment === SS) m.setState('interruptShadow', 1);
    return status;
  };

/** POP SS moves the old stack's pointer: the width of the increment is that of the stack popped from. */
function loadSegmentAfterPop(m: RareMachine, segment: number, selector: number, size: number): RareStatus {
  const esp = m.getReg32(4);
  moveStackPointer(m.cpu, size);
  const refused = loadSegment(m.cpu, segment, selector);
  if (refused !== 0) m.setReg32(4, esp);
  return finish(m, refused);
}

export const popEs = popSegment(ES);
export const popSs = popSegment(SS);
export const popDs = popSegment(DS);
export const popFs = popSegment(FS);
export const popGs = popSegment(GS);

/** LES, LDS, LSS, LFS, LGS: offset first in memory, then the selector. */
const loadFarPointer =
  (segment: number): RareFunction =>
  (m: RareMachine, insn: RareOperands) => {
    const size = insn.operandSize >>> 3;
    const offset = load(m.cpu, insn.segment, insn.offset, size);
    if (offset < 0) return finish(m, -offset);
    const selector = load(m.cpu, insn.segment, afterOffset(insn, size), 2);
    if (selector < 0) return finish(m, -selector);
    const refused = loadSegment(m.cpu, segment, selector);
    if (refused !== 0) return finish(m, refused);
    if (size === 4) m.setReg32(insn.reg, offset);
    else m.setReg16(insn.reg, offset);
    return RARE_NEXT;
  };

/** Where the second field of a memory operand is; offsets wrap at the address size. */
export function afterOffset(insn: RareOperands, bytes: number): number {
  return insn.addressSize === 32 ? (insn.offset + bytes) >>> 0 : (insn.offset + bytes) & 0xffff;
}

export const les = loadFarPointer(ES);
export const lds = loadFarPointer(DS);
export const lss = loadFarPointer(SS);
export const lfs = loadFarPointer(FS);
export const lgs = loadFarPointer(GS);
