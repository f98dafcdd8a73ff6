/**
 * Cases for the hardware, made from the opcode rows: every row that a program at privilege level 3 can reach, with
 * registers and memory, prefixes, both operand and address sizes, flat and LDT segments. Deterministic.
 */
import type { Row } from '../../opcodes/row.ts';
import { hasModrm, ROWS } from '../../opcodes/table.ts';
import { seededRandom } from '../random.ts';
import {
  type CaseSpec,
  CODE_16,
  DATA,
  ENVIRONMENTS,
  FLAT,
  FLAT_CODE,
  FLAT_DATA,
  LDT_CODE,
  LDT_DATA,
  ldt,
  type Poke,
  registersOf,
  STACK,
  STACK_SIZE,
  STEP,
  seedOf,
  segmentBase,
  TO_INT3,
  WRITABLE_DATA_SIZE,
  X87,
} from './state.ts';

const EAX = 0,
  ECX = 1,
  EDX = 2,
  EBX = 3,
  ESP = 4,
  EBP = 5,
  ESI = 6,
  EDI = 7;
const SEGMENT_PREFIX = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];
const ES = 0,
  CS = 1,
  SS = 2,
  DS = 3,
  FS = 4;

type Random = () => number;
const bit = (reg: number): number => 1 << reg;
const oneIn = (random: Random, n: number): boolean => random() % n === 0;
function pick<T>(random: Random, from: readonly T[]): T {
  const chosen = from[random() % from.length];
  if (chosen === undefined) throw new Error('nothing to pick from');
  return chosen;
}

function littleEndian(value: number, length: number): number[] {
  return Array.from({ length }, (_, index) => (value >>> (8 * index)) & 0xff);
}

/** Rows whose result tells about the host or its clock, and FXSAVE, whose image holds more than our processor has. */
export const NOT_COMPARABLE: ReadonlySet<string> = new Set([
  'sldt Mw/Rv',
  'str Mw/Rv',
  'sgdt Ms',
  'sidt Ms',
  'smsw Mw/Rv',
  'rdtsc',
  'cpuid',
  'rdpmc',
  'fxsave Mfx',
  'fxrstor Mfx',
]);

/** Opcodes that F2 or F3 turns into something else on later processors. */
const NO_STRAY_REPEAT = new Set([
  0x0fbc, 0x0fbd, 0x0f09, 0x0f1e, 0x0f1a, 0x0f1b, 0x0fc7, 0x0f01, 0x0fae, 0x90,
]);

/** Selectors that behave alike in our descriptor tables and in the host's. */
const SELECTORS: readonly number[] = [
  0,
  1,
  2,
  3,
  FLAT_DATA,
  FLAT_DATA & ~3,
  FLAT_CODE,
  FLAT_CODE & ~1,
  0xfff3,
  0xffff,
  0x107,
  0x80,
  0x13,
  0x1b,
  ...Array.from({ length: 15 }, (_, index) => ldt(index + 1)),
  ...Array.from({ length: 15 }, (_, index) => ldt(index + 1) & ~3),
  ...Array.from({ length: 15 }, (_, index) => ldt(index + 1) & ~1),
];
const CODE_SELECTORS: readonly number[] = [
  FLAT_CODE,
  FLAT_CODE,
  ldt(1),
  ldt(7),
  ldt(8),
  ldt(8),
  ldt(11),
  ldt(12),
  ldt(8) & ~3,
];

interface Draft {
  readonly row: Row;
  readonly opcode: number;
  readonly seed: number;
  readonly environment: number;
  readonly operandSize: 16 | 32;
  readonly addressSize: 16 | 32;
  readonly prefixes: number[];
  override: number;
  pointers: number;
  small: number;
  readonly pokes: Poke[];
}

function specOf(draft: Draft, code: readonly number[], mode: number): CaseSpec {
  const { seed, environment, pointers, small, pokes, row } = draft;
  const pointersToFloats = row.operands.some((form) => /^M[fi]\d|^Mbcd/.test(form));
  return { seed, environment, mode, pointers, small, pointersToFloats, code: new Uint8Array(code), pokes };
}

function gprOf(draft: Draft): Uint32Array {
  return registersOf(specOf(draft, [], STEP), draft.seed).gpr;
}

/** Puts bytes into mapped memory; an address elsewhere faults whatever stands there. */
function poke(draft: Draft, address: number, bytes: readonly number[]): void {
  const at = address >>> 0;
  const mapped = (at >= DATA && at < DATA + WRITABLE_DATA_SIZE) || (at >= STACK && at < STACK + STACK_SIZE);
  if (mapped) draft.pokes.push({ address: at, bytes: new Uint8Array(bytes) });
}

function pokeRegister(draft: Draft, reg: number, bytes: readonly number[]): void {
  draft.pokes.push({ address: reg, bytes: new Uint8Array(bytes) });
}

/** A linear address to aim at: mostly plain data, sometimes across a page, read-only, or not there. */
function target(draft: Draft, random: Random): number {
  const kind = random() % 32;
  const floats = draft.row.operands.some((form) => /^M[fi]\d|^Mbcd/.test(form));
  if (kind < 20) return floats ? DATA + 0x1000 + (random() & 0xff0) : DATA + 0x800 + (random() & 0x7fc);
  if (kind < 25) return DATA + 0x800 + (random() & 0x7ff);
  if (kind < 27) return DATA + 0x1000 - 1 - (random() % 4);
  if (kind < 28) return DATA + 0x2000 - 1 - (random() % 4);
  if (kind < 30) return DATA + 0x2000 + (random() & 0xffc);
  if (kind < 31) return STACK + 0x800 + (random() & 0xff);
  return DATA + 0x3000 - 2 + (random() & 0xff);
}

interface Address {
  readonly modrm: number;
  readonly tail: number[];
  /** Segment by default. */
  readonly segment: number;
  readonly offset: () => number;
}

const BASE_16 = [EBX, EBX, EBP, EBP, ESI, EDI, EBP, EBX];
const INDEX_16 = [ESI, EDI, ESI, EDI, -1, -1, -1, -1];

function segmentFor(draft: Draft, byDefault: number): number {
  const chosen = draft.override >= 0 ? draft.override : byDefault;
  return segmentBase(ENVIRONMENTS[draft.environment]?.selectors[chosen] ?? 0);
}

function address16(draft: Draft, random: Random): Address {
  const rm = random() & 7;
  const mod = random() % 3;
  const absolute = mod === 0 && rm === 6;
  const base = absolute ? -1 : (BASE_16[rm] ?? -1);
  const index = absolute ? -1 : (INDEX_16[rm] ?? -1);
  const segment = base === EBP ? SS : DS;
  if (mod < 2) {
    if (base >= 0) draft.pointers |= bit(base);
    if (index >= 0) draft.small |= bit(index);
  }
  const sum = (): number => {
    const gpr = gprOf(draft);
    return (base < 0 ? 0 : (gpr[base] ?? 0)) + (index < 0 ? 0 : (gpr[index] ?? 0));
  };
  let displacement = mod === 1 ? ((random() & 0x1f) - 16) & 0xffff : 0;
  if (absolute || mod === 2)
    displacement = (target(draft, random) - segmentFor(draft, segment) - sum()) & 0xffff;
  const tail = absolute || mod === 2 ? littleEndian(displacement, 2) : mod === 1 ? [displacement & 0xff] : [];
  return { modrm: (mod << 6) | rm, tail, segment, offset: () => (sum() + displacement) & 0xffff };
}

function address32(draft: Draft, random: Random): Address {
  const style = random() & 7;
  const useSib = oneIn(random, 3);
  let base = random() & 7;
  let index = -1;
  const scale = random() & 3;
  let mod = style >= 5 ? 2 : style & 1;
  if (useSib) {
    index = random() & 7;
    if (index === ESP || index === base) index = -1;
  }
  if (style === 4) {
    base = -1;
    mod = 0;
  } else if (mod === 0 && base === EBP) mod = 1;
  const sib = index >= 0 || base === ESP;
  const segment = base === ESP || base === EBP ? SS : DS;
  if (mod < 2) {
    if (base >= 0 && base !== ESP) draft.pointers |= bit(base);
    if (index >= 0) draft.small |= bit(index);
  }
  const sum = (): number => {
    const gpr = gprOf(draft);
    return ((base < 0 ? 0 : (gpr[base] ?? 0)) + (index < 0 ? 0 : (gpr[index] ?? 0) * (1 << scale))) >>> 0;
  };
  const wide = mod === 2 || base < 0;
  let displacement = mod === 1 ? (random() & 0x3f) - 32 : 0;
  if (wide) displacement = target(draft, random) - segmentFor(draft, segment) - sum();
  const rm = sib ? 4 : base < 0 ? 5 : base;
  const tail = sib ? [(scale << 6) | ((index < 0 ? 4 : index) << 3) | (base < 0 ? 5 : base)] : [];
  tail.push(...(wide ? littleEndian(displacement, 4) : mod === 1 ? [displacement & 0xff] : []));
  return { modrm: (mod << 6) | rm, tail, segment, offset: () => (sum() + displacement) >>> 0 };
}

/** A selector, as two bytes. */
function selector(random: Random): number[] {
  return littleEndian(pick(random, SELECTORS), 2);
}

function farPointer(draft: Draft, random: Random, selectors: readonly number[]): number[] {
  const inside = oneIn(random, 4) ? random() : random() & 0x7fff;
  return [...littleEndian(inside, draft.operandSize / 8), ...littleEndian(pick(random, selectors), 2)];
}

function stackTop(draft: Draft): number {
  const base = segmentFor({ ...draft, override: -1 }, SS);
  const esp = gprOf(draft)[ESP] ?? 0;
  return base + esp;
}

/** Gives an instruction the inputs with which it does more than fail. */
function arrange(draft: Draft, random: Random): void {
  const { row, operandSize } = draft;
  const id = row.id;
  const size = operandSize / 8;
  if (row.rep !== undefined) {
    draft.pointers |= bit(ESI) | bit(EDI);
    if (!oneIn(random, 8)) draft.small |= bit(ECX);
  }
  if (id === 'xlatb') draft.pointers |= bit(EBX);
  if (/^(enter|leave)/.test(id) && !oneIn(random, 8)) draft.pointers |= bit(EBP);
  if (/^i?div/.test(id) && !oneIn(random, 3)) draft.small |= bit(EDX);
  if (/^(loop|jcxz)/.test(id) && oneIn(random, 2)) draft.small |= bit(ECX);
  if (/CL$/.test(id) && oneIn(random, 2)) draft.small |= bit(ECX);
  const top = stackTop(draft);
  if (id === 'popf') poke(draft, top, littleEndian(random() & 0x4beff, size));
  if (id === 'iret') {
    const target = oneIn(random, 4) ? random() : random() & 0x7fff;
    const codeSelector = pick(random, oneIn(random, 3) ? SELECTORS : CODE_SELECTORS);
    poke(draft, top, [...littleEndian(target, size), ...littleEndian(codeSelector, size)]);
    poke(draft, top + 2 * size, littleEndian(random() & 0x4beff, size));
  }
  if (/^retf/.test(id)) {
    const target = oneIn(random, 4) ? random() : random() & 0x7fff;
    const codeSelector = pick(random, oneIn(random, 3) ? SELECTORS : CODE_SELECTORS);
    poke(draft, top, [...littleEndian(target, size), ...littleEndian(codeSelector, size)]);
  }
  if (/^ret/.test(id) && draft.pokes.length === 0 && !oneIn(random, 4)) {
    poke(draft, top, littleEndian(random() & 0x7fff, size));
  }
  if (/^pop [EDSFG]S$/.test(id)) poke(draft, top, selector(random));
}

/** The same for the operand in ModRM: `linear` is its address, -1 for a register. */
function arrangeOperand(draft: Draft, modrm: number, linear: number, random: Random): void {
  const { row } = draft;
  const gpr = gprOf(draft);
  const first = row.operands[0] ?? '';
  if (/^(mov Sw|lar|lsl|verr|verw|arpl)/.test(row.id)) {
    if (linear >= 0) poke(draft, linear, selector(random));
    else if ((modrm & 7) !== ESP)
      pokeRegister(draft, modrm & 7, [...selector(random), ...littleEndian(random(), 2)]);
  }
  if (/Mp$/.test(row.id) && linear >= 0 && !oneIn(random, 8)) {
    const code = /^(call|jmp)/.test(row.id) && !oneIn(random, 3);
    poke(draft, linear, farPointer(draft, random, code ? CODE_SELECTORS : SELECTORS));
  }
  if (row.id === 'bound Gv,Ma' && linear >= 0 && !oneIn(random, 8)) {
    const value = gpr[(modrm >> 3) & 7] ?? 0;
    const low = value - (random() % 4) + 1;
    const high = value + (random() % 4) - 1;
    const size = draft.operandSize / 8;
    poke(draft, linear, [...littleEndian(low, size), ...littleEndian(high, size)]);
  }
  if (/^cmpxchg E/.test(row.id) && linear >= 0 && oneIn(random, 2)) {
    poke(draft, linear, littleEndian(gpr[EAX] ?? 0, first === 'Eb' ? 1 : draft.operandSize / 8));
  }
  if (row.id === 'cmpxchg8b Mq' && linear >= 0 && oneIn(random, 2)) {
    poke(draft, linear, [...littleEndian(gpr[EAX] ?? 0, 4), ...littleEndian(gpr[EDX] ?? 0, 4)]);
  }
}

function immediates(draft: Draft, random: Random): number[] {
  const bytes: number[] = [];
  for (const form of draft.row.operands) {
    const wide = draft.operandSize / 8;
    const value = oneIn(random, 3)
      ? pick(random, [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff_ffff])
      : random();
    if (form === 'Ib' && draft.row.id === 'int Ib')
      bytes.push(pick(random, [0, 1, 3, 4, 5, 13, 14, 0x20, 0x40, 0x81, 0xff]));
    else if (form === 'Ib' && draft.row.id === 'enter Iw,Ib')
      bytes.push(oneIn(random, 2) ? 0 : random() & 0x27);
    else if (form === 'Iw' && draft.row.id === 'enter Iw,Ib')
      bytes.push(...littleEndian(random() & (oneIn(random, 8) ? 0xffff : 0x1ff), 2));
    else if (form === 'Ib' || form === 'Ibs' || form === 'Jb') bytes.push(value & 0xff);
    else if (form === 'Iw') bytes.push(...littleEndian(value, 2));
    else if (form === 'Iz' || form === 'Jz')
      bytes.push(
        ...littleEndian(form === 'Jz' && !oneIn(random, 4) ? (random() & 0x3fff) - 0x2000 : value, wide),
      );
    else if (form === 'Ap')
      bytes.push(...farPointer(draft, random, oneIn(random, 3) ? SELECTORS : CODE_SELECTORS));
    else if (form === 'Ob' || form === 'Ov') {
      bytes.push(...littleEndian(target(draft, random) - segmentFor(draft, DS), draft.addressSize / 8));
    }
  }
  return bytes;
}

function chooseEnvironment(row: Row, random: Random): number {
  const kind = random() % 16;
  // FRSTOR and FNSAVE around an x87 case need flat 32-bit segments; FS and GS are LDT segments there, too.
  if (isX87(row)) return FLAT;
  return kind < 9 ? FLAT : kind < 12 ? CODE_16 : kind < 14 ? LDT_DATA : LDT_CODE;
}

function choosePrefixes(
  row: Row,
  environment: number,
  random: Random,
): Pick<Draft, 'prefixes' | 'override' | 'operandSize' | 'addressSize'> {
  const prefixes: number[] = [];
  const bits = ENVIRONMENTS[environment]?.bits ?? 32;
  const other = bits === 32 ? 16 : 32;
  const noOperandSize =
    row.mandatory === 'none' || row.id === 'bswap Zv' || /^(callf|jmpf|iret|retf)/.test(row.id);
  const withOperandSize =
    oneIn(random, 3) && !(row.id === 'bswap Zv' && bits === 32) && row.mandatory !== 'none';
  const operandPrefix =
    row.id === 'bswap Zv' ? bits === 16 : withOperandSize && !(noOperandSize && !oneIn(random, 4));
  if (operandPrefix) prefixes.push(0x66);
  const addressPrefix = oneIn(random, 8);
  if (addressPrefix) prefixes.push(0x67);
  let override = -1;
  const needsFs = environment === FLAT && addressPrefix && !oneIn(random, 8);
  if (needsFs) override = FS;
  else if (oneIn(random, 8)) override = random() % 6;
  // Code is not compared between the two machines beyond the slot itself.
  if (override === CS && (ENVIRONMENTS[environment]?.code ?? 0) !== 0) override = ES;
  if (override >= 0) prefixes.push(SEGMENT_PREFIX[override] ?? 0x26);
  if (row.lockable === true ? oneIn(random, 4) : oneIn(random, 64)) prefixes.push(0xf0);
  if (row.rep !== undefined ? oneIn(random, 2) : oneIn(random, 48) && !NO_STRAY_REPEAT.has(row.opcode)) {
    if (!(row.opcode >= 0x0f18 && row.opcode <= 0x0f1f)) prefixes.push(oneIn(random, 2) ? 0xf3 : 0xf2);
  }
  prefixes.sort(() => ((random() & 1) === 0 ? -1 : 1));
  return {
    prefixes,
    override,
    operandSize: operandPrefix ? other : bits,
    addressSize: addressPrefix ? (bits === 32 ? 16 : 32) : bits,
  };
}

function modrmOf(row: Row, opcode: number, random: Random): { reg: number; memory: boolean; whole: number } {
  if (row.modrm !== undefined) return { reg: 0, memory: false, whole: row.modrm };
  let reg = row.reg ?? random() & 7;
  if (row.alsoReg !== undefined && oneIn(random, 8)) reg = row.alsoReg;
  while (row.exceptReg?.includes(reg)) reg = random() & 7;
  const at = row.alsoAt?.find(([place]) => place === opcode);
  if (at !== undefined) reg = at[1];
  const memory = row.mod === 'mem' || (row.mod === undefined && !oneIn(random, 2));
  return { reg, memory, whole: -1 };
}

function opcodeOf(row: Row, random: Random): number {
  const span = row.span ?? 1;
  if (span > 1) return row.opcode + (random() % span);
  const others = [...(row.also ?? []), ...(row.alsoAt ?? []).map(([opcode]) => opcode)];
  return others.length > 0 && oneIn(random, 4) ? pick(random, others) : row.opcode;
}

/** Undefined results are left out where no flag mask can express them. */
function isUndefined(draft: Draft, immediate: number): boolean {
  const { row, operandSize } = draft;
  if (/^sh[lr]d/.test(row.id)) {
    const count = (row.id.endsWith('CL') ? (gprOf(draft)[ECX] ?? 0) : immediate) & 31;
    return count > operandSize;
  }
  return false;
}

function makeCase(row: Row, seed: number, random: Random): CaseSpec | undefined {
  const environment = chooseEnvironment(row, random);
  const opcode = opcodeOf(row, random);
  const draft: Draft = {
    row,
    opcode,
    seed,
    environment,
    pointers: 0,
    small: 0,
    pokes: [],
    ...choosePrefixes(row, environment, random),
  };
  const code = [...draft.prefixes, ...(opcode > 0xff ? [0x0f] : []), opcode & 0xff];
  arrange(draft, random);
  let modrm = -1;
  if (hasModrm(row)) {
    const chosen = modrmOf(row, opcode, random);
    if (row.id.startsWith('bt') && row.operands[1] === 'Gv' && !oneIn(random, 3))
      draft.small |= bit(chosen.reg);
    if (chosen.whole >= 0) {
      modrm = chosen.whole;
      code.push(modrm);
    } else if (chosen.memory) {
      const address = (draft.addressSize === 16 ? address16 : address32)(draft, random);
      modrm = address.modrm | (chosen.reg << 3);
      code.push(modrm, ...address.tail);
      const base = segmentFor(draft, address.segment);
      arrangeOperand(draft, modrm, (base + address.offset()) >>> 0, random);
    } else {
      modrm = 0xc0 | (chosen.reg << 3) | (random() & 7);
      code.push(modrm);
      arrangeOperand(draft, modrm, -1, random);
    }
  }
  const tail = immediates(draft, random);
  code.push(...tail);
  if (code.length > 15 || isUndefined(draft, tail.at(-1) ?? 0)) return undefined;
  return specOf(draft, code, isX87(row) ? X87 : row.rep !== undefined || row.id === 'pushf' ? TO_INT3 : STEP);
}

function isX87(row: Row): boolean {
  return (row.opcode >= 0xd8 && row.opcode <= 0xdf) || row.id === 'fwait';
}

/** Cases of a row: few where sixteen rows share one meaning. */
function casesFor(row: Row): number {
  if (/^(j|set|cmov)/.test(row.mnemonic) && row.readsFlags !== undefined) return 160;
  if (row.privilege === 'cpl0' || row.privilege === 'iopl' || /^(nop|ud)/.test(row.id)) return 60;
  if (/^(in|out)/.test(row.mnemonic) && row.privilege !== undefined) return 60;
  if (row.modrm !== undefined)
    return /^(f2xm1|fyl2x|fptan|fpatan|fs|fc|fprem|frndint|fxtract|fxam|ftst)/.test(row.id) ? 800 : 120;
  return 640;
}

function hash(text: string): number {
  let value = 0x811c_9dc5;
  for (const char of text) value = Math.imul(value ^ char.charCodeAt(0), 0x0100_0193);
  return value >>> 0;
}

/** Encodings that raise #UD on every processor that we know, and one that is too long (#GP). */
const REFUSED: readonly string[] = [
  '8dc0',
  '8f08',
  '8fc8',
  'fed0',
  'fe38',
  'ff38',
  'fff8',
  'ffd8',
  'ffe8',
  '0f00f0',
  '0f0038',
  '0fbac001',
  '0fba1801',
  '0fc7c8',
  '0f04',
  '0f0a',
  '0f0c',
  '0f24c0',
  '0f25c0',
  '0f26c0',
  '0f27c0',
  '0f36',
  '0f39',
  '0f3b',
  '0f3f',
  '0fa6c0',
  '0fa7c0',
  '8cf0',
  '8cf8',
  '8ec8',
  '8ef0',
  '8ef8',
  'c6c801',
  'c7c801020304',
  'd9d1',
  'd9e2',
  'd9ef',
  'dae0',
  'dbe5',
  'ddf0',
  'ded8',
  'dfe1',
  'dff8',
  'db20',
  'db30',
  'dd28',
  'd908',
  'f089d8',
  'f001d8',
  'f08b03',
  'f0c3',
  'f090',
  'f0390b',
  'f0f7c301000000',
  'f00fa303',
  'f0a4',
  'f0f3a5',
  '66666666666666666666666666666690',
];

/** All cases of one subject. The committed files have salt 0; another gives other cases of the same kind. */
export function generate(subject: 'integer' | 'x87', salt = 0): CaseSpec[] {
  const cases: CaseSpec[] = [];
  for (const row of ROWS) {
    if (isX87(row) !== (subject === 'x87') || NOT_COMPARABLE.has(row.id)) continue;
    const random = seededRandom(hash(row.id) ^ Math.imul(salt, 0x9e37_79b1));
    for (let skip = 0; skip < 8; skip++) random();
    for (let wanted = casesFor(row), made = 0; made < wanted; ) {
      const spec = makeCase(row, seedOf(cases.length, salt), random);
      if (spec === undefined) continue;
      cases.push(spec);
      made++;
    }
  }
  if (subject === 'integer') {
    for (const text of REFUSED) {
      const code = Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
      const seed = seedOf(cases.length, salt);
      const pointers = bit(EBX);
      cases.push({
        seed,
        environment: FLAT,
        mode: STEP,
        pointers,
        small: 0,
        pointersToFloats: false,
        code,
        pokes: [],
      });
    }
  }
  return cases;
}
