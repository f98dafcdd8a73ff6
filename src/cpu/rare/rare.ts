/**
 * The contract of rare instructions: plain TypeScript functions, bound to opcode rows by id in rare/table.ts
 * (`rareInstructions`), which the generated loop calls as imports. For them the loop has stored flags, registers and
 * eip in the state block, so all accessors of the processor are exact; now() includes this instruction's predecessors.
 *
 * How a fault leaves: either `return m.raise(vector, code)` (cheap; use it for expected refusals), or by itself out of
 * read/write/checkWrite, which throw a sentinel that the caller catches before it returns to WebAssembly. In both
 * cases the function must have changed nothing: read and check first, then write registers. A function that stores
 * several times calls checkWrite for all of it first.
 *
 * Rows with an emitter in meaning/ need no entry here; a row with neither stops the start-up.
 */

import type { Processor } from '../cpu.ts';
import type { FieldName } from '../layout.ts';
import type { Row } from '../opcodes/row.ts';
import type { TrapSink } from '../trap-sink.ts';

/** Done; execution goes on behind the instruction (eip is advanced by the caller). It counts one. */
export const RARE_NEXT = 0;
/** Done; the function has set eip. It counts one. */
export const RARE_JUMP = 1;
/** Nothing has happened; a fault is recorded. Result of raise(). */
export const RARE_FAULT = 2;
/** One iteration of a REP instruction is done and counts one; more follow, eip stays. */
export const RARE_REPEAT = 3;
/** Result of softwareInterrupt(), trap() and halt(): the run loop calls the sink. */
export const RARE_LEAVE = 4;
export type RareStatus = 0 | 1 | 2 | 3 | 4;

/** The decoded instruction. One object per decoded place: do not keep or change it. */
export interface RareOperands {
  readonly row: Row;
  /** Offset in CS of this instruction and of the one behind it (wrapped to 16 bits in 16-bit code). */
  readonly eip: number;
  readonly nextEip: number;
  readonly length: number;
  /** 16 or 32, prefixes considered. */
  readonly operandSize: number;
  readonly addressSize: number;
  /** The ModRM byte, -1 if there is none. */
  readonly modrm: number;
  /** ModRM.reg, or the low three bits of an opcode that names a register. */
  readonly reg: number;
  /** ModRM.rm; a register if !isMemory. */
  readonly rm: number;
  readonly isMemory: boolean;
  /** Memory operand: segment (override considered) and offset, unsigned, as wide as the address size. For
   *  string instructions: the segment of the DS:eSI operand. */
  readonly segment: number;
  readonly offset: number;
  /** Immediate operand: Ib Iw Iz unsigned, Ibs and Jx sign-extended, Ap the offset. */
  readonly immediate: number;
  /** Selector of Ap, second immediate of ENTER. */
  readonly immediate2: number;
  /** 0, 0xf2 or 0xf3. */
  readonly rep: number;
}

export interface RareMachine {
  readonly cpu: Processor;
  readonly sink: TrapSink;
  /** Fields of the state block (layout.ts). Values unsigned. Arithmetic flags only through cpu.eflags. */
  getState(field: FieldName, index?: number): number;
  setState(field: FieldName, value: number, index?: number): void;

  /** Registers of 8 bits (AL CL DL BL AH CH DH BH), 16 and 32; unsigned. */
  getReg8(index: number): number;
  setReg8(index: number, value: number): void;
  getReg16(index: number): number;
  setReg16(index: number, value: number): void;
  getReg32(index: number): number;
  setReg32(index: number, value: number): void;

  /** Reads at segment:offset with all checks (type, limit, paging) at the current privilege; unsigned. */
  read8(segment: number, offset: number): number;
  read16(segment: number, offset: number): number;
  read32(segment: number, offset: number): number;
  write8(segment: number, offset: number, value: number): void;
  write16(segment: number, offset: number, value: number): void;
  write32(segment: number, offset: number, value: number): void;
  /** Would all these bytes be writable? Faults if not; sets A and D; changes nothing else. */
  checkWrite(segment: number, offset: number, size: number): void;
  checkRead(segment: number, offset: number, size: number): void;
  /** The same at a linear address with supervisor rights (descriptor tables, TSS). */
  readSystem32(linear: number): number;
  writeSystem32(linear: number, value: number): void;
  writeSystem8(linear: number, value: number): void;

  /** Offset of the stack `below` bytes under the top (negative: above), cut to the stack's size. */
  stackOffset(below: number): number;
  /** Writes ESP, or SP only on a 16-bit stack. */
  setStackPointer(value: number): void;

  /** To be returned: records the fault. errorCode -1 if the vector has none. cr2 must be set already for #PF. */
  raise(vector: number, errorCode: number): RareStatus;
  /** To be returned by INT n: the sink's softwareInterrupt(vector, length) with eip at the instruction; the sink
   *  does the counting (retire). */
  softwareInterrupt(vector: number): RareStatus;
  /** To be returned by INT3, INTO, INT1: counts one, eip behind the instruction, then the sink's exception(). */
  trap(vector: number, errorCode: number): RareStatus;
  /** To be returned by HLT: counts one, eip behind it, then the sink's halted(). */
  halt(): RareStatus;
}

export type RareFunction = (m: RareMachine, insn: RareOperands) => RareStatus;

/** By row id. */
export type RareTable = Readonly<Record<string, RareFunction>>;
