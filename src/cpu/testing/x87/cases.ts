/**
 * The operands of the hardware vectors: the same pseudo-random sequence as in generate.c, which see. Results come
 * from the file; operands are made again here, so that the file holds nothing but what the processor said.
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

export interface F80 {
  hi: number;
  lo: number;
  se: number;
}
export interface Case {
  readonly name: string;
  readonly index: number;
  readonly cw: number;
  readonly sw: number;
  /** 00 in use, 11 empty, by physical register. */
  readonly tw: number;
  readonly st0: F80;
  readonly st1: F80;
  readonly memory: Uint8Array;
  /** What the processor gave. */
  readonly swOut: number;
  readonly twOut: number;
  readonly result: Uint8Array;
}

const f80 = (lo: number, hi: number, se: number): F80 => ({ lo, hi, se });
const ONES = 0xffffffff;
const EDGES: readonly F80[] = [
  f80(0, 0, 0),
  f80(1, 0, 0),
  f80(ONES, 0x7fffffff, 0),
  f80(0, 0x80000000, 0),
  f80(ONES, ONES, 0),
  f80(0, 0x40000000, 0),
  f80(0, 0x80000000, 1),
  f80(1, 0x80000000, 1),
  f80(ONES, ONES, 1),
  f80(0, 0x80000000, 0x3fff),
  f80(1, 0x80000000, 0x3fff),
  f80(ONES, ONES, 0x3ffe),
  f80(0, 0x80000000, 0x4000),
  f80(0, 0x80000000, 0x3ffe),
  f80(0, 0xc0000000, 0x3fff),
  f80(0, 0xc0000000, 0x4000),
  f80(0, 0xa0000000, 0x4000),
  f80(0, 0x80000000, 0x403e),
  f80(ONES, ONES, 0x403d),
  f80(0, 0x80000000, 0x403d),
  f80(0, 0x80000000, 0x401e),
  f80(0, 0x80000000, 0x7ffe),
  f80(ONES, ONES, 0x7ffe),
  f80(0, 0x80000000, 0x7fff),
  f80(1, 0x80000000, 0x7fff),
  f80(0, 0xc0000000, 0x7fff),
  f80(1, 0xc0000000, 0x7fff),
  f80(ONES, 0xbfffffff, 0x7fff),
  f80(ONES, ONES, 0x7fff),
  f80(0, 0, 0x7fff),
  f80(1, 0, 0x7fff),
  f80(0, 0x40000000, 0x7fff),
  f80(0, 0x40000000, 0x3fff),
  f80(0, 0, 0x3fff),
  f80(1, 0, 0x3fff),
  f80(0, 0x7fffffff, 1),
  f80(0, 0x40000000, 0x7ffe),
  f80(0x4a53a800, 0xde0b6b3a, 0x403a),
  f80(0x2168c235, 0xc90fdaa2, 0x3fff),
  f80(0x2168c235, 0xc90fdaa2, 0x4000),
];
const BIAS = 0x3fff;
const CENTERS: readonly number[] = [
  BIAS,
  BIAS,
  BIAS,
  BIAS,
  BIAS - 126,
  BIAS - 149,
  BIAS + 127,
  BIAS - 1022,
  BIAS - 1074,
  BIAS + 1023,
  BIAS + 15,
  BIAS + 31,
  BIAS + 63,
  1,
  40,
  0x7ffe,
  0x7ffe - 40,
  0x2000,
  0x5fff,
  BIAS - 32,
];
const SINGLE_EXPONENTS = [0, 0, 1, 2, 255, 255, 254, 253, 127, 127, 128, 126, 100, 150, 130, 120];
const DOUBLE_EXPONENTS = [0, 0, 1, 2, 2047, 2047, 2046, 2045, 1023, 1023, 1024, 1022, 900, 1100, 1030, 1000];
const DISTANCES = [0, 0, 0, 0, 1, -1, 2, -2, 63, -63, 64, -64, 65, -65, 66, 24];
const PRECISIONS = [3, 3, 3, 3, 2, 2, 0, 0];

/** xorshift32. */
class Sequence {
  private x: number;
  constructor(seed: number) {
    this.x = seed >>> 0;
  }
  next(): number {
    let x = this.x;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.x = x >>> 0;
    return this.x;
  }
}

function pick(s: Sequence): F80 {
  const r = s.next();
  const k = r & 15;
  if (k < 5) {
    const edge = EDGES[(r >>> 8) % EDGES.length]!;
    return f80(edge.lo, edge.hi, edge.se | (((r >>> 4) & 1) << 15));
  }
  let hi = (s.next() | 0x80000000) >>> 0;
  let lo = s.next();
  const shape = (r >>> 5) & 7;
  if (shape === 0) lo = 0;
  else if (shape === 1) {
    lo = 0;
    hi &= 0xffffff00;
  } else if (shape === 2) lo &= 0xfffff800;
  else if (shape === 3) {
    hi = ONES;
    lo = ~(lo & 15);
  } else if (shape === 4) {
    hi = 0x80000000;
    lo &= 15;
  }
  const width = k < 9 ? 2 : 66;
  let e = CENTERS[(r >>> 12) % CENTERS.length]! + (((r >>> 17) & 0x3fff) % (2 * width + 1)) - width;
  if (k === 15) e = (r >>> 12) & 0x7fff;
  if (k === 14 && r & 0x100) hi &= 0x7fffffff;
  e = Math.min(0x7fff, Math.max(0, e));
  return f80(lo >>> 0, hi >>> 0, e | ((r >>> 31) << 15));
}

function pickNear(s: Sequence, a: F80): F80 {
  const r = s.next();
  if (r & 3) return pick(s);
  const e = Math.min(0x7fff, Math.max(0, (a.se & 0x7fff) + DISTANCES[(r >>> 2) & 15]!));
  const v = f80(a.lo, a.hi, e | ((r >>> 31) << 15));
  const change = (r >>> 8) & 3;
  if (change === 1) v.lo = (v.lo ^ ((r >>> 12) & 7)) >>> 0;
  else if (change === 2) v.hi = (v.hi ^ ((r >>> 12) & 0xff)) >>> 0;
  else if (change === 3) v.lo = s.next();
  return v;
}

function pickMemory(s: Sequence, kind: string): Uint8Array {
  const memory = new Uint8Array(16).fill(0x5a);
  const view = new DataView(memory.buffer);
  const r = s.next();
  let hi = s.next();
  let lo = s.next();
  const shape = (r >>> 8) & 31;
  if (kind === 's') {
    if (r & 3) lo = (lo & 0x807fffff) | (SINGLE_EXPONENTS[(r >>> 2) & 15]! << 23);
    if ((shape & 3) === 0) lo &= 0xffc00000;
    if (shape === 1) lo &= 0xff800000;
    if (shape === 2) lo |= 0x7fffff;
    view.setUint32(0, lo, true);
  } else if (kind === 'd') {
    if (r & 3) hi = (hi & 0x800fffff) | (DOUBLE_EXPONENTS[(r >>> 2) & 15]! << 20);
    if ((shape & 3) === 0) {
      lo = 0;
      hi &= 0xfff80000;
    }
    if (shape === 1) {
      lo = 0;
      hi &= 0xfff00000;
    }
    if (shape === 2) {
      lo = ONES;
      hi |= 0xfffff;
    }
    view.setUint32(0, lo, true);
    view.setUint32(4, hi, true);
  } else if (kind === 'x') {
    const v = pick(s);
    view.setUint32(0, v.lo, true);
    view.setUint32(4, v.hi, true);
    view.setUint16(8, v.se, true);
  } else if (kind === 'w' || kind === 'l' || kind === 'q') {
    if (r & 1) {
      const t = (hi | 0) >> ((r >>> 4) & 31);
      lo = t ^ (lo & (r & 2 ? 3 : 0));
      hi = t >> 31;
    }
    const special = (r & 0x3c) >>> 2;
    if (special === 1) {
      lo = 0;
      hi = 0x80000000;
    } else if (special === 2) {
      lo = 0x80000000;
      hi = 0;
    } else if (special === 3) {
      lo = 0x8000;
      hi = 0;
    } else if (special === 4) {
      lo = 0;
      hi = 0;
    }
    view.setUint32(0, lo, true);
    view.setUint32(4, hi, true);
  } else if (kind === 'b') {
    const digits = (r >>> 4) % 20;
    for (let i = 0; i < 9; i++) {
      const t = s.next();
      const low = 2 * i < digits ? t % 10 : 0;
      const high = 2 * i + 1 < digits ? (t >>> 8) % 10 : 0;
      memory[i] = low | (high << 4);
    }
    memory[9] = r & 1 ? 0x80 : 0;
  }
  return memory;
}

const RESULT_BYTES: Readonly<Record<string, number>> = {
  s: 10,
  d: 20,
  f: 2,
  '0': 0,
  '2': 2,
  '4': 4,
  '8': 8,
  a: 10,
};

/** All cases by instruction name. */
export function loadCases(): Map<string, Case[]> {
  const file = gunzipSync(readFileSync(new URL('./x87-vectors.bin.gz', import.meta.url)));
  let at = file.indexOf('\n\n') + 2;
  const lines = file
    .subarray(0, at - 2)
    .toString('latin1')
    .split('\n');
  const out = new Map<string, Case[]>();
  for (const [number, line] of lines.entries()) {
    const [name, memoryKind, resultKind, count] = line.split(' ') as [string, string, string, string];
    const s = new Sequence(0x9e3779b9 ^ Math.imul(number + 1, 0x85ebca6b));
    const resultBytes = RESULT_BYTES[resultKind]!;
    const cases: Case[] = [];
    for (let index = 0; index < Number(count); index++) {
      let r = s.next();
      const masks = ((r >>> 5) & 3) === 0 ? (r >>> 7) & 0x3f : 0x3f;
      const cw = 0x40 | masks | (PRECISIONS[(r >>> 2) & 7]! << 8) | ((r & 3) << 10);
      r = s.next();
      const top = (r >>> 16) & 7;
      const sticky = ((r >>> 20) & 3) === 0 ? r & masks & 0x3f : 0;
      const sw = (r & 0x4700) | (top << 11) | sticky;
      const kind = (r >>> 24) & 31;
      let empty = 0xfc;
      if (kind === 0) empty |= 1;
      else if (kind === 1) empty |= 2;
      else if (kind === 2) empty |= 3;
      else if (kind === 3) empty &= 0x7f;
      let tw = 0;
      for (let i = 0; i < 8; i++) if ((empty >> i) & 1) tw |= 3 << (((i + top) % 8) * 2);
      const st0 = pick(s);
      const st1 = pickNear(s, st0);
      const memory = pickMemory(s, memoryKind);
      const swOut = file.readUInt16LE(at);
      const twOut = file.readUInt16LE(at + 2);
      const result = file.subarray(at + 4, at + 4 + resultBytes);
      at += 4 + resultBytes;
      cases.push({ name, index, cw, sw, tw, st0, st1, memory, swOut, twOut, result });
    }
    out.set(name, cases);
  }
  return out;
}
