/**
 * Whole L1 tables at a time. Nearly every entry of one maps an ordinary frame of the table's owner, and takes or drops
 * one reference, with RW one use as writable memory as well. These loops do such entries and stop at the first that
 * needs a closer look; the rules are validate.ts's, and that entry is done there. A full address space is a million
 * entries, which one hypercall pins.
 */
import { RAM_BASE } from '../cpu/layout.ts';
import { FRAME_SIZE } from '../cpu/physical-memory.ts';
import type { Domain } from './domain.ts';
import {
  FRAME_VALIDATED,
  type FrameTable,
  TYPE_descriptor,
  TYPE_l1,
  TYPE_ldt,
  TYPE_writable,
} from './frames.ts';
import { forbiddenBits, PTE_PRESENT, PTE_RW } from './page-table-entries.ts';

/** What the upper half of a plain entry may hold: NX. */
const NOT_PLAIN_HIGH = 0x7fff_ffff;

/** Takes what the entries of a table hold, from `from` on. @returns the first entry that is not done */
export function takePlainEntries(
  frames: FrameTable,
  domain: Domain,
  table: number,
  from: number,
  entries: number,
): number {
  const { owner, references, type, typeCount, flags, total, referenceLimit, typeCountLimit, memory } = frames;
  const { u32 } = memory;
  const forbidden = forbiddenBits(domain, TYPE_l1);
  const { id } = domain;
  const wide = domain.entryBytes === 8;
  const words = wide ? 2 : 1;
  const end = entries * words;
  const base = (RAM_BASE + table * FRAME_SIZE) >>> 2;
  for (let at = from * words; at < end; at += words) {
    const low = u32[base + at]!;
    if (!(low & PTE_PRESENT)) continue;
    if (low & forbidden.low) return at / words;
    if (wide) {
      const high = u32[base + at + 1]!;
      if ((high & forbidden.high) | (high & NOT_PLAIN_HIGH)) return at / words;
    }
    const mfn = low >>> 12;
    if (mfn >= total || owner[mfn] !== id) return at / words;
    const count = references[mfn]!;
    if (count === 0 || count >= referenceLimit) return at / words;
    if (low & PTE_RW) {
      const uses = typeCount[mfn]!;
      if (type[mfn] !== TYPE_writable || !(flags[mfn]! & FRAME_VALIDATED) || uses >= typeCountLimit)
        return at / words;
      typeCount[mfn] = uses + 1;
    }
    references[mfn] = count + 1;
  }
  return entries;
}

/** Drops what the entries of a table held, from `from` on. @returns the first entry that is not done */
export function dropPlainEntries(
  frames: FrameTable,
  entryBytes: number,
  table: number,
  from: number,
  entries: number,
): number {
  const { references, type, typeCount, total, memory } = frames;
  const { u32 } = memory;
  const wide = entryBytes === 8;
  const words = wide ? 2 : 1;
  const end = entries * words;
  const base = (RAM_BASE + table * FRAME_SIZE) >>> 2;
  for (let at = from * words; at < end; at += words) {
    const low = u32[base + at]!;
    if (!(low & PTE_PRESENT)) continue;
    if (wide && u32[base + at + 1]! & NOT_PLAIN_HIGH) return at / words;
    const mfn = low >>> 12;
    if (mfn >= total) return at / words;
    const count = references[mfn]!;
    // The last reference frees the frame.
    if (count < 2) return at / words;
    const uses = typeCount[mfn]!;
    if (low & PTE_RW) {
      if (uses === 0 || type[mfn] !== TYPE_writable) return at / words;
      typeCount[mfn] = uses - 1;
    } else if (uses !== 0 && (type[mfn] === TYPE_ldt || type[mfn] === TYPE_descriptor)) return at / words;
    references[mfn] = count - 1;
  }
  return entries;
}
