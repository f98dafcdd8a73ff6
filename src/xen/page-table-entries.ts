/**
 * Page-table entries, 4 bytes (2-level) or 8 (PAE), always handled as two 32-bit words: `low`, and `high`, which is
 * 0 for 2-level tables. Which bits a guest may set: memory.md 3.1.
 *
 *    63 62..52 51 .. 32 | 31 .. 12 11..9 8 7    6 5 4   3   2  1  0
 *    NX avail  address  | address  avail G PS/  D A PCD PWT US RW P
 *                                          PAT
 */
import { RAM_BASE } from '../cpu/layout.ts';
import type { PhysicalMemory } from '../cpu/physical-memory.ts';
import type { Domain } from './domain.ts';
import { TYPE_l1, TYPE_l2, TYPE_l3 } from './frames.ts';

export const PTE_PRESENT = 0x001;
export const PTE_RW = 0x002;
export const PTE_USER = 0x004;
export const PTE_PWT = 0x008;
export const PTE_PCD = 0x010;
export const PTE_ACCESSED = 0x020;
export const PTE_DIRTY = 0x040;
export const PTE_PS = 0x080;
export const PTE_GLOBAL = 0x100;
/** Of the high word. */
export const PTE_NX = 0x8000_0000;

/** Xen's slots in an L2 table: the first, of 1024 or (PAE, the L2 of L3 slot 3) of 512. */
export const XEN_SLOT_2L = 1008;
export const XEN_SLOT_PAE = 428;
/** The L3 slot whose L2 holds Xen's slots. */
export const L3_XEN_SLOT = 3;
export const L3_ENTRIES = 4;

/** Address bits 32 and up of an entry's high word; no frame of this machine has any. */
const HIGH_ADDRESS_302 = 0x0000_0fff;
const HIGH_ADDRESS_417 = 0x000f_ffff;

/** Frame that an entry names. Beyond 2^20 when a PAE entry has high address bits: never a frame of the machine. */
export function entryMfn(low: number, high: number): number {
  return (low >>> 12) + (high & HIGH_ADDRESS_417) * 0x10_0000;
}

export interface EntryMask {
  readonly low: number;
  readonly high: number;
}
/** What must be zero in a present entry, by L1, L2, L3. */
const FORBIDDEN_2L: readonly EntryMask[] = [
  { low: 0, high: 0 },
  { low: PTE_PS | PTE_GLOBAL, high: 0 },
  { low: PTE_PS | PTE_GLOBAL, high: 0 },
];
const HIGH_302 = ~HIGH_ADDRESS_302 & ~PTE_NX;
const FORBIDDEN_PAE_302: readonly EntryMask[] = [
  { low: 0, high: 0 },
  { low: PTE_PS | PTE_GLOBAL, high: HIGH_302 },
  { low: PTE_PS | PTE_GLOBAL, high: HIGH_302 },
  {
    low: PTE_RW | PTE_USER | PTE_ACCESSED | PTE_DIRTY | PTE_PS | PTE_GLOBAL,
    high: ~HIGH_ADDRESS_302,
  },
];
const FORBIDDEN_417: readonly EntryMask[] = [
  { low: 0, high: 0 },
  { low: PTE_PS | PTE_PWT | PTE_PCD, high: 0 },
  { low: PTE_PS | PTE_GLOBAL | PTE_PWT | PTE_PCD, high: 0 },
  { low: PTE_PS | PTE_GLOBAL | PTE_PWT | PTE_PCD, high: ~HIGH_ADDRESS_417 },
];
/** 4.17, a domain with I/O rights: cacheability of leaf mappings is its own. */
const FORBIDDEN_417_L1_IO: EntryMask = { low: PTE_PS, high: 0 };

/** Bits that a present entry of this level must not have. @param level TYPE_l1, TYPE_l2 or TYPE_l3. */
export function forbiddenBits(domain: Domain, level: number): EntryMask {
  if (domain.entryBytes === 4) return FORBIDDEN_2L[level]!;
  if (domain.personality === '3.0.2') return FORBIDDEN_PAE_302[level]!;
  return level === TYPE_l1 && domain.privileged ? FORBIDDEN_417_L1_IO : FORBIDDEN_417[level]!;
}

/** Entries of a table that the processor or the hypervisor looks at. */
export function tableEntries(domain: Domain, level: number): number {
  if (level === TYPE_l3) return L3_ENTRIES;
  return domain.entryBytes === 4 ? 1024 : 512;
}

/** The level of the table that CR3 names. */
export function rootType(domain: Domain): number {
  return domain.entryBytes === 4 ? TYPE_l2 : TYPE_l3;
}

export function readLow(memory: PhysicalMemory, maddr: number): number {
  return memory.u32[(RAM_BASE + maddr) >>> 2]!;
}
export function readHigh(memory: PhysicalMemory, maddr: number, entryBytes: number): number {
  return entryBytes === 8 ? memory.u32[(RAM_BASE + maddr + 4) >>> 2]! : 0;
}

/** Stores an entry as a whole: whoever watches the frame is told once, before either word changes. */
export function storeEntry(
  memory: PhysicalMemory,
  maddr: number,
  entryBytes: number,
  low: number,
  high: number,
): void {
  memory.beforeWrite(maddr, entryBytes);
  const at = (RAM_BASE + maddr) >>> 2;
  memory.u32[at] = low;
  if (entryBytes === 8) memory.u32[at + 1] = high;
}

/** formatEntry(0x12063, 0) = "00012 P RW A D": an entry as text. */
export function formatEntry(low: number, high: number): string {
  if (!(low & PTE_PRESENT)) return (low | high) === 0 ? 'empty' : 'not present';
  const names = ['P', 'RW', 'US', 'PWT', 'PCD', 'A', 'D', 'PS', 'G'].filter((_, bit) => low & (1 << bit));
  if (high & PTE_NX) names.push('NX');
  return `${entryMfn(low, high).toString(16).padStart(5, '0')} ${names.join(' ')}`;
}
