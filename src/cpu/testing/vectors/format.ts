/**
 * The file format of hardware vectors: the inputs that state.ts cannot regenerate and the outcome, in columns (one
 * kind of value each), gzipped. Everything that an instruction left alone takes one bit or less.
 */
import {
  type CaseSpec,
  DATA,
  ENVIRONMENTS,
  type Poke,
  type Registers,
  registersOf,
  STACK,
  seedOf,
  X87,
  x87Of,
} from './state.ts';

/** What the hardware did. */
export interface Outcome {
  /** DONE, or the vector of the exception. */
  readonly vector: number;
  readonly errorCode: number;
  /** With a page fault. */
  readonly cr2: number;
  readonly gpr: Uint32Array;
  readonly eip: number;
  /** The bits of FLAG_MASK. */
  readonly eflags: number;
  readonly selectors: readonly number[];
  /** Bytes that changed, by linear address, ascending. */
  readonly memory: readonly MemoryByte[];
  /** FNSAVE image, if the case has one and ended without fault. */
  readonly x87: Uint8Array | undefined;
}
export interface MemoryByte {
  readonly address: number;
  readonly value: number;
}

export const DONE = 255;
/** OF SF ZF AF PF CF, DF, IF, NT, AC, ID. */
export const FLAG_MASK = 0x24_4ed5;
/** Control, status and tag word and eight registers of the FNSAVE image. The pointers are not compared. */
const X87_WORDS = [0, 4, 8];

const COLUMNS = [
  'spec',
  'pointers',
  'small',
  'lengths',
  'code',
  'pokes',
  'vector',
  'fault',
  'eip',
  'changed',
  'values',
  'flags',
  'segments',
  'memory',
  'x87',
] as const;
type Column = (typeof COLUMNS)[number];

class Sink {
  bytes: number[] = [];
  u8(value: number): void {
    this.bytes.push(value & 0xff);
  }
  u16(value: number): void {
    this.bytes.push(value & 0xff, (value >>> 8) & 0xff);
  }
  u32(value: number): void {
    this.u16(value);
    this.u16(value >>> 16);
  }
  varint(value: number): void {
    let rest = value >>> 0;
    while (rest >= 0x80) {
      this.bytes.push((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.bytes.push(rest);
  }
}

class Source {
  readonly bytes: Uint8Array;
  at = 0;
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
  u8(): number {
    return this.bytes[this.at++] ?? 0;
  }
  u16(): number {
    return this.u8() | (this.u8() << 8);
  }
  u32(): number {
    return (this.u16() | (this.u16() << 16)) >>> 0;
  }
  varint(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.u8();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
  }
  slice(length: number): Uint8Array {
    this.at += length;
    return this.bytes.slice(this.at - length, this.at);
  }
}

/** Addresses of the data and stack pages in 16 bits; registers (pokes below 8) stay as they are. */
function shortAddress(address: number): number {
  if (address < 8) return address;
  return address >= STACK - 0x1000 ? 0x8000 + ((address - STACK) & 0x7fff) : 0x1000 + (address - DATA);
}
function longAddress(short: number): number {
  if (short < 8) return short;
  return short >= 0x8000 ? STACK + (((short - 0x8000) << 17) >> 17) : DATA + short - 0x1000;
}
function eipBase(spec: CaseSpec, startEip: number): number {
  return startEip + spec.code.length;
}

export function pack(cases: readonly CaseSpec[], outcomes: readonly Outcome[]): Uint8Array {
  const columns = Object.fromEntries(COLUMNS.map((name) => [name, new Sink()])) as Record<Column, Sink>;
  for (const [index, spec] of cases.entries()) {
    const outcome = outcomes[index];
    if (outcome === undefined) throw new Error('fewer outcomes than cases');
    packCase(columns, spec, outcome, index);
  }
  const head = new Sink();
  head.u32(cases.length);
  for (const name of COLUMNS) head.u32(columns[name].bytes.length);
  const parts = [head.bytes, ...COLUMNS.map((name) => columns[name].bytes)];
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function packCase(columns: Record<Column, Sink>, spec: CaseSpec, outcome: Outcome, index: number): void {
  const before = registersOf(spec, index);
  columns.spec.u8(
    spec.environment | (spec.mode << 3) | (spec.pointersToFloats ? 0x20 : 0) | (spec.pokes.length << 6),
  );
  columns.pointers.u8(spec.pointers);
  columns.small.u8(spec.small);
  columns.lengths.u8(spec.code.length);
  for (const byte of spec.code) columns.code.u8(byte);
  for (const { address, bytes } of spec.pokes) {
    columns.pokes.u16(shortAddress(address));
    columns.pokes.u8(bytes.length);
    for (const byte of bytes) columns.pokes.u8(byte);
  }
  columns.vector.u8(outcome.vector);
  if (outcome.vector !== DONE) {
    columns.fault.varint(outcome.errorCode);
    if (outcome.vector === 14) columns.fault.u32(outcome.cr2);
  }
  // Zigzag of the distance from the end of the instruction.
  const distance = (outcome.eip - eipBase(spec, before.eip)) | 0;
  columns.eip.varint((distance << 1) ^ (distance >> 31));
  let changed = 0;
  for (let reg = 0; reg < 8; reg++) {
    const difference = (outcome.gpr[reg] ?? 0) ^ (before.gpr[reg] ?? 0);
    if (difference === 0) continue;
    changed |= 1 << reg;
    columns.values.varint(difference);
  }
  columns.changed.u8(changed);
  columns.flags.varint(outcome.eflags ^ (before.eflags & FLAG_MASK));
  packSegments(columns.segments, spec, outcome);
  packMemory(columns.memory, outcome.memory);
  if (outcome.x87 !== undefined) packX87(columns.x87, x87Of(spec), outcome.x87);
}

/** Written only if they differ from `usual`. */
function packSegments(sink: Sink, spec: CaseSpec, outcome: Outcome): void {
  const usual = selectorsOf(spec);
  let changed = 0;
  for (let segment = 0; segment < 6; segment++) {
    if (outcome.selectors[segment] !== usual[segment]) changed |= 1 << segment;
  }
  sink.u8(changed);
  for (let segment = 0; segment < 6; segment++) {
    if (changed & (1 << segment)) sink.u16(outcome.selectors[segment] ?? 0);
  }
}

function packMemory(sink: Sink, memory: readonly MemoryByte[]): void {
  const runs: { start: number; bytes: number[] }[] = [];
  for (const { address, value } of memory) {
    const last = runs.at(-1);
    if (last !== undefined && last.start + last.bytes.length === address && last.bytes.length < 255) {
      last.bytes.push(value);
    } else runs.push({ start: address, bytes: [value] });
  }
  sink.u8(runs.length);
  for (const { start, bytes } of runs) {
    sink.u16(shortAddress(start));
    sink.u8(bytes.length);
    for (const byte of bytes) sink.u8(byte);
  }
}

function packX87(sink: Sink, before: Uint8Array, after: Uint8Array): void {
  for (const at of X87_WORDS)
    sink.u16(((after[at] ?? 0) ^ (before[at] ?? 0)) | (((after[at + 1] ?? 0) ^ (before[at + 1] ?? 0)) << 8));
  // By physical register, so that a push or pop moves nothing.
  const from = physical(before);
  const to = physical(after);
  let changed = 0;
  for (let reg = 0; reg < 8; reg++) {
    if (Buffer.compare(from.subarray(reg * 10, reg * 10 + 10), to.subarray(reg * 10, reg * 10 + 10)) !== 0)
      changed |= 1 << reg;
  }
  sink.u8(changed);
  for (let reg = 0; reg < 8; reg++) {
    if (changed & (1 << reg)) for (let byte = 0; byte < 10; byte++) sink.u8(to[reg * 10 + byte] ?? 0);
  }
}

/** The eight registers of an FNSAVE image in physical order R0 to R7. */
export function physical(image: Uint8Array): Uint8Array {
  const top = ((image[5] ?? 0) >> 3) & 7;
  const registers = new Uint8Array(80);
  for (let st = 0; st < 8; st++)
    registers.set(image.subarray(28 + st * 10, 38 + st * 10), ((top + st) & 7) * 10);
  return registers;
}

function selectorsOf(spec: CaseSpec): readonly number[] {
  return ENVIRONMENTS[spec.environment]?.selectors ?? [];
}

export interface X87Outcome {
  readonly control: number;
  readonly status: number;
  readonly tags: number;
  /** R0 to R7, ten bytes each. */
  readonly registers: Uint8Array;
}

export interface Vector {
  readonly spec: CaseSpec;
  readonly index: number;
  readonly before: Registers;
  readonly vector: number;
  readonly errorCode: number;
  readonly cr2: number;
  readonly gpr: Uint32Array;
  readonly eip: number;
  readonly eflags: number;
  readonly selectors: readonly number[];
  readonly memory: readonly MemoryByte[];
  readonly x87: X87Outcome | undefined;
}

/** @param salt as the cases were generated with */
export function* unpack(whole: Uint8Array, salt = 0): Generator<Vector> {
  const head = new Source(whole);
  const count = head.u32();
  const lengths = COLUMNS.map(() => head.u32());
  let at = head.at;
  const columns = Object.fromEntries(
    COLUMNS.map((name, index) => {
      const length = lengths[index] ?? 0;
      at += length;
      return [name, new Source(whole.subarray(at - length, at))];
    }),
  ) as Record<Column, Source>;
  for (let index = 0; index < count; index++) yield unpackCase(columns, index, salt);
}

function unpackCase(columns: Record<Column, Source>, index: number, salt: number): Vector {
  const packed = columns.spec.u8();
  const pokes: Poke[] = [];
  const spec: CaseSpec = {
    seed: seedOf(index, salt),
    environment: packed & 7,
    mode: (packed >> 3) & 3,
    pointersToFloats: (packed & 0x20) !== 0,
    pointers: columns.pointers.u8(),
    small: columns.small.u8(),
    code: columns.code.slice(columns.lengths.u8()),
    pokes,
  };
  for (let left = packed >> 6; left > 0; left--) {
    const address = longAddress(columns.pokes.u16());
    pokes.push({ address, bytes: columns.pokes.slice(columns.pokes.u8()) });
  }
  const before = registersOf(spec, index);
  const vector = columns.vector.u8();
  const errorCode = vector === DONE ? 0 : columns.fault.varint();
  const cr2 = vector === 14 ? columns.fault.u32() : 0;
  const zigzag = columns.eip.varint();
  const eip = (eipBase(spec, before.eip) + ((zigzag >>> 1) ^ -(zigzag & 1))) >>> 0;
  const changed = columns.changed.u8();
  const gpr = before.gpr.slice();
  for (let reg = 0; reg < 8; reg++)
    if (changed & (1 << reg)) gpr[reg] = (gpr[reg] ?? 0) ^ columns.values.varint();
  const eflags = columns.flags.varint() ^ (before.eflags & FLAG_MASK);
  const selectors = [...selectorsOf(spec)];
  const segments = columns.segments.u8();
  for (let segment = 0; segment < 6; segment++)
    if (segments & (1 << segment)) selectors[segment] = columns.segments.u16();
  const memory: MemoryByte[] = [];
  for (let runs = columns.memory.u8(); runs > 0; runs--) {
    const start = longAddress(columns.memory.u16());
    const length = columns.memory.u8();
    for (let at = 0; at < length; at++) memory.push({ address: start + at, value: columns.memory.u8() });
  }
  const x87 = spec.mode === X87 && vector === DONE ? unpackX87(columns.x87, x87Of(spec)) : undefined;
  return { spec, index, before, vector, errorCode, cr2, gpr, eip, eflags, selectors, memory, x87 };
}

function unpackX87(source: Source, before: Uint8Array): X87Outcome {
  const word = (at: number): number => ((before[at] ?? 0) | ((before[at + 1] ?? 0) << 8)) ^ source.u16();
  const control = word(0);
  const status = word(4);
  const tags = word(8);
  const registers = physical(before);
  const changed = source.u8();
  for (let reg = 0; reg < 8; reg++) if (changed & (1 << reg)) registers.set(source.slice(10), reg * 10);
  return { control, status, tags, registers };
}
