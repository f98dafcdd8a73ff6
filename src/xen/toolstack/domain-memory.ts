/**
 * Fills a new domain's frames: kernel, ramdisk, p2m list and the first page tables, as layout.ts placed them.
 * boot.md sections 1.3 and 2.
 */
import type { PhysicalMemory } from '../../cpu/physical-memory.ts';
import { PTE_ACCESSED, PTE_DIRTY, PTE_PRESENT, PTE_RW, PTE_USER } from '../page-table-entries.ts';
import type { GuestImage } from './image.ts';
import type { DomainLayout } from './layout.ts';

/** L1 entries: present, accessed, and writable except for the page tables themselves. */
const LEAF = PTE_PRESENT | PTE_ACCESSED;
const TABLE_L2 = PTE_PRESENT | PTE_RW | PTE_USER | PTE_ACCESSED | PTE_DIRTY;
/** The one form of an L3 entry that every hypervisor takes. */
const TABLE_L3 = PTE_PRESENT;

/** Pseudo-physical memory: byte addresses from 0, in frames that lie anywhere. */
export class PseudoPhysical {
  readonly #memory: PhysicalMemory;
  readonly p2m: Uint32Array;

  constructor(memory: PhysicalMemory, p2m: Uint32Array) {
    this.#memory = memory;
    this.p2m = p2m;
  }

  write(address: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const at = address + done;
      const chunk = Math.min(bytes.length - done, 4096 - (at & 4095));
      this.#memory.writeBytes(this.p2m[at >>> 12]! * 4096 + (at & 4095), bytes.subarray(done, done + chunk));
      done += chunk;
    }
  }

  write32(pfn: number, index: number, value: number): void {
    this.#memory.write32(this.p2m[pfn]! * 4096 + index * 4, value >>> 0);
  }
}

/** Frames arrive zeroed, so the tail of a segment behind its file bytes is done. */
export function loadKernel(memory: PseudoPhysical, image: GuestImage): void {
  for (const segment of image.elf.loadable) {
    const bytes = image.elf.bytes.subarray(segment.offset, segment.offset + segment.fileSize);
    memory.write(segment.paddr - image.paddrOffset, bytes);
  }
}

export function writeP2mList(memory: PseudoPhysical, layout: DomainLayout): void {
  const { p2m } = memory;
  memory.write(layout.p2mPfn * 4096, new Uint8Array(p2m.buffer, p2m.byteOffset, p2m.byteLength));
}

/**
 * Root first, then all L2s (PAE), then all L1s. Everything from virt_base to the end of the region is mapped
 * writable, the tables read-only.
 * @returns PFN of the root.
 */
export function writePageTables(memory: PseudoPhysical, layout: DomainLayout, virtBase: number): number {
  const { tables, tablesPfn, tableFrames } = layout;
  const pae = tables.l3 === 1;
  const entryWords = pae ? 2 : 1;
  const entriesPerTable = pae ? 512 : 1024;
  const firstL1Pfn = tablesPfn + tables.l3 + tables.l2Slots.length;
  const entry = (pfn: number, flags: number) => (memory.p2m[pfn]! << 12) | flags;

  if (pae) {
    for (const [i, slot] of tables.l2Slots.entries()) {
      memory.write32(tablesPfn, slot * 2, entry(tablesPfn + 1 + i, TABLE_L3));
    }
  }
  for (let i = 0; i < tables.l1; i++) {
    const region = tables.firstL1 + i;
    // 2-level: the one L2 is the root; PAE: the L2 of the GiB that the region is in.
    const l2Pfn = pae ? tablesPfn + 1 + tables.l2Slots.indexOf(Math.floor(region / 512)) : tablesPfn;
    memory.write32(l2Pfn, (region % entriesPerTable) * entryWords, entry(firstL1Pfn + i, TABLE_L2));
  }
  const firstPage = virtBase / 4096;
  for (let pfn = 0; pfn < layout.mappedPages; pfn++) {
    const page = firstPage + pfn;
    const l1Pfn = firstL1Pfn + Math.floor(page / entriesPerTable) - tables.firstL1;
    const isTable = pfn >= tablesPfn && pfn < tablesPfn + tableFrames;
    memory.write32(l1Pfn, (page % entriesPerTable) * entryWords, entry(pfn, isTable ? LEAF : LEAF | PTE_RW));
  }
  return tablesPfn;
}
