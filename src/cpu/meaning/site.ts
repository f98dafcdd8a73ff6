/**
 * What an emitter sees of the place that it emits for. An emitter writes one instruction's meaning as WebAssembly and
 * asks the site where its operands are: fields of a decoded record in the interpreter, constants in a translator.
 *
 * Rules for emitters
 * - Everything that can fault comes before anything that changes state: call load/checkStore first.
 * - A value on the stack is zero-extended to 32 bits unless said otherwise.
 * - When the emitter returns, the instruction is done and control goes on behind it, unless it ended with a
 *   jump function of the site.
 */
import type { FunctionBuilder, ModuleBuilder } from '../../wasm/encoder.ts';
import type { ValueType } from '../../wasm/opcodes.ts';
import type { Row } from '../opcodes/row.ts';

export type Width = 8 | 16 | 32;

export interface Site {
  readonly f: FunctionBuilder;
  readonly row: Row;
  /** Operand size of this variant: 16 or 32. */
  readonly operandSize: 16 | 32;
  /** The ModRM operand is in memory. Rows without ModRM: false. */
  readonly isMemory: boolean;

  /** Is the variant for code whose stack or segments are not flat 32-bit ones? */
  readonly isGeneral: boolean;
  readonly addressSize: 16 | 32;

  // --- operands as the row lists them; a width is 8, 16 or 32
  width(operand: number): Width;
  /** Pushes the value. A fault ends the instruction. */
  read(operand: number): void;
  /** Makes sure that write() cannot fault. Before read() of the same operand, if both are called. */
  prepare(operand: number): void;
  /** Stores a local. Only after prepare(). */
  write(operand: number, local: number): void;

  /** A scratch local; several calls with the same number give the same local. */
  scratch(type: ValueType, number: number): number;

  // --- the ModRM (or moffs) memory operand
  /** Pushes 8, 16, 32 bits as i32 or 64 as i64, from the operand's address + offset. A fault ends the instruction. */
  load(bits: 8 | 16 | 32 | 64, offset?: number): void;
  /** Makes sure that `bytes` bytes at the operand can be stored without a fault. To be called before store(). */
  checkStore(bytes: number): void;
  /** Value (i32, or i64 for 64) on the stack. Stores without faulting, after checkStore. */
  store(bits: 8 | 16 | 32 | 64, offset?: number): void;
  /** Pushes the operand's linear address; x87 only: its offset in its segment, the selector of that segment. */
  address(): void;
  operandOffset(): void;
  operandSelector(): void;

  // --- registers
  /** Pushes the ModRM.reg register (or the one that the opcode names) / the ModRM.rm register. */
  getReg(width: Width): void;
  getRm(width: Width): void;
  /** Pops. Narrow widths keep the other bits. */
  setReg(width: Width): void;
  setRm(width: Width): void;
  /** Pushes the number 0-7 in ModRM.rm (ST(i)). */
  rmNumber(): void;
  /** A fixed register: EAX.. by number; width 8 takes AL CL DL BL AH CH DH BH. */
  getFixed(register: number, width: Width): void;
  setFixed(register: number, width: Width): void;
  /** Pushes the immediate, as its operand form extends it. */
  immediate(): void;

  // --- the stack
  /** Pushes the value at eSP (or another base register) + offset in SS onto the WebAssembly stack. */
  stackLoad(bits: 16 | 32, offset?: number, base?: number): void;
  /** Stores a local below the top of the stack and moves the top; the first of several must be preceded by reads. */
  stackPush(bits: 16 | 32, local: number): void;
  /** Pops an amount and adds it to eSP. */
  stackRelease(): void;

  // --- control. These end the instruction.
  /** Pushes the offset in CS of the next instruction. */
  nextEip(): void;
  /** Pops a target, cut to the operand size already. */
  jump(): void;
  /** To the row's relative target. */
  jumpRelative(): void;
  /** Pushes the offset in CS of the row's relative target. */
  relativeTarget(): void;
  /** General code only: faults if the local is a target beyond the limit of CS. */
  checkTarget(local: number): void;

  // --- state
  /** Pushes the offset in CS of this instruction. */
  eip(): void;
  /** Ends the instruction with a fault; nothing of it may have happened. code -1: none. */
  raise(vector: number, code: number): void;

  // --- arithmetic flags, see interpreter/flags.ts. The three words are locals.
  readonly flagZero: number;
  readonly flagSign: number;
  readonly flagCarry: number;
  /** Pops the arithmetic flags as bits at their EFLAGS places (CF 0 PF 2 AF 4 ZF 6 SF 7 OF 11). */
  setFlagBits(): void;
}

/** A case of the dispatch loop, for an instruction that is written for this place alone (meaning/x87/hot.ts). */
export interface HotSite extends Site {
  /** Makes sure that `bytes` bytes at the operand can be read: load() with an offset comes after it. */
  prepareLoad(bytes: number): void;
  /** Pushes 4 * i of ST(i). */
  rmOffset(): void;
  /** Notes where the instruction and its memory operand are; once that is known to be accessible. */
  noteX87(): void;
  /** Goes on behind the instruction. */
  finishCase(): void;
}

export type Emitter = (site: Site) => void;

/** By row id. */
export type EmitterTable = Readonly<Record<string, Emitter>>;

/**
 * A subject that needs helper functions in the generated module exports one of these: it is called once per module,
 * declares its helpers (module.func; no imports) and returns emitters that call them.
 * The x87 exports `x87Meaning: Meaning` from meaning/x87/index.ts.
 */
export type Meaning = (module: ModuleBuilder) => EmitterTable;
