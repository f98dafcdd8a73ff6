/**
 * The machine-to-physical table: one u32 per frame of the machine, in frames of the Xen heap, and the two sets of
 * Xen-owned L1 tables that map it read-only, for supervisors only, into every address space (memory.md section 4):
 * at 0xFC000000 for 2-level domains, at 0xF5800000 for PAE ones. As on real hardware whole L1 tables are filled; the
 * part behind the last frame of RAM shows one frame of invalid entries.
 */
import { RAM_BASE } from '../cpu/layout.ts';
import { FRAME_SIZE, type PhysicalMemory } from '../cpu/physical-memory.ts';
import type { Domain } from './domain.ts';
import { FRAME_SHARED, type FrameTable, IO_FRAMES } from './frames.ts';
import { PTE_ACCESSED, PTE_PRESENT, PTE_PS, XEN_SLOT_2L, XEN_SLOT_PAE } from './page-table-entries.ts';
import type { Abi } from './personality.ts';

/** No pfn: pages that are shared, foreign or Xen's own. */
export const INVALID_M2P_ENTRY = 0xffff_ffff;
/** Frames that nobody has told the number of yet. */
const UNKNOWN = 0x5555_5555;

const LINK = PTE_PRESENT | PTE_ACCESSED;
/**
 * PAE slots say "2 MiB page", which is what real ones are. This processor has no page sizes and ignores the bit, but
 * kernels that walk their own tables in software (Linux's check for writable code) stop there; without it they would
 * look for the L1 table behind the slot, which is no page of theirs, and die.
 */
const LINK_PAE = LINK | PTE_PS;

/** The M2P window of each ABI: start, end, number of the last entry. */
export const M2P_WINDOW: Record<Abi, { start: number; end: number; maxMfn: number }> = {
  x86_32: { start: 0xfc00_0000, end: 0xfc40_0000, maxMfn: 0xf_ffff },
  x86_32p: { start: 0xf580_0000, end: 0xf680_0000, maxMfn: 0x3f_ffff },
};

export class M2p {
  readonly memory: PhysicalMemory;
  /** First of the consecutive frames that hold the table. */
  readonly firstMfn: number;
  readonly frameCount: number;
  /** L1 tables that map it, in order of address. */
  readonly tables2L: readonly number[];
  readonly tablesPae: readonly number[];
  /** Shown behind the table's end: all entries invalid. */
  readonly fillerMfn: number;

  constructor(memory: PhysicalMemory, frames: FrameTable) {
    this.memory = memory;
    this.frameCount = Math.ceil(frames.total / 1024);
    this.firstMfn = frames.allocXenFrames(this.frameCount);
    this.fillerMfn = frames.allocXenFrame();
    for (let i = 0; i < this.frameCount; i++) frames.flags[this.firstMfn + i]! |= FRAME_SHARED;
    for (let mfn = 0; mfn < this.frameCount * 1024; mfn++) {
      this.set(mfn, mfn >= IO_FRAMES && mfn < frames.heapStart ? UNKNOWN : INVALID_M2P_ENTRY);
    }
    for (let i = 0; i < 1024; i++) memory.write32(this.fillerMfn * FRAME_SIZE + i * 4, INVALID_M2P_ENTRY);
    this.tables2L = this.#makeTables(frames, 1024, 4);
    this.tablesPae = this.#makeTables(frames, 512, 8);
  }

  #makeTables(frames: FrameTable, entries: number, entryBytes: number): number[] {
    const tables: number[] = [];
    for (let first = 0; first < this.frameCount; first += entries) {
      const table = frames.allocXenFrame();
      for (let i = 0; i < entries; i++) {
        const mfn = first + i < this.frameCount ? this.firstMfn + first + i : this.fillerMfn;
        this.memory.write32(table * FRAME_SIZE + i * entryBytes, ((mfn << 12) | LINK) >>> 0);
      }
      tables.push(table);
    }
    return tables;
  }

  /** What the table says about a frame of the machine. */
  get(mfn: number): number {
    return this.memory.u32[(RAM_BASE + this.firstMfn * FRAME_SIZE + mfn * 4) >>> 2]!;
  }
  set(mfn: number, pfn: number): void {
    this.memory.write32(this.firstMfn * FRAME_SIZE + mfn * 4, pfn >>> 0);
  }

  /** Entry that belongs into Xen's slot `index` of an L2 table (the low word; the high word is 0). */
  xenSlot(entryBytes: 4 | 8, index: number): number {
    const table =
      entryBytes === 4 ? this.tables2L[index - XEN_SLOT_2L] : this.tablesPae[index - XEN_SLOT_PAE];
    return table === undefined ? 0 : ((table << 12) | (entryBytes === 4 ? LINK : LINK_PAE)) >>> 0;
  }

  /** Overwrites Xen's slots of an L2 table: the M2P, everything else cleared. */
  writeXenSlots(domain: Domain, l2Mfn: number): void {
    const base = l2Mfn * FRAME_SIZE;
    if (domain.entryBytes === 4) {
      for (let i = XEN_SLOT_2L; i < 1024; i++) this.memory.write32(base + i * 4, this.xenSlot(4, i));
      return;
    }
    for (let i = XEN_SLOT_PAE; i < 512; i++) {
      this.memory.write32(base + i * 8, this.xenSlot(8, i));
      this.memory.write32(base + i * 8 + 4, 0);
    }
  }
}
