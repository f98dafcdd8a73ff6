/**
 * Instruction to text in AT&T syntax, as GNU as reads it: source before destination, `%` before registers, `$` before
 * immediates, `disp(base,index,scale)`, and a size letter on the mnemonic where no register shows the size.
 */
import type { Instruction, MemoryOperand, Operand } from './decode-instruction.ts';
import {
  type DisassembleOptions,
  formatNumber,
  REGISTERS_16,
  REGISTERS_32,
  registerName,
  SEGMENTS,
  segmentText,
  signedDisplacement,
} from './disassemble.ts';

const SUFFIX: Readonly<Record<number, string>> = { 8: 'b', 16: 'w', 32: 'l' };

/** Names that differ altogether. The pairs are for operand size 16 and 32. */
const RENAMED: Readonly<Record<string, readonly [string, string]>> = {
  cbw: ['cbtw', 'cwtl'],
  cwd: ['cwtd', 'cltd'],
  'callf Ap': ['lcall', 'lcall'],
  'callf Mp': ['lcall', 'lcall'],
  'jmpf Ap': ['ljmp', 'ljmp'],
  'jmpf Mp': ['ljmp', 'ljmp'],
  retf: ['lret', 'lret'],
  'retf Iw': ['lret', 'lret'],
  pusha: ['pushaw', 'pusha'],
  popa: ['popaw', 'popa'],
  pushf: ['pushfw', 'pushf'],
  popf: ['popfw', 'popf'],
  iret: ['iretw', 'iret'],
  'movzx Gv,Eb': ['movzbw', 'movzbl'],
  'movzx Gv,Ew': ['movzww', 'movzwl'],
  'movsx Gv,Eb': ['movsbw', 'movsbl'],
  'movsx Gv,Ew': ['movsww', 'movswl'],
  xlatb: ['xlat', 'xlat'],
};

/** Size letters of x87 memory operands, by form. */
const X87_SUFFIX: Readonly<Record<string, string>> = {
  Mf32: 's',
  Mf64: 'l',
  Mf80: 't',
  Mi16: 's',
  Mi32: 'l',
  Mi64: 'll',
};

const STRING = /^(movs|cmps|stos|lods|scas|ins|outs) [XYADe]/;
/** No register tells the operand size of these; a size other than the segment's goes on the mnemonic. */
const SIZED_BY_SEGMENT =
  /^(push (ES|CS|SS|DS|FS|GS|I)|pop (ES|SS|DS|FS|GS)|call|jmpf|ret|enter|leave|[ls][gi]dt)/;
/** The size of the memory operand is fixed by the instruction. */
const FIXED =
  /^(set|bound|l[defgs]s|lsl|lar|sldt|str|lldt|ltr|ver[rw]|smsw|lmsw|invlpg|cmpxchg8b|fx|fld(env|cw)|fn|frstor|fbld|fbstp|mov (Mw|Sw))/;

function memoryText(memory: MemoryOperand, instruction: Instruction, options: DisassembleOptions): string {
  const prefix = segmentText(memory, instruction);
  const segment = prefix === '' ? '' : `%${prefix}`;
  const names = memory.addressSize === 16 ? REGISTERS_16 : REGISTERS_32;
  if (memory.base < 0 && memory.index < 0) {
    return `${segment}${options.symbolAt?.(memory.displacement) ?? formatNumber(memory.displacement)}`;
  }
  const base = memory.base < 0 ? '' : `%${names[memory.base]}`;
  const scale = memory.addressSize === 16 ? '' : `,${memory.scale}`;
  const index = memory.index < 0 ? '' : `,%${names[memory.index]}${scale}`;
  return `${segment}${signedDisplacement(memory).replace(/^\+/, '')}(${base}${index})`;
}

function operandText(operand: Operand, instruction: Instruction, options: DisassembleOptions): string {
  switch (operand.kind) {
    case 'register':
      return `%${registerName(operand.size, operand.index)}`;
    case 'segment':
      return `%${SEGMENTS[operand.index]}`;
    case 'control':
      return `%cr${operand.index}`;
    case 'debug':
      return `%db${operand.index}`;
    case 'x87':
      return `%st(${operand.index})`;
    case 'immediate':
      return `$${formatNumber(operand.value)}`;
    case 'target':
      return options.symbolAt?.(operand.value) ?? formatNumber(operand.value);
    case 'far':
      return `$${formatNumber(operand.selector)}, $${formatNumber(operand.offset)}`;
    case 'memory':
      return memoryText(operand, instruction, options);
  }
}

function mnemonicText(instruction: Instruction, options: DisassembleOptions): string {
  const { row, operands, operandSize, addressSize } = instruction;
  const [narrow = '', wide = narrow] = row.mnemonic.split('|');
  const byAddress = row.mnemonicByAddress === true;
  const isNarrow = (byAddress ? addressSize : operandSize) === 16;
  const renamed = RENAMED[row.id];
  let name = renamed?.[isNarrow ? 0 : 1] ?? (isNarrow ? narrow : wide);
  const memory = operands.find((operand) => operand.kind === 'memory');
  // A historic mistake of the syntax, kept by all assemblers: with ST(i) as destination these names are exchanged.
  if (row.operands[0] === 'STi')
    name = name.replace(/^f(sub|div)(r?)(p?)$/, (_, verb, r, p) => `f${verb}${r === '' ? 'r' : ''}${p}`);
  if (row.id.startsWith('fstpnce')) name = 'fstp';
  const x87 = X87_SUFFIX[row.operands[0] ?? ''];
  if (STRING.test(row.id)) return `${/^[a-z]+/.exec(row.id)?.[0] ?? name}${SUFFIX[memory?.size ?? 0] ?? ''}`;
  if (x87 !== undefined) return name + x87;
  if (SIZED_BY_SEGMENT.test(row.id) && !/Ev$/.test(row.id)) {
    if (operandSize !== options.bits && !/w$/.test(name)) name += SUFFIX[operandSize] ?? '';
  } else if (renamed === undefined && memory !== undefined && !FIXED.test(row.id)) {
    // A register as large as the memory operand shows its size; CL as a count does not.
    const shown = operands.some(
      (operand, at) =>
        operand.kind === 'register' && operand.size === memory.size && row.operands[at] !== 'CL',
    );
    if (!shown) name += SUFFIX[memory.size] ?? '';
  }
  return name;
}

/** Only ST(i) is written, ST0 is understood. */
const ONE_X87_OPERAND = /^(fcomp?|fucomp?|fxch|fstpnce) ST/;

/** Text of a decoded instruction in AT&T syntax. */
export function formatAtt(instruction: Instruction, options: DisassembleOptions): string {
  const { row, operands, repeat, lock } = instruction;
  const texts = operands.map((operand, at) =>
    row.operands[at] === 'ST0' ? '%st' : operandText(operand, instruction, options),
  );
  if (ONE_X87_OPERAND.test(row.id)) texts.splice(0, 2, ...texts.filter((text) => text !== '%st'));
  // ENTER keeps Intel's order, BOUND too.
  if (!/^(enter|bound)/.test(row.id)) texts.reverse();
  if (/^(call|jmp)f? (Ev|Mp)$/.test(row.id)) texts[0] = `*${texts[0]}`;
  const prefixes: string[] = [];
  if (lock) prefixes.push('lock');
  if (row.rep !== undefined && repeat === 0xf2) prefixes.push('repnz');
  if (row.rep !== undefined && repeat === 0xf3) prefixes.push(row.rep === 'repz' ? 'repz' : 'rep');
  if (/^(j\w+|loop\w*) J/.test(row.id) && instruction.operandSize !== options.bits) {
    prefixes.push(instruction.operandSize === 16 ? 'data16' : 'data32');
  }
  const name = [...prefixes, mnemonicText(instruction, options)].join(' ');
  return texts.length === 0 ? name : `${name} ${texts.join(', ')}`;
}
