/**
 * Which descriptors a guest may have in its GDT and LDT, and what is quietly made of them (memory.md section 6).
 *
 *   high: base 31:24 | G D/B L AVL limit 19:16 | P DPL S type | base 23:16        low: base 15:0 | limit 15:0
 */
import { RAM_BASE } from '../cpu/layout.ts';
import { FRAME_SIZE, type PhysicalMemory } from '../cpu/physical-memory.ts';
import { EINVAL } from './abi/errno.ts';
import { deny, hex, lastReason } from './denial.ts';
import type { Domain } from './domain.ts';
import { SEGMENT_END } from './personality.ts';

export const DESCRIPTORS_PER_PAGE = 512;
/** Descriptors of the guest's part of the GDT: 14 pages. */
export const FIRST_RESERVED_GDT_ENTRY = 7168;
export const FIRST_RESERVED_GDT_PAGE = 14;
/** 0xE019, the ring-1 code segment that every guest has. */
const FLAT_KERNEL_CS = 0xe019;

const P = 1 << 15;
const S = 1 << 12;
const G = 1 << 23;
const L = 1 << 21;
const TYPE = 0xf00;
const CODE = 1 << 11;
const EXPAND_DOWN = 1 << 10;
const CALL_GATE = 0xc00;
const DPL_SHIFT = 13;

/** SCRATCH: the descriptor as it must be stored, after checkDescriptor returned 0. */
export const checked = { low: 0, high: 0 };

/** @returns 0, with the descriptor to store in `checked`, or an errno. */
export function checkDescriptor(domain: Domain, low: number, high: number): number {
  checked.low = low >>> 0;
  checked.high = high >>> 0;
  if (!(high & P)) return 0;
  const fixed = ((high >>> DPL_SHIFT) & 3) === 0 ? high | (1 << DPL_SHIFT) : high;
  if (!(high & S)) return checkGate(domain, low, fixed);
  high = fixed;
  checked.high = high >>> 0;
  return domain.personality === '3.0.2' ? truncate(domain, low, high) : check417(domain, low, high);
}

function baseOf(low: number, high: number): number {
  return ((low >>> 16) | ((high & 0xff) << 16) | (high & 0xff00_0000)) >>> 0;
}
/** Last byte, granularity applied. */
function limitOf(low: number, high: number): number {
  const field = (low & 0xffff) | (high & 0xf_0000);
  return high & G ? field * 4096 + 4095 : field;
}

function check417(domain: Domain, low: number, high: number): number {
  if (high & L && high & CODE) {
    return deny(EINVAL, 'long-mode-segment', 'it is a 64-bit code segment', 'a 32-bit segment');
  }
  if (baseOf(low, high) === 0 && limitOf(low, high) > domain.holeStart) {
    checked.low = (low | 0xffff) >>> 0;
    checked.high = (high | 0xf_0000) >>> 0;
  }
  return 0;
}

/** 3.0.2: a segment must not reach the hypervisor; its limit is cut so that it does not. */
function truncate(domain: Domain, low: number, high: number): number {
  const end = SEGMENT_END[domain.abi];
  const base = baseOf(low, high);
  if (base >= end - 4096) {
    return deny(
      EINVAL,
      'segment-base',
      `the segment begins at ${hex(base)}, in the hypervisor's part`,
      `a base below ${hex(end - 4096)}`,
    );
  }
  const limit = limitOf(low, high);
  let pages: number;
  if (!(high & CODE) && high & EXPAND_DOWN) {
    // Reaches from limit+1 up to 4 GiB. If that includes the offsets from -base on, only those may stay.
    if (base + limit + 1 > 0xffff_ffff) return 0;
    pages = (-(base & ~0xfff) >>> 12) - 1;
    if (base < 4096) pages = 0xf_ffff;
  } else {
    if (base + limit + 1 <= end) return 0;
    pages = ((end - base) >>> 12) - 1;
  }
  if (!(high & G)) {
    return deny(
      EINVAL,
      'segment-limit',
      `the segment reaches ${hex(base + limit)}, into the hypervisor's part, and its limit counts bytes`,
      `a limit below ${hex(end - base)}`,
    );
  }
  checked.low = ((low & 0xffff_0000) | (pages & 0xffff)) >>> 0;
  checked.high = ((high & ~0xf_0000) | (pages & 0xf_0000)) >>> 0;
  return 0;
}

function checkGate(domain: Domain, low: number, high: number): number {
  const type = high & TYPE;
  const modern = domain.personality !== '3.0.2';
  if (type === 0 && modern) {
    checked.high = high >>> 0;
    return 0;
  }
  if (type !== CALL_GATE) {
    return deny(
      EINVAL,
      'system-descriptor',
      `it is a system descriptor of type ${type >>> 8}`,
      'code, data and 32-bit call gate descriptors',
    );
  }
  let selector = low >>> 16;
  if ((selector & 3) === 0) selector |= 1;
  const guests = (selector & 4) !== 0 || selector >>> 3 < FIRST_RESERVED_GDT_ENTRY;
  if ((!guests && selector !== FLAT_KERNEL_CS) || high & 0xe0) {
    return deny(
      EINVAL,
      'call-gate',
      `it is a call gate to selector ${hex(low >>> 16)}`,
      "a call gate into a code segment of the guest's, with its reserved bits clear",
    );
  }
  const dpl = (high >>> DPL_SHIFT) & 3;
  if (modern) {
    // Kept where the gate's emulation finds it; the processor itself may not use the gate from any ring.
    checked.low = (((selector & ~3) << 16) | (dpl << 16) | (low & 0xffff)) >>> 0;
    checked.high = (high & ~(3 << DPL_SHIFT)) >>> 0;
  } else {
    checked.low = ((selector << 16) | (low & 0xffff)) >>> 0;
    checked.high = high >>> 0;
  }
  return 0;
}

/** All 512 descriptors of a page, whatever count the guest named; rewrites them in place. Refused: nothing changed. */
export function validateDescriptors(memory: PhysicalMemory, domain: Domain, mfn: number): number {
  const first = (RAM_BASE + mfn * FRAME_SIZE) >>> 2;
  const u32 = memory.u32;
  for (let i = 0; i < DESCRIPTORS_PER_PAGE; i++) {
    const errno = checkDescriptor(domain, u32[first + i * 2]!, u32[first + i * 2 + 1]!);
    if (errno !== 0) return denyDescriptor(errno, mfn, i);
  }
  for (let i = 0; i < DESCRIPTORS_PER_PAGE; i++) {
    const low = u32[first + i * 2]!;
    const high = u32[first + i * 2 + 1]!;
    checkDescriptor(domain, low, high);
    if (checked.low !== low) memory.write32(mfn * FRAME_SIZE + i * 8, checked.low);
    if (checked.high !== high) memory.write32(mfn * FRAME_SIZE + i * 8 + 4, checked.high);
  }
  return 0;
}

function denyDescriptor(errno: number, mfn: number, index: number): number {
  return deny(
    errno,
    'descriptor',
    `descriptor ${index} of frame ${hex(mfn)} was refused: ${lastReason()}`,
    'descriptors that stay within the guest',
    mfn,
    -1,
    index,
  );
}
