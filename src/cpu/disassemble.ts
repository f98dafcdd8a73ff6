/**
 * Instruction to text, in Intel syntax as the SDM's manuals and XED print it (`mov eax, dword ptr [ebx+ecx*4+0x10]`)
 * or in AT&T syntax (att-syntax.ts). Numbers from 0 to 9 are decimal, others hexadecimal; displacements are signed;
 * memory operands always say their size. Bytes that are no instruction come out as `(bad)`.
 */
import {
  decodeInstruction,
  type Instruction,
  type MemoryOperand,
  type Operand,
} from './decode-instruction.ts';
import { X87 } from './opcodes/x87.ts';

export interface DisassembleOptions {
  /** Size of the code segment. */
  readonly bits: 16 | 32;
  /** Name for an address (jump targets, absolute memory operands), or undefined. */
  readonly symbolAt?: (va: number) => string | undefined;
}

export interface DisassembledLine {
  readonly va: number;
  readonly length: number;
  readonly text: string;
  /** Undefined for `(bad)`. */
  readonly instruction: Instruction | undefined;
}

export const REGISTERS_8 = ['al', 'cl', 'dl', 'bl', 'ah', 'ch', 'dh', 'bh'];
export const REGISTERS_16 = ['ax', 'cx', 'dx', 'bx', 'sp', 'bp', 'si', 'di'];
export const REGISTERS_32 = ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi'];
export const SEGMENTS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'];

export function registerName(size: 8 | 16 | 32, index: number): string {
  const names = size === 8 ? REGISTERS_8 : size === 16 ? REGISTERS_16 : REGISTERS_32;
  return names[index] ?? '?';
}

/** formatNumber(9) = "9", formatNumber(10) = "0xa" */
export function formatNumber(value: number): string {
  return value < 10 ? `${value}` : `0x${value.toString(16)}`;
}

const SIZE_NAMES: Readonly<Record<number, string>> = {
  0: '',
  8: 'byte ptr ',
  16: 'word ptr ',
  32: 'dword ptr ',
  48: 'fword ptr ',
  64: 'qword ptr ',
  80: 'tbyte ptr ',
};

const ES = 0,
  SS = 2,
  DS = 3,
  ESP = 4,
  EBP = 5;

type SymbolAt = DisassembleOptions['symbolAt'];

/** "+0x10", "-4", "" for the displacement behind a register. */
export function signedDisplacement(memory: MemoryOperand): string {
  const { displacement, addressSize } = memory;
  if (displacement === 0) return '';
  const signed = addressSize === 16 ? (displacement << 16) >> 16 : displacement | 0;
  return signed < 0 ? `-${formatNumber(-signed)}` : `+${formatNumber(signed)}`;
}

/** "fs:" where an override says something; for the fixed ES of string instructions, where it could mislead. */
export function segmentText(memory: MemoryOperand, instruction: Instruction): string {
  const { segmentOverride, row } = instruction;
  if (segmentOverride < 0 || row.id === 'lea Gv,M') return '';
  const usesStack = memory.base === EBP || (memory.base === ESP && memory.addressSize === 32);
  const usual = usesStack ? SS : DS;
  return memory.segment === usual || (segmentOverride === DS && memory.segment === ES)
    ? ''
    : `${SEGMENTS[memory.segment]}:`;
}

function memoryText(memory: MemoryOperand, instruction: Instruction, symbolAt: SymbolAt): string {
  const segment = segmentText(memory, instruction);
  const size = SIZE_NAMES[memory.size] ?? '';
  const names = memory.addressSize === 16 ? REGISTERS_16 : REGISTERS_32;
  const parts: string[] = [];
  if (memory.base >= 0) parts.push(names[memory.base] ?? '');
  if (memory.index >= 0) {
    const scale = memory.scale === 1 && memory.base >= 0 ? '' : `*${memory.scale}`;
    parts.push(`${names[memory.index]}${scale}`);
  }
  const inside =
    parts.length === 0
      ? (symbolAt?.(memory.displacement) ?? formatNumber(memory.displacement))
      : parts.join('+') + signedDisplacement(memory);
  return `${size}${segment}[${inside}]`;
}

function operandText(operand: Operand, instruction: Instruction, symbolAt: SymbolAt): string {
  switch (operand.kind) {
    case 'register':
      return registerName(operand.size, operand.index);
    case 'segment':
      return SEGMENTS[operand.index] ?? '?';
    case 'control':
      return `cr${operand.index}`;
    case 'debug':
      return `dr${operand.index}`;
    case 'x87':
      return `st(${operand.index})`;
    case 'immediate':
      return formatNumber(operand.value);
    case 'target':
      return symbolAt?.(operand.value) ?? formatNumber(operand.value);
    case 'far':
      return `${formatNumber(operand.offset)}, ${formatNumber(operand.selector)}`;
    case 'memory':
      return memoryText(operand, instruction, symbolAt);
  }
}

/** x87 instructions with a memory operand that print ST0 although it is implied: before a source, after a store. */
const X87_STORES = new Set(['fst', 'fstp', 'fist', 'fistp', 'fbstp']);
const X87_WITHOUT_ST0 = new Set([
  'fldenv',
  'fldcw',
  'fnstenv',
  'fnstcw',
  'frstor',
  'fnsave',
  'fnstsw',
  'ffree',
  'ffreep',
]);
const X87_ROWS = new Set(X87);

function operandTexts(instruction: Instruction, symbolAt: SymbolAt): string[] {
  const { row, operands, operandSize } = instruction;
  if (row.mnemonic === 'xlatb') return [xlatOperand(instruction)];
  const texts = operands.map((operand, index) =>
    row.operands[index] === 'ST0' ? 'st' : operandText(operand, instruction, symbolAt),
  );
  if (X87_ROWS.has(row) && operands.length === 1 && !X87_WITHOUT_ST0.has(row.mnemonic)) {
    if (operands[0]?.kind === 'memory') X87_STORES.has(row.mnemonic) ? texts.push('st') : texts.unshift('st');
    else if (operands[0]?.kind === 'x87') row.mnemonic === 'fld' ? texts.unshift('st') : texts.push('st');
  }
  // LAR and LSL read 16 bits, but a register is written as wide as the destination.
  const second = operands[1];
  if (/^l(ar|sl) /.test(row.id) && second?.kind === 'register')
    texts[1] = registerName(operandSize, second.index);
  // What a string instruction stores or compares with is AL, AX or EAX: its mnemonic says so already.
  if (/^(stos|scas|lods)/.test(row.id)) return texts.filter((_, index) => operands[index]?.kind === 'memory');
  // The layout of x87 environment and state follows the operand size; said where it is not the segment's.
  if (instruction.operandSizePrefix) {
    const narrow = instruction.operandSize === 16;
    if (row.operands[0] === 'Menv') return [`${narrow ? 'fpuenv14' : 'fpuenv28'} ptr ${texts[0]}`];
    if (row.operands[0] === 'Mfst') return [`${narrow ? 'fpustate94' : 'fpustate108'} ptr ${texts[0]}`];
  }
  return texts;
}

function xlatOperand(instruction: Instruction): string {
  const { segmentOverride } = instruction;
  const segment = segmentOverride >= 0 && segmentOverride !== DS ? `${SEGMENTS[segmentOverride]}:` : '';
  return `byte ptr ${segment}[${instruction.addressSize === 16 ? 'bx' : 'ebx'}]`;
}

/** Rows whose operand size shows neither in a mnemonic nor in an operand. */
/** Rows whose address size shows in no operand, or in no register of one. */
const ADDRESS_SIZE_IS_HIDDEN = /^(loop|mov (AL|eAX),O|mov O)/;

const SIZE_IS_HIDDEN =
  /^(push (ES|CS|SS|DS|FS|GS|I)|pop (ES|SS|DS|FS|GS)|j\w+ J|loop|call Jz|callf Ap|jmpf Ap|ret|enter|leave)/;

function mnemonicText(instruction: Instruction, bits: 16 | 32): string {
  const { row, opcode, operandSize, addressSize, repeat } = instruction;
  const [narrow = '', wide = narrow] = row.mnemonic.split('|');
  const size = row.mnemonicByAddress === true ? addressSize : operandSize;
  let name = size === 16 ? narrow : wide;
  switch (row.id) {
    case 'pusha':
    case 'popa':
    case 'pushf':
    case 'popf':
    case 'iret':
      if (size === 16) name = row.id;
      break;
    case 'callf Ap':
    case 'callf Mp':
      name = 'call far';
      break;
    case 'jmpf Ap':
    case 'jmpf Mp':
      name = 'jmp far';
      break;
    case 'retf':
    case 'retf Iw':
      name = 'ret far';
      break;
    case 'xlatb':
      name = 'xlat';
      break;
    case 'nop':
      if (operandSize !== bits) name = 'xchg ax, ax';
      break;
  }
  const prefixes: string[] = [];
  if (instruction.lock) prefixes.push('lock');
  if (row.rep === 'rep' && repeat !== 0) prefixes.push(repeat === 0xf3 ? 'rep' : 'repne');
  if (row.rep === 'repz' && repeat !== 0) prefixes.push(repeat === 0xf3 ? 'repe' : 'repne');
  if (operandSize !== bits && SIZE_IS_HIDDEN.test(row.id))
    prefixes.push(operandSize === 16 ? 'data16' : 'data32');
  if (addressSize !== bits && ADDRESS_SIZE_IS_HIDDEN.test(row.id))
    prefixes.push(addressSize === 16 ? 'addr16' : 'addr32');
  if (opcode === 0x90 && name !== 'nop' && bits === 16) name = 'xchg eax, eax';
  return [...prefixes, name].join(' ');
}

/** Text of a decoded instruction in Intel syntax; `bits` is the size of its code segment. */
export function formatIntel(instruction: Instruction, options: DisassembleOptions): string {
  const texts = operandTexts(instruction, options.symbolAt);
  const name = mnemonicText(instruction, options.bits);
  return texts.length === 0 ? name : `${name} ${texts.join(', ')}`;
}

/** Disassembles one instruction at `va` (its offset in CS). Bytes that are none give `(bad)` of one byte. */
export function disassemble(bytes: Uint8Array, va: number, options: DisassembleOptions): DisassembledLine {
  const decoded = decodeInstruction(bytes, va, options.bits);
  if (!decoded.ok) return { va, length: 1, text: '(bad)', instruction: undefined };
  const { instruction } = decoded;
  return { va, length: instruction.length, text: formatIntel(instruction, options), instruction };
}
