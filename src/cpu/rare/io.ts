/**
 * IN, OUT, INS, OUTS. Intel SDM vol. 1, "Protected-Mode I/O": allowed with CPL <= IOPL, else if the sink's I/O bitmap
 * says so, else #GP(0). String forms move one element at a time, so a REP can be interrupted and restarted anywhere.
 */

import { DF } from '../flags.ts';
import { ECX, EDI, EDX, ES, ESI } from '../layout.ts';
import { load, probeStore, store } from './checked-access.ts';
import { refusal, VECTOR_GP } from './descriptors.ts';
import { finish } from './finish.ts';
import { iopl } from './flag-rules.ts';
import {
  RARE_NEXT,
  RARE_REPEAT,
  type RareFunction,
  type RareMachine,
  type RareOperands,
  type RareStatus,
} from './rare.ts';

function checkPort(m: RareMachine, port: number, size: number): number {
  if (m.cpu.cpl <= iopl(m.cpu.eflags) || m.sink.portAllowed(port, size)) return 0;
  return refusal(VECTOR_GP, 0);
}

function input(m: RareMachine, port: number, size: number): RareStatus {
  const refused = checkPort(m, port, size);
  if (refused !== 0) return finish(m, refused);
  const value = m.sink.portRead(port, size) >>> 0;
  if (size === 4) m.setReg32(0, value);
  else if (size === 2) m.setReg16(0, value & 0xffff);
  else m.setReg8(0, value & 0xff);
  return RARE_NEXT;
}

function output(m: RareMachine, port: number, size: number): RareStatus {
  const refused = checkPort(m, port, size);
  if (refused !== 0) return finish(m, refused);
  m.sink.portWrite(port, size, size === 4 ? m.getReg32(0) : size === 2 ? m.getReg16(0) : m.getReg8(0));
  return RARE_NEXT;
}

export const inByteImmediate: RareFunction = (m, insn) => input(m, insn.immediate & 0xff, 1);
export const inWideImmediate: RareFunction = (m, insn) =>
  input(m, insn.immediate & 0xff, insn.operandSize >>> 3);
export const outByteImmediate: RareFunction = (m, insn) => output(m, insn.immediate & 0xff, 1);
export const outWideImmediate: RareFunction = (m, insn) =>
  output(m, insn.immediate & 0xff, insn.operandSize >>> 3);
export const inByte: RareFunction = (m) => input(m, m.getReg16(EDX), 1);
export const inWide: RareFunction = (m, insn) => input(m, m.getReg16(EDX), insn.operandSize >>> 3);
export const outByte: RareFunction = (m) => output(m, m.getReg16(EDX), 1);
export const outWide: RareFunction = (m, insn) => output(m, m.getReg16(EDX), insn.operandSize >>> 3);

const getIndex = (m: RareMachine, insn: RareOperands, register: number): number =>
  insn.addressSize === 32 ? m.getReg32(register) : m.getReg16(register);
function setIndex(m: RareMachine, insn: RareOperands, register: number, value: number): void {
  if (insn.addressSize === 32) m.setReg32(register, value >>> 0);
  else m.setReg16(register, value & 0xffff);
}

/** Moves the index register one element on and counts a REP down. */
function step(m: RareMachine, insn: RareOperands, register: number, size: number): RareStatus {
  const by = m.cpu.eflags & DF ? -size : size;
  setIndex(m, insn, register, getIndex(m, insn, register) + by);
  if (insn.rep === 0) return RARE_NEXT;
  const left = getIndex(m, insn, ECX) - 1;
  setIndex(m, insn, ECX, left);
  return left === 0 ? RARE_NEXT : RARE_REPEAT;
}

/** The place is checked before the port is read: reading a device cannot be taken back. */
const inputString =
  (fixedSize: number): RareFunction =>
  (m, insn) => {
    const size = fixedSize === 0 ? insn.operandSize >>> 3 : fixedSize;
    if (insn.rep !== 0 && getIndex(m, insn, ECX) === 0) return RARE_NEXT;
    const port = m.getReg16(EDX);
    const offset = getIndex(m, insn, EDI);
    let refused = checkPort(m, port, size);
    if (refused === 0) refused = probeStore(m.cpu, ES, offset, size);
    if (refused !== 0) return finish(m, refused);
    store(m.cpu, ES, offset, size, m.sink.portRead(port, size));
    return step(m, insn, EDI, size);
  };

const outputString =
  (fixedSize: number): RareFunction =>
  (m, insn) => {
    const size = fixedSize === 0 ? insn.operandSize >>> 3 : fixedSize;
    if (insn.rep !== 0 && getIndex(m, insn, ECX) === 0) return RARE_NEXT;
    const port = m.getReg16(EDX);
    const refused = checkPort(m, port, size);
    if (refused !== 0) return finish(m, refused);
    const value = load(m.cpu, insn.segment, getIndex(m, insn, ESI), size);
    if (value < 0) return finish(m, -value);
    m.sink.portWrite(port, size, value);
    return step(m, insn, ESI, size);
  };

export const insByte = inputString(1);
export const insWide = inputString(0);
export const outsByte = outputString(1);
export const outsWide = outputString(0);
