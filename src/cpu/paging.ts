/**
 * The page walk: 2-level, and PAE with NX. Intel SDM vol. 3A, "32-Bit Paging", "PAE Paging", "Access Rights",
 * "Page-Fault Exceptions". Page size extensions are not offered: the PS bit is ignored. PDPTEs are read at each walk
 * instead of on CR3 loads, so that nothing derived from memory is ever stale. The generated code walks by itself where
 * nothing is amiss (interpreter/page-walk.ts); every fault, and every table that is not watched yet, is dealt with here.
 *
 *   entry   63 NX  ...  12 frame ... 6 D  5 A  4 PCD  3 PWT  2 U/S  1 R/W  0 P
 */
import { ACCESS_FETCH, ACCESS_USER, ACCESS_WRITE } from './cpu.ts';
import * as map from './interpreter/memory-map.ts';
import { FRAME_HAS_CODE, FRAME_IS_TABLE, type PhysicalMemory } from './physical-memory.ts';
import { ROLE_TABLE, ROLE_UPPER, type TlbLog } from './tlb.ts';

export const P = 1,
  RW = 2,
  US = 4,
  A = 0x20,
  D = 0x40;
const CODE_PRESENT = 1,
  CODE_RESERVED = 8,
  CODE_FETCH = 16;
/** Physical addresses have 36 bits; frames above 4 GiB do not exist and read as all ones. */
const RESERVED_HIGH = 0x7ffffff0;
/** In the tables of long mode, which PAE tables are a part of there, bits 52 to 62 are software's. */
const RESERVED_HIGH_LONG = 0x000ffff0;
const NX_HIGH = 0x80000000;
const BEYOND_HIGH = 15;
export const CR0_WP = 0x10000;
export const CR4_PAE = 0x20;
export const EFER_NXE = 0x800;
/** Long mode is active: the guest runs as 32-bit code on a 64-bit hypervisor. Nothing else follows from it here. */
export const EFER_LMA = 0x400;
export const EFER_LME = 0x100;

/** Machine address of what does not exist: beyond every RAM. */
export const NOWHERE = 0xfffff000;

export class PageWalker {
  private readonly log: TlbLog;
  private readonly u32: Uint32Array;
  private readonly roles: Uint8Array;
  private readonly frames: number;
  private readonly ramWord: number;
  cr3 = 0;
  pae = false;
  nx = false;
  longMode = false;
  wp = true;
  /** Of the last successful walk: entry's machine address; may this privilege write, is D set. */
  pte = 0;
  writable = false;
  dirty = false;
  /** Of the last failed one. */
  code = 0;

  constructor(memory: PhysicalMemory, log: TlbLog) {
    this.log = log;
    this.u32 = memory.u32;
    this.roles = log.role;
    this.frames = memory.frames;
    this.ramWord = memory.ramBase >>> 2;
  }

  /**
   * Tells the generated walk what it needs; called when anything of this, or the privilege, has changed.
   * @param on is paging on, and may the TLB of the current privilege be filled? @param limit of flat segments
   */
  publish(on: boolean, user: boolean, limit: number): void {
    const { u32, pae } = this;
    u32[map.WALK_MODE >>> 2] = !on ? map.WALK_OFF : pae ? map.WALK_PAE : map.WALK_TWO_LEVELS;
    u32[map.WALK_ROOT >>> 2] = pae ? this.cr3 & ~31 : this.cr3 & ~0xfff;
    const reserved = this.longMode ? RESERVED_HIGH_LONG : RESERVED_HIGH;
    u32[map.WALK_REFUSED >>> 2] = reserved | BEYOND_HIGH | (this.nx ? 0 : NX_HIGH);
    u32[map.WALK_IMPLIED >>> 2] = user ? 0 : this.wp ? US : US | RW;
    u32[map.WALK_LIMIT >>> 2] = limit;
    u32[map.WALK_FRAMES >>> 2] = this.frames;
  }

  /** What does not exist reads as not present. */
  private entry(maddr: number): number {
    return maddr >>> 12 < this.frames ? this.u32[this.ramWord + (maddr >>> 2)]! : 0;
  }
  private watch(maddr: number, role: number, isUpper: boolean): void {
    const mfn = maddr >>> 12;
    if (mfn < this.frames && (this.roles[mfn]! & role) !== role) this.log.noteTable(mfn, isUpper);
  }
  private touch(maddr: number, value: number): void {
    // The processor's own update: nothing derived depends on A; a D that was clear gave no write entry.
    this.u32[this.ramWord + (maddr >>> 2)] = value;
  }

  private fail(access: number, code: number): number {
    this.code = code | (access & (ACCESS_WRITE | ACCESS_USER));
    if (access & ACCESS_FETCH && this.pae && this.nx) this.code |= CODE_FETCH;
    return -1;
  }

  /** @param mark set A and D, and watch the tables that were read. @returns machine address of the byte, or -1. */
  walk(linear: number, access: number, mark: boolean): number {
    let rights = RW | US;
    const reserved = this.longMode ? RESERVED_HIGH_LONG : RESERVED_HIGH;
    let noExecute = false;
    let table = this.cr3;
    let pdeAddress: number;
    if (this.pae) {
      const pdpteAddress = ((table & ~31) >>> 0) + (linear >>> 30) * 8;
      const pdpte = this.entry(pdpteAddress);
      if (mark) this.watch(pdpteAddress, ROLE_UPPER, true);
      if (!(pdpte & P)) return this.fail(access, 0);
      if (this.entry(pdpteAddress + 4) !== 0) return this.fail(access, CODE_PRESENT | CODE_RESERVED);
      table = (pdpte & ~0xfff) >>> 0;
      pdeAddress = table + ((linear >>> 21) & 511) * 8;
    } else pdeAddress = ((table & ~0xfff) >>> 0) + (linear >>> 22) * 4;

    const pde = this.entry(pdeAddress);
    if (mark) this.watch(pdeAddress, ROLE_UPPER, true);
    if (!(pde & P)) return this.fail(access, 0);
    if (this.pae) {
      const high = this.entry(pdeAddress + 4);
      if (high & reserved || (high & NX_HIGH && !this.nx))
        return this.fail(access, CODE_PRESENT | CODE_RESERVED);
      if (high & NX_HIGH) noExecute = true;
      if (high & BEYOND_HIGH) return this.fail(access, 0);
    }
    rights &= pde;
    const base = (pde & ~0xfff) >>> 0;
    const pteAddress = this.pae ? base + ((linear >>> 12) & 511) * 8 : base + ((linear >>> 12) & 1023) * 4;
    const pte = this.entry(pteAddress);
    if (mark) this.watch(pteAddress, ROLE_TABLE, false);
    if (!(pte & P)) return this.fail(access, 0);
    let beyond = false;
    if (this.pae) {
      const high = this.entry(pteAddress + 4);
      if (high & reserved || (high & NX_HIGH && !this.nx))
        return this.fail(access, CODE_PRESENT | CODE_RESERVED);
      if (high & NX_HIGH) noExecute = true;
      beyond = (high & BEYOND_HIGH) !== 0;
    }
    rights &= pte;

    const user = (access & ACCESS_USER) !== 0;
    const mayWrite = (rights & RW) !== 0 || (!user && !this.wp);
    if (user && !(rights & US)) return this.fail(access, CODE_PRESENT);
    if (access & ACCESS_WRITE && !mayWrite) return this.fail(access, CODE_PRESENT);
    if (access & ACCESS_FETCH && noExecute) return this.fail(access, CODE_PRESENT);

    this.pte = pteAddress;
    this.writable = mayWrite;
    this.dirty = (pte & D) !== 0;
    if (mark) {
      if (!(pde & A)) this.touch(pdeAddress, pde | A);
      const want = access & ACCESS_WRITE ? pte | A | D : pte | A;
      if (want !== pte) {
        this.touch(pteAddress, want);
        this.dirty = (want & D) !== 0;
      }
    }
    return (beyond ? NOWHERE : (pte & ~0xfff) >>> 0) + (linear & 0xfff);
  }
}

/** May stores into the frame go by unseen? */
export function isPlainFrame(memory: PhysicalMemory, mfn: number): boolean {
  return (memory.frameFlags[mfn]! & (FRAME_HAS_CODE | FRAME_IS_TABLE)) === 0;
}
