/**
 * The general decoder: bytes to a structured instruction, from the opcode rows. It is for the disassembler, for
 * emulation of single instructions and for tests; it allocates and is not the interpreter's decoder.
 *
 * Rules: Intel SDM vol. 2, "Instruction Format". At most 15 bytes, prefixes in any number and order; of two segment
 * overrides, or of F2 and F3, the last counts. LOCK is legal before the read-modify-write instructions with a memory
 * destination only.
 */
import type { Row } from './opcodes/row.ts';
import { rowOf, takesModrm } from './opcodes/table.ts';

export const MAX_INSTRUCTION_LENGTH = 15;

/** Why bytes are no instruction: #UD, #UD for LOCK, #GP for more than 15 bytes, or there were too few bytes. */
export type DecodeFailure = 'undefined' | 'bad-lock' | 'too-long' | 'truncated';

export interface MemoryOperand {
  readonly kind: 'memory';
  /** Size of the access in bits; 0: an address only, or a block (FXSAVE and the like). */
  readonly size: number;
  /** Segment register in use, override applied. */
  readonly segment: number;
  readonly addressSize: 16 | 32;
  /** General registers, or -1. */
  readonly base: number;
  readonly index: number;
  readonly scale: 1 | 2 | 4 | 8;
  /** Unsigned, as wide as the address. */
  readonly displacement: number;
  /** No displacement was encoded. */
  readonly noDisplacement: boolean;
}

export type Operand =
  | { readonly kind: 'register'; readonly size: 8 | 16 | 32; readonly index: number }
  | { readonly kind: 'segment'; readonly index: number }
  | { readonly kind: 'control'; readonly index: number }
  | { readonly kind: 'debug'; readonly index: number }
  | { readonly kind: 'x87'; readonly index: number }
  | MemoryOperand
  /** Unsigned, `size` bits wide (after sign extension, where the form says so). */
  | { readonly kind: 'immediate'; readonly size: 8 | 16 | 32; readonly value: number }
  /** A jump's target, an offset in CS. */
  | { readonly kind: 'target'; readonly value: number }
  | { readonly kind: 'far'; readonly selector: number; readonly offset: number; readonly size: 16 | 32 };

export interface Instruction {
  readonly row: Row;
  readonly length: number;
  /** As in Row.opcode, of the byte met (so 82, not its synonym 80). */
  readonly opcode: number;
  /** -1 if there is none. */
  readonly modrm: number;
  readonly operandSize: 16 | 32;
  readonly addressSize: 16 | 32;
  /** Segment override, -1 without. */
  readonly segmentOverride: number;
  readonly lock: boolean;
  /** The last of F2 and F3 that was met, or 0, whether or not it has a meaning here. */
  readonly repeat: 0 | 0xf2 | 0xf3;
  /** 66 was met. */
  readonly operandSizePrefix: boolean;
  /** 67 was met. */
  readonly addressSizePrefix: boolean;
  readonly operands: readonly Operand[];
}

export type Decoded =
  | { readonly ok: true; readonly instruction: Instruction }
  | { readonly ok: false; readonly failure: DecodeFailure; readonly length: number };

const SS = 2,
  DS = 3,
  ESP = 4,
  EBP = 5;
const SEGMENT_NAMES = ['ES', 'CS', 'SS', 'DS', 'FS', 'GS'];

/** Thrown and caught in this file only. */
class Stop {
  readonly failure: DecodeFailure;
  constructor(failure: DecodeFailure) {
    this.failure = failure;
  }
}

class Reader {
  readonly bytes: Uint8Array;
  position = 0;
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
  byte(): number {
    if (this.position >= MAX_INSTRUCTION_LENGTH) throw new Stop('too-long');
    const value = this.bytes[this.position];
    if (value === undefined) throw new Stop('truncated');
    this.position++;
    return value;
  }
  word(): number {
    return this.byte() | (this.byte() << 8);
  }
  dword(): number {
    return (this.word() | (this.word() << 16)) >>> 0;
  }
  bySize(size: 16 | 32): number {
    return size === 16 ? this.word() : this.dword();
  }
  signedByte(size: 16 | 32): number {
    const value = (this.byte() << 24) >> 24;
    return size === 16 ? value & 0xffff : value >>> 0;
  }
}

type Address = Omit<MemoryOperand, 'kind' | 'size'>;

/** 16-bit addressing: base and index for each ModRM.rm. BX SI, BX DI, BP SI, BP DI, SI, DI, BP, BX. */
const BASE_16 = [3, 3, 5, 5, 6, 7, 5, 3];
const INDEX_16 = [6, 7, 6, 7, -1, -1, -1, -1];

function address16(reader: Reader, modrm: number, override: number): Address {
  const mod = modrm >> 6;
  const rm = modrm & 7;
  const absolute = mod === 0 && rm === 6;
  const base = absolute ? -1 : (BASE_16[rm] ?? -1);
  const displacement = absolute || mod === 2 ? reader.word() : mod === 1 ? reader.signedByte(16) : 0;
  return {
    segment: override >= 0 ? override : base === EBP ? SS : DS,
    addressSize: 16,
    base,
    index: absolute ? -1 : (INDEX_16[rm] ?? -1),
    scale: 1,
    displacement,
    noDisplacement: mod === 0 && !absolute,
  };
}

function address32(reader: Reader, modrm: number, override: number): Address {
  const mod = modrm >> 6;
  let base = modrm & 7;
  let index = -1;
  let scale: 1 | 2 | 4 | 8 = 1;
  if (base === 4) {
    const sib = reader.byte();
    base = sib & 7;
    index = (sib >> 3) & 7;
    scale = (1 << (sib >> 6)) as 1 | 2 | 4 | 8;
    // Index 4 means none; the scale is then without meaning.
    if (index === 4) index = -1;
  }
  if (mod === 0 && base === EBP) base = -1;
  const wide = mod === 2 || base === -1;
  const displacement = wide ? reader.dword() : mod === 1 ? reader.signedByte(32) : 0;
  return {
    segment: override >= 0 ? override : base === ESP || base === EBP ? SS : DS,
    addressSize: 32,
    base,
    index,
    scale,
    displacement,
    noDisplacement: !wide && mod === 0,
  };
}

/** Sizes in bits of the memory forms that do not follow the operand size. */
const MEMORY_SIZES: Readonly<Record<string, number>> = {
  M: 0,
  Mb: 8,
  Mw: 16,
  Md: 32,
  Mq: 64,
  Ms: 48,
  Mf32: 32,
  Mf64: 64,
  Mf80: 80,
  Mi16: 16,
  Mi32: 32,
  Mi64: 64,
  Mbcd: 80,
  Menv: 0,
  Mfst: 0,
  Mfx: 0,
};

interface Context {
  readonly reader: Reader;
  readonly operandSize: 16 | 32;
  readonly addressSize: 16 | 32;
  readonly override: number;
  readonly opcode: number;
  readonly modrm: number;
  /** Address of the memory operand in ModRM, if it has one. */
  readonly address: Address | undefined;
  readonly va: number;
  readonly targetSize: 16 | 32;
}

function sizeOf(letter: string | undefined, operandSize: 16 | 32): 8 | 16 | 32 {
  if (letter === 'b') return 8;
  if (letter === 'w') return 16;
  return letter === 'd' ? 32 : operandSize;
}

function register(size: 8 | 16 | 32, index: number): Operand {
  return { kind: 'register', size, index };
}

function registerOrMemory(form: string, context: Context): Operand {
  const { address, operandSize, modrm } = context;
  if (form === 'Mw/Rv') {
    return address ? { kind: 'memory', size: 16, ...address } : register(operandSize, modrm & 7);
  }
  const size = sizeOf(form[1], operandSize);
  return address ? { kind: 'memory', size, ...address } : register(size, modrm & 7);
}

function memoryOnly(form: string, context: Context): Operand {
  const { address, operandSize } = context;
  if (!address) throw new Stop('undefined');
  let size = MEMORY_SIZES[form] ?? 0;
  if (form === 'Mp') size = operandSize + 16;
  if (form === 'Ma') size = operandSize * 2;
  return { kind: 'memory', size, ...address };
}

function stringOperand(form: string, context: Context): Operand {
  const isSource = form[0] === 'X';
  return {
    kind: 'memory',
    size: sizeOf(form[1], context.operandSize),
    segment: isSource ? (context.override >= 0 ? context.override : DS) : 0,
    addressSize: context.addressSize,
    base: isSource ? 6 : 7,
    index: -1,
    scale: 1,
    displacement: 0,
    noDisplacement: true,
  };
}

function immediate(form: string, context: Context): Operand {
  const { reader, operandSize } = context;
  switch (form) {
    case 'Ib':
      return { kind: 'immediate', size: 8, value: reader.byte() };
    case 'Ibs':
      return { kind: 'immediate', size: operandSize, value: reader.signedByte(operandSize) };
    case 'Iw':
      return { kind: 'immediate', size: 16, value: reader.word() };
    default:
      return { kind: 'immediate', size: operandSize, value: reader.bySize(operandSize) };
  }
}

/** Displacements of jumps count from the end of the instruction, which is the end of the displacement. */
function target(form: string, context: Context): Operand {
  const { reader, operandSize, va } = context;
  const displacement = form === 'Jb' ? reader.signedByte(32) : reader.bySize(operandSize);
  const value = va + reader.position + displacement;
  return { kind: 'target', value: context.targetSize === 16 ? value & 0xffff : value >>> 0 };
}

function operand(form: string, context: Context): Operand {
  const { reader, modrm, operandSize, opcode } = context;
  switch (form) {
    case 'AL':
      return register(8, 0);
    case 'CL':
      return register(8, 1);
    case 'AX':
      return register(16, 0);
    case 'DX':
      return register(16, 2);
    case 'eAX':
      return register(operandSize, 0);
    case '1':
      return { kind: 'immediate', size: 8, value: 1 };
    case 'ST0':
      return { kind: 'x87', index: 0 };
    case 'STi':
      return { kind: 'x87', index: modrm & 7 };
    case 'Sw':
      return { kind: 'segment', index: (modrm >> 3) & 7 };
    case 'Rd':
      return register(32, modrm & 7);
    case 'Cd':
      return { kind: 'control', index: (modrm >> 3) & 7 };
    case 'Dd':
      return { kind: 'debug', index: (modrm >> 3) & 7 };
    case 'Ap': {
      const offset = reader.bySize(operandSize);
      return { kind: 'far', offset, selector: reader.word(), size: operandSize };
    }
    case 'Ob':
    case 'Ov': {
      const size = sizeOf(form[1], operandSize);
      const { addressSize, override } = context;
      const displacement = reader.bySize(addressSize);
      const segment = override >= 0 ? override : DS;
      return {
        kind: 'memory',
        size,
        segment,
        addressSize,
        base: -1,
        index: -1,
        scale: 1,
        displacement,
        noDisplacement: false,
      };
    }
  }
  const segment = SEGMENT_NAMES.indexOf(form);
  if (segment >= 0) return { kind: 'segment', index: segment };
  switch (form[0]) {
    case 'E':
      return registerOrMemory(form, context);
    case 'M':
      return form === 'Mw/Rv' ? registerOrMemory(form, context) : memoryOnly(form, context);
    case 'G':
      return register(sizeOf(form[1], operandSize), (modrm >> 3) & 7);
    case 'Z':
      return register(sizeOf(form[1], operandSize), opcode & 7);
    case 'I':
      return immediate(form, context);
    case 'J':
      return target(form, context);
    default:
      return stringOperand(form, context);
  }
}

/** Forms whose `mod` field means nothing: the operand is a register whatever it says. */
function ignoresMod(row: Row): boolean {
  return row.operands.includes('Rd');
}

interface Prefixes {
  operandSizePrefix: boolean;
  addressSizePrefix: boolean;
  override: number;
  lock: boolean;
  repeat: 0 | 0xf2 | 0xf3;
}

/** Reads the prefixes and the first opcode byte, which it returns. */
function readPrefixes(reader: Reader, into: Prefixes): number {
  for (;;) {
    const byte = reader.byte();
    switch (byte) {
      case 0x26:
      case 0x2e:
      case 0x36:
      case 0x3e:
        into.override = (byte >> 3) & 3;
        break;
      case 0x64:
      case 0x65:
        into.override = byte - 0x60;
        break;
      case 0x66:
        into.operandSizePrefix = true;
        break;
      case 0x67:
        into.addressSizePrefix = true;
        break;
      case 0xf0:
        into.lock = true;
        break;
      case 0xf2:
      case 0xf3:
        into.repeat = byte;
        break;
      default:
        return byte;
    }
  }
}

function flip(size: 16 | 32, prefix: boolean): 16 | 32 {
  if (!prefix) return size;
  return size === 16 ? 32 : 16;
}

function decodeOrStop(reader: Reader, va: number, bits: 16 | 32): Instruction {
  const prefixes: Prefixes = {
    operandSizePrefix: false,
    addressSizePrefix: false,
    override: -1,
    lock: false,
    repeat: 0,
  };
  let opcode = readPrefixes(reader, prefixes);
  if (opcode === 0x0f) opcode = 0x0f00 | reader.byte();
  const modrm = takesModrm(opcode) ? reader.byte() : -1;
  const row = rowOf(opcode, Math.max(0, modrm));
  if (row === undefined) throw new Stop('undefined');

  const operandSize = flip(bits, prefixes.operandSizePrefix);
  const addressSize = flip(bits, prefixes.addressSizePrefix);
  const hasAddress = modrm >= 0 && modrm < 0xc0 && !ignoresMod(row);
  const readAddress = addressSize === 16 ? address16 : address32;
  const address = hasAddress ? readAddress(reader, modrm, prefixes.override) : undefined;

  const context: Context = {
    reader,
    operandSize,
    addressSize,
    override: prefixes.override,
    opcode,
    modrm,
    address,
    va,
    targetSize: operandSize,
  };
  const operands = row.operands.map((form) => operand(form, context));
  if (prefixes.lock && !(row.lockable === true && address !== undefined)) throw new Stop('bad-lock');

  const { operandSizePrefix, addressSizePrefix, lock, repeat } = prefixes;
  if (row.mandatory === 'none' && (operandSizePrefix || repeat !== 0)) throw new Stop('undefined');
  return {
    row,
    length: reader.position,
    opcode,
    modrm,
    operandSize,
    addressSize,
    segmentOverride: prefixes.override,
    lock,
    repeat,
    operandSizePrefix,
    addressSizePrefix,
    operands,
  };
}

/**
 * Decodes one instruction at the start of `bytes`.
 * @param va offset in CS of the first byte, for jump targets
 * @param bits size of the code segment (its D bit)
 */
export function decodeInstruction(bytes: Uint8Array, va: number, bits: 16 | 32): Decoded {
  const reader = new Reader(bytes);
  try {
    return { ok: true, instruction: decodeOrStop(reader, va, bits) };
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    return { ok: false, failure: error.failure, length: reader.position };
  }
}
