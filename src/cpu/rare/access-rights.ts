/**
 * LAR, LSL, VERR, VERW, ARPL: questions about descriptors that ZF answers. Intel SDM vol. 2; vol. 3A, "Pointer
 * Validation". A selector that cannot be used is an answer, never a fault; only reading the table can page-fault.
 */

import { ZF } from '../flags.ts';
import { DESCRIPTOR_FAULT } from '../trap-sink.ts';
import { load, store } from './checked-access.ts';
import { $descriptor, takeSinkFault } from './descriptor-fetch.ts';
import {
  descriptorDpl,
  descriptorLimit,
  descriptorType,
  isCode,
  isCodeOrData,
  isConforming,
  isNullSelector,
  isReadable,
  isWritableData,
  SYS_CALL_GATE16,
  SYS_CALL_GATE32,
  SYS_LDT,
  SYS_TASK_GATE,
  SYS_TSS16,
  SYS_TSS16_BUSY,
  SYS_TSS32,
  SYS_TSS32_BUSY,
  selectorRpl,
} from './descriptors.ts';
import { finish } from './finish.ts';
import { RARE_NEXT, type RareFunction, type RareMachine, type RareOperands } from './rare.ts';

const typeMask = (types: readonly number[]): number => types.reduce((mask, type) => mask | (1 << type), 0);
/** System descriptors that LSL knows a limit of, and that LAR knows rights of. */
const LSL_TYPES = typeMask([SYS_TSS16, SYS_LDT, SYS_TSS16_BUSY, SYS_TSS32, SYS_TSS32_BUSY]);
const LAR_TYPES = LSL_TYPES | typeMask([SYS_CALL_GATE16, SYS_TASK_GATE, SYS_CALL_GATE32]);
/** Type, S, DPL, P, limit bits 19-16 (undefined by the SDM, kept by processors), AVL, D, G. */
const LAR_MASK = 0x00ffff00;

function setZero(m: RareMachine, on: boolean): void {
  const flags = m.cpu.eflags;
  m.cpu.eflags = on ? flags | ZF : flags & ~ZF;
}

/** The selector operand: 16 bits, whatever the operand size; or a negated refusal. */
function selectorOperand(m: RareMachine, insn: RareOperands): number {
  return insn.isMemory ? load(m.cpu, insn.segment, insn.offset, 2) : m.getReg16(insn.rm);
}

const VISIBLE = 1;
const HIDDEN = 0;
/**
 * Is the descriptor there, of a fitting kind, and may CPL and RPL see it? VISIBLE: it is in $descriptor. Negative: a
 * negated refusal (page fault).
 */
function look(m: RareMachine, selector: number, systemTypes: number): number {
  if (isNullSelector(selector)) return HIDDEN;
  const maddr = m.sink.descriptorAddress(selector);
  if (maddr < 0) return maddr === DESCRIPTOR_FAULT ? -takeSinkFault(m.cpu) : HIDDEN;
  const high = m.cpu.memory.read32(maddr + 4);
  if (!isCodeOrData(high) && ((systemTypes >>> descriptorType(high)) & 1) === 0) return HIDDEN;
  const dpl = descriptorDpl(high);
  const conforming = isCode(high) && isConforming(high);
  if (!conforming && (dpl < m.cpu.cpl || dpl < selectorRpl(selector))) return HIDDEN;
  $descriptor.maddr = maddr;
  $descriptor.low = m.cpu.memory.read32(maddr);
  $descriptor.high = high;
  return VISIBLE;
}

const loadFromDescriptor =
  (systemTypes: number, value: (low: number, high: number) => number): RareFunction =>
  (m, insn) => {
    const selector = selectorOperand(m, insn);
    if (selector < 0) return finish(m, -selector);
    const seen = look(m, selector, systemTypes);
    if (seen < 0) return finish(m, -seen);
    if (seen === VISIBLE) {
      const result = value($descriptor.low, $descriptor.high);
      if (insn.operandSize === 32) m.setReg32(insn.reg, result);
      else m.setReg16(insn.reg, result & 0xffff);
    }
    setZero(m, seen === VISIBLE);
    return RARE_NEXT;
  };

export const lar = loadFromDescriptor(LAR_TYPES, (_low, high) => high & LAR_MASK);
export const lsl = loadFromDescriptor(LSL_TYPES, descriptorLimit);

const verify =
  (allows: (high: number) => boolean): RareFunction =>
  (m, insn) => {
    const selector = selectorOperand(m, insn);
    if (selector < 0) return finish(m, -selector);
    const seen = look(m, selector, 0);
    if (seen < 0) return finish(m, -seen);
    setZero(m, seen === VISIBLE && allows($descriptor.high));
    return RARE_NEXT;
  };

export const verr = verify(isReadable);
export const verw = verify(isWritableData);

/** ARPL r/m16, r16: raises the RPL of the destination to that of the source. Memory is written only then. */
export const arpl: RareFunction = (m, insn) => {
  const destination = selectorOperand(m, insn);
  if (destination < 0) return finish(m, -destination);
  const rpl = m.getReg16(insn.reg) & 3;
  const raise = selectorRpl(destination) < rpl;
  if (raise) {
    const raised = (destination & 0xfffc) | rpl;
    if (insn.isMemory) {
      const refused = store(m.cpu, insn.segment, insn.offset, 2, raised);
      if (refused !== 0) return finish(m, refused);
    } else m.setReg16(insn.rm, raised);
  }
  setZero(m, raise);
  return RARE_NEXT;
};
