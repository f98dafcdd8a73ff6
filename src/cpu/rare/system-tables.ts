/**
 * The registers that name system tables: LGDT, LIDT, LLDT, LTR and their stores. Intel SDM vol. 2; vol. 3A, "Memory-
 * Management Registers". The loads need ring 0, else #GP(0); the stores work in every ring.
 */

import type { FieldName } from '../layout.ts';
import { load, probeStore, store } from './checked-access.ts';
import { $descriptor, fetchDescriptor } from './descriptor-fetch.ts';
import {
  DESC_ACCESS_MASK,
  descriptorBase,
  descriptorLimit,
  descriptorType,
  faultOnSelector,
  isCodeOrData,
  isNullSelector,
  isPresent,
  refusal,
  SYS_LDT,
  SYS_TSS16,
  SYS_TSS32,
  VECTOR_GP,
  VECTOR_NP,
} from './descriptors.ts';
import { finish } from './finish.ts';
import {
  RARE_NEXT,
  type RareFunction,
  type RareMachine,
  type RareOperands,
  type RareStatus,
} from './rare.ts';
import { afterOffset } from './segments.ts';

const GP0 = refusal(VECTOR_GP, 0);
const SELECTOR = 0;
const BASE = 1;
const LIMIT = 2;
const ACCESS = 3;
const BUSY = 2;

/** m16&32: limit, then base; with 16-bit operands the base has 24 bits. */
const loadTable =
  (base: FieldName, limit: FieldName): RareFunction =>
  (m, insn) => {
    if (m.cpu.cpl !== 0) return finish(m, GP0);
    const newLimit = load(m.cpu, insn.segment, insn.offset, 2);
    if (newLimit < 0) return finish(m, -newLimit);
    const newBase = load(m.cpu, insn.segment, afterOffset(insn, 2), 4);
    if (newBase < 0) return finish(m, -newBase);
    m.setState(limit, newLimit);
    m.setState(base, insn.operandSize === 32 ? newBase : newBase & 0xffffff);
    return RARE_NEXT;
  };

/** With 16-bit operands the highest byte of the base is stored as 0 (the P6 manual's rule). */
const storeTable =
  (base: FieldName, limit: FieldName): RareFunction =>
  (m, insn) => {
    const baseAt = afterOffset(insn, 2);
    let refused = probeStore(m.cpu, insn.segment, insn.offset, 2);
    if (refused === 0) refused = probeStore(m.cpu, insn.segment, baseAt, 4);
    if (refused !== 0) return finish(m, refused);
    const value = m.getState(base);
    store(m.cpu, insn.segment, insn.offset, 2, m.getState(limit));
    store(m.cpu, insn.segment, baseAt, 4, insn.operandSize === 32 ? value : value & 0xffffff);
    return RARE_NEXT;
  };

export const lgdt = loadTable('gdtrBase', 'gdtrLimit');
export const lidt = loadTable('idtrBase', 'idtrLimit');
export const sgdt = storeTable('gdtrBase', 'gdtrLimit');
export const sidt = storeTable('idtrBase', 'idtrLimit');

function selectorOperand(m: RareMachine, insn: RareOperands): number {
  return insn.isMemory ? load(m.cpu, insn.segment, insn.offset, 2) : m.getReg16(insn.rm);
}

/** Stores 16 bits to memory; a register takes them zero-extended to the operand size. */
export function storeWord(m: RareMachine, insn: RareOperands, value: number): RareStatus {
  if (insn.isMemory) return finish(m, store(m.cpu, insn.segment, insn.offset, 2, value));
  if (insn.operandSize === 32) m.setReg32(insn.rm, value);
  else m.setReg16(insn.rm, value & 0xffff);
  return RARE_NEXT;
}

export const sldt: RareFunction = (m, insn) => storeWord(m, insn, m.getState('ldtr', SELECTOR));
export const str: RareFunction = (m, insn) => storeWord(m, insn, m.getState('tr', SELECTOR));

function setHidden(
  m: RareMachine,
  register: 'ldtr' | 'tr',
  selector: number,
  low: number,
  high: number,
): void {
  m.setState(register, selector, SELECTOR);
  m.setState(register, descriptorBase(low, high), BASE);
  m.setState(register, descriptorLimit(low, high), LIMIT);
  m.setState(register, high & DESC_ACCESS_MASK, ACCESS);
}

/** A null selector makes the LDT unusable; any reference to it is then #GP. */
export const lldt: RareFunction = (m, insn) => {
  if (m.cpu.cpl !== 0) return finish(m, GP0);
  const selector = selectorOperand(m, insn);
  if (selector < 0) return finish(m, -selector);
  if (isNullSelector(selector)) {
    setHidden(m, 'ldtr', selector, 0, 0);
    return RARE_NEXT;
  }
  if (selector & 4) return finish(m, faultOnSelector(VECTOR_GP, selector));
  const refused = fetchDescriptor(m.cpu, selector);
  if (refused !== 0) return finish(m, refused);
  const { low, high } = $descriptor;
  if (isCodeOrData(high) || descriptorType(high) !== SYS_LDT)
    return finish(m, faultOnSelector(VECTOR_GP, selector));
  if (!isPresent(high)) return finish(m, faultOnSelector(VECTOR_NP, selector));
  setHidden(m, 'ldtr', selector, low, high);
  return RARE_NEXT;
};

/** Takes an available TSS and marks it busy in its table. */
export const ltr: RareFunction = (m, insn) => {
  if (m.cpu.cpl !== 0) return finish(m, GP0);
  const selector = selectorOperand(m, insn);
  if (selector < 0) return finish(m, -selector);
  if (isNullSelector(selector)) return finish(m, GP0);
  if (selector & 4) return finish(m, faultOnSelector(VECTOR_GP, selector));
  const refused = fetchDescriptor(m.cpu, selector);
  if (refused !== 0) return finish(m, refused);
  const { low, high, maddr } = $descriptor;
  const type = descriptorType(high);
  if (isCodeOrData(high) || (type !== SYS_TSS16 && type !== SYS_TSS32))
    return finish(m, faultOnSelector(VECTOR_GP, selector));
  if (!isPresent(high)) return finish(m, faultOnSelector(VECTOR_NP, selector));
  m.cpu.memory.write8(maddr + 5, ((high >>> 8) & 0xff) | BUSY);
  setHidden(m, 'tr', selector, low, high | (BUSY << 8));
  return RARE_NEXT;
};
