/**
 * The machine in which a hardware vector runs, and its registers before the instruction, regenerated from a seed.
 * harness.c builds the same memory and the same LDT. Change nothing here without making the vectors anew.
 *
 *   14680000  code, 64 KiB: 90 below 14688000, then 1,024 slots of 32 bytes, one for each case of a batch
 *             (a place that halving or doubling a pointer does not lead to)
 *   20000000  data: two pages for reading and writing, then one for reading only
 *   30000000  stack, one page
 *   Everything else is not mapped.
 */
import { seededRandom } from '../random.ts';

export const CODE = 0x1468_0000;
export const CODE_SIZE = 0x1_0000;
export const FIRST_SLOT = CODE + 0x8000;
export const SLOTS = 1024;
export const SLOT_SIZE = 32;
export const DATA = 0x2000_0000;
export const DATA_SIZE = 0x3000;
export const WRITABLE_DATA_SIZE = 0x2000;
export const STACK = 0x3000_0000;
export const STACK_SIZE = 0x1000;

/** Linux' flat user segments: GDT entries 4 (code) and 5 (data), privilege level 3. */
export const FLAT_CODE = 0x23;
export const FLAT_DATA = 0x2b;

/** [entry, base, limit in units, 32-bit, 0 data 1 expand-down 2 code 3 conforming, read/execute only, pages, absent] */
const LDT_ENTRIES: readonly (readonly number[])[] = [
  [1, CODE, 0xffff, 0, 2, 0, 0, 0],
  [2, DATA, 0x2fff, 1, 0, 0, 0, 0],
  [3, STACK, 0x0fff, 0, 0, 0, 0, 0],
  [4, DATA, 0x07ff, 0, 1, 0, 0, 0],
  [5, DATA, 0x07ff, 1, 1, 0, 0, 0],
  [6, DATA, 0x0fff, 1, 0, 1, 0, 0],
  [7, CODE, 0xffff, 1, 2, 1, 0, 0],
  [8, CODE, 0xffff, 1, 2, 0, 0, 0],
  [9, DATA, 2, 1, 0, 0, 1, 0],
  [10, DATA, 0x0fff, 1, 0, 0, 0, 1],
  [11, CODE, 0xffff, 1, 2, 0, 0, 1],
  [12, CODE, 0xffff, 1, 3, 0, 0, 1],
  [13, DATA, 0, 1, 0, 0, 0, 0],
  [14, STACK, 0x0fff, 1, 0, 0, 0, 0],
  [15, DATA, 0x0fff, 0, 1, 1, 0, 0],
];
export const LDT_SIZE = 16 * 8;

function descriptor(base: number, limit: number, access: number, flags: number): [low: number, high: number] {
  const low = (((base & 0xffff) << 16) | (limit & 0xffff)) >>> 0;
  const high =
    (base & 0xff00_0000) | (flags << 20) | (limit & 0xf_0000) | (access << 8) | ((base >>> 16) & 0xff);
  return [low, high >>> 0];
}

/** The two words of each LDT descriptor, as Linux' modify_ldt makes them (accessed, privilege level 3). */
export function ldtWords(): Uint32Array {
  const words = new Uint32Array(LDT_SIZE / 4);
  for (const [
    entry = 0,
    base = 0,
    limit = 0,
    big = 0,
    contents = 0,
    only = 0,
    pages = 0,
    absent = 0,
  ] of LDT_ENTRIES) {
    const access = (absent ? 0 : 0x80) | 0x60 | 0x10 | (contents << 2) | (only ? 0 : 2) | 1;
    words.set(descriptor(base, limit, access, (pages ? 8 : 0) | (big ? 4 : 0)), entry * 2);
  }
  return words;
}

export const FLAT_CODE_WORDS = descriptor(0, 0xf_ffff, 0xfb, 0xc);
export const FLAT_DATA_WORDS = descriptor(0, 0xf_ffff, 0xf3, 0xc);

/** Selector of an LDT entry at privilege level 3. */
export const ldt = (entry: number): number => entry * 8 + 7;

export interface Environment {
  readonly bits: 16 | 32;
  /** ES CS SS DS FS GS. */
  readonly selectors: readonly number[];
  /** What a pointer into the data, the stack and the code starts from: linear or an offset. */
  readonly data: number;
  readonly stack: number;
  readonly code: number;
}

/** Numbers of the environments below. */
export const FLAT = 0,
  CODE_16 = 1,
  LDT_DATA = 2,
  LDT_CODE = 3;
export const ENVIRONMENTS: readonly Environment[] = [
  {
    bits: 32,
    selectors: [FLAT_DATA, FLAT_CODE, FLAT_DATA, FLAT_DATA, ldt(2), ldt(4)],
    data: DATA,
    stack: STACK,
    code: 0,
  },
  { bits: 16, selectors: [ldt(9), ldt(1), ldt(3), ldt(2), ldt(5), 0], data: 0, stack: 0, code: CODE },
  { bits: 32, selectors: [ldt(9), FLAT_CODE, ldt(14), ldt(2), ldt(4), ldt(6)], data: 0, stack: 0, code: 0 },
  { bits: 32, selectors: [ldt(4), ldt(8), ldt(3), ldt(5), ldt(13), ldt(6)], data: 0, stack: 0, code: CODE },
];

/**
 * How a case runs on hardware: one step, up to an INT3 behind a REP string, between FRSTOR and FNSAVE, or up to an
 * INT3 behind several instructions.
 */
export const STEP = 0,
  TO_INT3 = 1,
  X87 = 2,
  SEQUENCE = 3;
/** The longest code of a sequence; of a single instruction it is 16 (one byte too long). */
export const SEQUENCE_BYTES = 28;

/** Bytes that stand in memory before the case; below address 8: the value of that general register. */
export interface Poke {
  readonly address: number;
  readonly bytes: Uint8Array;
}

/** What is stored of a case's inputs; the rest follows from `seed`. */
export interface CaseSpec {
  readonly seed: number;
  readonly environment: number;
  readonly mode: number;
  /** Registers (a bit each) that point into the data (EBP: the stack), and that are small numbers. */
  readonly pointers: number;
  readonly small: number;
  /** Pointers go to the floating-point constants. */
  readonly pointersToFloats: boolean;
  readonly code: Uint8Array;
  readonly pokes: readonly Poke[];
}

const EDGES = [
  0, 1, 2, 0x7f, 0x80, 0x81, 0xff, 0x100, 0x7fff, 0x8000, 0x8001, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000,
  0x8000_0001, 0xffff_fffe, 0xffff_ffff, 0x9999_9999, 0x0f0f_0f0f,
];

function edgeOrRandom(random: () => number): number {
  const kind = random() & 7;
  if (kind < 2) return EDGES[random() % EDGES.length] ?? 0;
  if (kind < 3) return random() & 0x1f;
  return random();
}

export interface Registers {
  readonly gpr: Uint32Array;
  /** Offset of the instruction. */
  readonly eip: number;
  readonly eflags: number;
}

/** Bytes of FRSTOR in front of an x87 case's instruction. */
export const X87_LEAD = 6;

export function segmentBase(selector: number): number {
  if ((selector & 4) === 0) return 0;
  return LDT_ENTRIES.find(([entry]) => entry === selector >> 3)?.[1] ?? 0;
}

/** Seed of a case by its position; salt 0 to 2000. */
export function seedOf(index: number, salt: number): number {
  return index + salt * 1_000_000;
}

export function slotAddress(index: number): number {
  return FIRST_SLOT + (index % SLOTS) * SLOT_SIZE;
}

/** Linear address of the instruction of case number `index`. */
export function instructionAddress(spec: CaseSpec, index: number): number {
  return slotAddress(index) + (spec.mode === X87 ? X87_LEAD : 0);
}

const ESP = 4,
  EBP = 5;

export function registersOf(spec: CaseSpec, index: number): Registers {
  const random = seededRandom(Math.imul(spec.seed, 0x9e37_79b1) ^ 0x5bd1_e995);
  for (let skip = 0; skip < 4; skip++) random();
  const environment = ENVIRONMENTS[spec.environment] ?? ENVIRONMENTS[FLAT];
  if (environment === undefined) throw new Error('no such environment');
  const gpr = new Uint32Array(8);
  for (let reg = 0; reg < 8; reg++) {
    const value = edgeOrRandom(random);
    const noise = random();
    const upper = environment.bits === 16 && noise & 1 ? noise & 0xffff_0000 : 0;
    if (reg === ESP) {
      // The middle of the stack page; sometimes odd, sometimes at one of its ends.
      let offset = 0x800 + (value & 0x1fc);
      if ((noise & 0xf00) === 0) offset += 1 + (noise & 1);
      if ((noise & 0xf000) === 0) offset = noise & 0x1_0000 ? noise & 0x1e : 0xff0 + (noise & 0xf);
      gpr[reg] = environment.stack + offset;
    } else if (spec.pointers & (1 << reg)) {
      const base = reg === EBP ? environment.stack : environment.data;
      const offset =
        spec.pointersToFloats && reg !== EBP ? 0x1000 + (noise & 0xff0) : 0x800 + (noise & 0x3ff);
      gpr[reg] = (base + offset) | upper;
    } else if (spec.small & (1 << reg)) {
      gpr[reg] = value & 0xf;
    } else {
      gpr[reg] = value;
    }
  }
  for (const { address, bytes } of spec.pokes) {
    if (address < 8) gpr[address] = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  }
  const flags = random();
  const eflags = (flags & 0x8d5) | ((flags & 0x3_0000) === 0 ? 0x400 : 0) | 0x202;
  return { gpr, eip: instructionAddress(spec, index) - environment.code, eflags };
}

/** Significand and exponent of interesting 80-bit numbers: zeros, denormals, infinities, NaNs, unsupported forms. */
const FLOAT_EDGES: readonly (readonly [high: number, low: number, exponent: number])[] = [
  [0, 0, 0],
  [0, 1, 0],
  [0x7fff_ffff, 0xffff_ffff, 0],
  [0x8000_0000, 0, 0],
  [0x8000_0000, 0, 1],
  [0x8000_0000, 0, 0x7fff],
  [0xc000_0000, 0, 0x7fff],
  [0xc000_0000, 0x1234, 0x7fff],
  [0x8000_0000, 1, 0x7fff],
  [0x0000_0000, 1, 0x7fff],
  [0x4000_0000, 0, 0x3fff],
  [0x8000_0000, 0, 0x3fff],
  [0x8000_0000, 0, 0x3ffe],
  [0xc000_0000, 0, 0x3fff],
  [0xffff_ffff, 0xffff_ffff, 0x3fff],
  [0xffff_ffff, 0xffff_ffff, 0x7ffe],
  [0xffff_ffff, 0, 0x401e],
  [0x8000_0000, 0, 0x401e],
  [0x8000_0000, 0, 0x403e],
  [0xffff_ffff, 0xffff_fff0, 0x403d],
];

/** Writes one 80-bit number. Most are of middling size, so that sums and quotients have something to round. */
function putFloat80(view: DataView, at: number, random: () => number): void {
  const kind = random() & 15;
  const sign = random() & 0x8000;
  const edge = FLOAT_EDGES[random() % FLOAT_EDGES.length];
  let high = random() | 0x8000_0000;
  let low = random();
  let exponent = 0x3fff - 32 + (random() & 63);
  if (kind < 5 && edge !== undefined) [high, low, exponent] = edge;
  else if (kind < 6) exponent = random() & 0x7fff;
  else if (kind < 8) {
    // A small integer or half of one.
    high = ((random() & 0xff) << 24) | 0x8000_0000;
    low = 0;
    exponent = 0x3fff + (random() & 7);
  } else if (kind < 10) {
    high |= 0;
    low = 0;
  }
  view.setUint32(at, low, true);
  view.setUint32(at + 4, high, true);
  view.setUint16(at + 8, exponent | sign, true);
}

/** An FNSAVE image, 108 bytes. */
export function x87Of(spec: CaseSpec): Uint8Array {
  const image = new Uint8Array(108);
  const view = new DataView(image.buffer);
  const random = seededRandom(Math.imul(spec.seed, 0x85eb_ca6b) ^ 0x1f83_d9ab);
  for (let skip = 0; skip < 4; skip++) random();
  const kind = random();
  const control = (kind & 3) === 0 ? 0x37f : 0x07f | (random() & 0xc00) | ((random() & 3) << 8);
  // Seldom an unmasked exception is pending already (ES and B set): the next waiting instruction raises #MF.
  const pending = (kind & 0x3f_0000) === 0 ? random() & 0x3f : 0;
  const unmasked = pending | ((kind & 0x70) === 0 ? random() & 0x3f : 0);
  const sticky = pending | ((kind & 0x700) === 0 ? random() & ~unmasked & 0x3f : 0);
  const top = random() & 7;
  const status = (top << 11) | (random() & 0x4700) | sticky | (pending ? 0x8080 : 0);
  let tags = 0;
  for (let slot = 0; slot < 8; slot++) if ((random() & 7) === 0) tags |= 3 << (slot * 2);
  if (kind & 0x1000) tags &= ~((3 << (top * 2)) | (3 << (((top + 1) & 7) * 2)));
  if ((kind & 0x6000) === 0) tags |= 3 << (((top + 7) & 7) * 2);
  view.setUint32(0, 0xffff_0000 | (control & ~unmasked), true);
  view.setUint32(4, 0xffff_0000 | status, true);
  view.setUint32(8, 0xffff_0000 | tags, true);
  for (let reg = 0; reg < 8; reg++) putFloat80(view, 28 + reg * 10, random);
  return image;
}

/** What the data pages and the stack page hold before every case. */
export function memoryImage(): Uint8Array {
  const image = new Uint8Array(DATA_SIZE + STACK_SIZE);
  const view = new DataView(image.buffer);
  const random = seededRandom(0x1234_5678);
  for (let at = 0; at < image.length; at += 4) view.setUint32(at, edgeOrRandom(random), true);
  // Floating-point constants, one in 16 bytes: 80-bit, 64-bit, 32-bit, integers and packed decimals in turn.
  for (let at = 0x1000; at < 0x2000; at += 16) {
    const kind = (at >> 4) & 7;
    if (kind < 2) putFloat80(view, at, random);
    else if (kind < 4) putNarrowFloat(view, at, random, kind === 2);
    else if (kind < 5)
      for (let byte = 0; byte < 10; byte++) view.setUint8(at + byte, (random() % 10) * 16 + (random() % 10));
  }
  return image;
}

function putNarrowFloat(view: DataView, at: number, random: () => number, wide: boolean): void {
  const kind = random() & 7;
  const sign = random() & 0x8000_0000;
  const fraction = kind < 2 ? 0 : random();
  const size = wide ? 52 : 23;
  const most = wide ? 0x7ff : 0xff;
  let exponent = (most >> 1) - 16 + (random() & 31);
  if (kind === 0) exponent = 0;
  else if (kind === 1 || kind === 2) exponent = most;
  else if (kind === 3) exponent = random() & 1;
  if (wide) {
    view.setUint32(at, kind < 2 ? 0 : random(), true);
    view.setUint32(at + 4, sign | (exponent << (size - 32)) | (fraction >>> 12), true);
    return;
  }
  for (let copy = 0; copy < 4; copy++) {
    view.setUint32(at + copy * 4, sign | (exponent << size) | (fraction >>> (9 + copy)), true);
  }
}
