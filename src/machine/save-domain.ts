/**
 * A suspended domain as one file, to be restored into any machine: the toolstack's part of SCHEDOP_shutdown with
 * SHUTDOWN_suspend. Frames mean nothing elsewhere, so every frame number becomes a pfn: in page tables (which pages
 * are tables is known from their types), in CR3 and GDT, in start_info. The p2m itself is made anew at the other end.
 *
 * Mappings of frames that are not the domain's own pages (shared_info, grants, other domains' frames) are dropped:
 * the guest makes them again, as it must know (memory.md 11.1, boot.md section 4).
 */
import type { Result } from '../base/result.ts';
import { EDX, FIELDS } from '../cpu/layout.ts';
import { FRAME_SIZE } from '../cpu/physical-memory.ts';
import { SHARED_FRAME_LIST_LIST, SHARED_MAX_PFN } from '../xen/abi/constants.ts';
import { writeStruct } from '../xen/abi/struct.ts';
import { cpu_user_regs, START_INFO_MAGIC, start_info, VCPU_CONTEXT_ARRAYS } from '../xen/abi/structs.ts';
import type { Domain } from '../xen/domain.ts';
import { FRAME_PINNED, FRAME_VALIDATED, TYPE_l1, TYPE_l2 } from '../xen/frames.ts';
import type { Hypervisor } from '../xen/hypervisor.ts';
import {
  entryMfn,
  L3_XEN_SLOT,
  PTE_PRESENT,
  readHigh,
  readLow,
  tableEntries,
  XEN_SLOT_2L,
  XEN_SLOT_PAE,
} from '../xen/page-table-entries.ts';
import { isTableType } from '../xen/page-types.ts';
import { undoAll } from '../xen/validate.ts';
import type { Vcpu } from '../xen/vcpu.ts';
import { contextOf } from '../xen/vcpu-context-of.ts';
import { type DomainImage, USE_PINNED } from './domain-image.ts';
import type { Machine } from './machine.ts';
import { encodePlain } from './plain-values.ts';
import { packSave, type SaveFileError, saveError } from './save-file.ts';

/** Thrown inside and turned into a value at once; never leaves this file. */
class NotSaveable {
  readonly why: string;
  constructor(why: string) {
    this.why = why;
  }
}
const ENTRIES = 1024;

export function saveDomain(machine: Machine, domid: number): Result<Uint8Array, SaveFileError> {
  const domain = machine.hv.domains[domid];
  const refused = (why: string) =>
    saveError('not-saveable', `domain ${domid} cannot be saved: ${why}`, { domid });
  if (!domain) return refused('there is none');
  if (domain.privileged) return refused('it is the initial domain, which ends with its machine');
  if (domain.end?.reason !== 'suspend')
    return refused(domain.end === null ? 'it has not suspended itself' : `it ended by ${domain.end.reason}`);
  undoAll(machine.hv, domain);
  try {
    return { ok: true, value: new Saving(machine, domain).file() };
  } catch (error) {
    if (error instanceof NotSaveable) return refused(error.why);
    throw error;
  }
}

class Saving {
  readonly machine: Machine;
  readonly hv: Hypervisor;
  readonly domain: Domain;
  /** mfn -> pfn, -1: no page of the domain's. */
  readonly pfnOf: Int32Array;
  /** pfn -> mfn, -1: a hole. */
  readonly mfnOf: Int32Array;
  readonly p2mPages: number[];
  readonly startInfoMfn: number;

  constructor(machine: Machine, domain: Domain) {
    this.machine = machine;
    this.hv = machine.hv;
    this.domain = domain;
    this.startInfoMfn = this.#findStartInfo();
    const { frames, m2p } = this.hv;
    const { size, pages } = this.#findP2m();
    this.pfnOf = new Int32Array(frames.total).fill(-1);
    this.mfnOf = new Int32Array(size).fill(-1);
    for (let pfn = 0; pfn < size; pfn++) {
      const mfn = this.#word(pages[Math.floor(pfn / ENTRIES)]!, pfn % ENTRIES);
      // Holes, and frames of others that the guest notes with bit 31, are no pages.
      if (!this.#owns(mfn)) continue;
      if (m2p.get(mfn) !== pfn || this.pfnOf[mfn]! >= 0)
        throw new NotSaveable(`its p2m says that pfn ${pfn} is frame ${mfn}, the m2p says otherwise`);
      this.pfnOf[mfn] = pfn;
      this.mfnOf[pfn] = mfn;
    }
    this.p2mPages = pages.map((mfn) => this.#pfn(mfn, 'a page of its p2m'));
  }

  file(): Uint8Array {
    const { domain } = this;
    const pfns: number[] = [];
    for (const [pfn, mfn] of this.mfnOf.entries()) if (mfn >= 0) pfns.push(pfn);
    if (pfns.length !== domain.totalFrames)
      throw new NotSaveable(`it owns ${domain.totalFrames} frames, its p2m names ${pfns.length} of them`);
    const image: DomainImage = {
      name: domain.config.name,
      abi: domain.abi,
      personality: domain.personality,
      commandLine: domain.config.commandLine,
      maxFrames: domain.maxFrames,
      symbols: [...(this.machine.toolstack.symbolsOf(domain.id)?.rows ?? [])],
      p2mSize: this.mfnOf.length,
      pfns: Int32Array.from(pfns),
      uses: Uint8Array.from(pfns, (pfn) => this.#use(this.mfnOf[pfn]!)),
      p2mPages: this.p2mPages,
      startInfoPfn: this.#pfn(this.startInfoMfn, 'start_info'),
      consolePfn: this.#pfn(domain.consoleMfn, 'its console page'),
      storePfn: this.#pfn(domain.storeMfn, 'its xenstore page'),
      vcpus: domain.vcpus.map((vcpu) => this.#vcpu(vcpu)),
    };
    return packSave('DOM ', { DOMA: encodePlain(image), PAGE: this.#pages(image) });
  }

  #owns(mfn: number): boolean {
    return mfn < this.hv.frames.heapStart && this.hv.frames.owner[mfn] === this.domain.id;
  }
  #pfn(mfn: number, what: string): number {
    const pfn = mfn < this.pfnOf.length ? this.pfnOf[mfn]! : -1;
    if (pfn < 0) throw new NotSaveable(`${what} (frame ${mfn}) is no page of its p2m`);
    return pfn;
  }
  #word(mfn: number, index: number): number {
    return this.hv.memory.read32(mfn * FRAME_SIZE + index * 4);
  }
  #use(mfn: number): number {
    const { frames } = this.hv;
    const inUse = frames.typeCount[mfn] !== 0 && (frames.flags[mfn]! & FRAME_VALIDATED) !== 0;
    if (!inUse || !isTableType(frames.type[mfn]!)) return 0;
    return frames.type[mfn]! | (frames.flags[mfn]! & FRAME_PINNED ? USE_PINNED : 0);
  }

  /** The guest passes its frame in EDX of the call that suspends it; who does not is searched for it. */
  #findStartInfo(): number {
    const { hv, domain } = this;
    const vcpu = domain.vcpus[domain.end?.vcpu ?? 0]!;
    const edx =
      hv.current === vcpu
        ? hv.cpu.getReg(EDX)
        : new DataView(vcpu.saved.buffer).getUint32(FIELDS.gpr.offset + 4 * EDX, true);
    if (this.#isStartInfo(edx)) return edx;
    for (let mfn = 0; mfn < hv.frames.heapStart; mfn++) if (this.#isStartInfo(mfn)) return mfn;
    throw new NotSaveable('its start_info page is gone');
  }
  #isStartInfo(mfn: number): boolean {
    if (!this.#owns(mfn)) return false;
    const magic = this.hv.memory.bytes(mfn * FRAME_SIZE + START_INFO_MAGIC.offset, START_INFO_MAGIC.size);
    if (!String.fromCharCode(...magic).startsWith('xen-3.0-x86_32')) return false;
    const shared = this.hv.memory.read32(mfn * FRAME_SIZE + start_info.fields.shared_info.offset);
    return shared === this.domain.sharedInfoMfn * FRAME_SIZE;
  }

  /** Where the guest keeps its p2m: as it published in shared_info, else where the builder put it. */
  #findP2m(): { size: number; pages: number[] } {
    const { hv, domain } = this;
    const shared = domain.sharedInfoMfn * FRAME_SIZE;
    const listList = hv.memory.read32(shared + SHARED_FRAME_LIST_LIST);
    const maxPfn = hv.memory.read32(shared + SHARED_MAX_PFN);
    const info = (name: 'nr_pages' | 'mfn_list') =>
      hv.memory.read32(this.startInfoMfn * FRAME_SIZE + start_info.fields[name].offset);
    const published = listList !== 0 && maxPfn !== 0;
    const size = published ? maxPfn : info('nr_pages');
    const count = Math.ceil(size / ENTRIES);
    if (size === 0 || count > ENTRIES * ENTRIES || size > hv.frames.total * 4)
      throw new NotSaveable(`its p2m has ${size} entries`);
    const va = info('mfn_list');
    if (!published && va % FRAME_SIZE !== 0) throw new NotSaveable('its p2m does not begin a page');
    const pages: number[] = [];
    for (let i = 0; i < count; i++) {
      const mfn = published ? this.#listed(listList, i) : this.#mapped((va + i * FRAME_SIZE) >>> 0);
      if (!this.#owns(mfn)) throw new NotSaveable(`page ${i} of its p2m is not its own`);
      pages.push(mfn);
    }
    return { size, pages };
  }
  #listed(listList: number, index: number): number {
    if (!this.#owns(listList)) throw new NotSaveable('its frame list of lists is not its own');
    const list = this.#word(listList, Math.floor(index / ENTRIES));
    if (!this.#owns(list)) throw new NotSaveable('a frame list of its p2m is not its own');
    return this.#word(list, index % ENTRIES);
  }
  /** Frame behind an address in the suspended vcpu's tables, -1 none. */
  #mapped(va: number): number {
    const { domain, hv } = this;
    const { entryBytes } = domain;
    const root = domain.vcpus[domain.end?.vcpu ?? 0]!.rootMfn;
    const indexes =
      entryBytes === 4 ? [va >>> 22, (va >>> 12) & 1023] : [va >>> 30, (va >>> 21) & 511, (va >>> 12) & 511];
    let table = root;
    for (const index of indexes) {
      if (table === 0) return -1;
      const at = table * FRAME_SIZE + index * entryBytes;
      const low = readLow(hv.memory, at);
      if (!(low & PTE_PRESENT)) return -1;
      table = entryMfn(low, readHigh(hv.memory, at, entryBytes));
    }
    return table;
  }

  #vcpu(vcpu: Vcpu): DomainImage['vcpus'][number] {
    if (!vcpu.initialised) return null;
    const context = contextOf(this.hv, vcpu);
    const view = new DataView(context.buffer);
    for (const [i, mfn] of vcpu.gdtFrames.entries()) {
      if (mfn < 0) continue;
      view.setUint32(
        VCPU_CONTEXT_ARRAYS.gdt_frames.offset + 4 * i,
        this.#pfn(mfn, 'a page of its GDT'),
        true,
      );
    }
    view.setUint32(VCPU_CONTEXT_ARRAYS.ctrlreg.offset + 4 * 3, 0, true);
    // What its hypercall answers when it goes on: 0, in a new domain.
    if (vcpu.id === this.domain.end?.vcpu)
      writeStruct(cpu_user_regs, view, { eax: 0 }, VCPU_CONTEXT_ARRAYS.user_regs.offset);
    return { context, rootPfn: this.#pfn(vcpu.rootMfn, 'its root table'), down: vcpu.down };
  }

  #pages({ pfns, uses }: DomainImage): Uint8Array {
    const pages: { pfn: number; bytes: Uint8Array }[] = [];
    for (const [i, pfn] of pfns.entries()) {
      const mfn = this.mfnOf[pfn]!;
      const bytes = this.hv.memory.bytes(mfn * FRAME_SIZE, FRAME_SIZE).slice();
      const type = uses[i]! & ~USE_PINNED;
      if (type !== 0) this.#canonicalise(mfn, type, bytes);
      if (bytes.some((byte) => byte !== 0)) pages.push({ pfn, bytes });
    }
    const section = new Uint8Array(4 + pages.length * (4 + FRAME_SIZE));
    const view = new DataView(section.buffer);
    view.setUint32(0, pages.length, true);
    for (const [i, { pfn, bytes }] of pages.entries()) {
      view.setUint32(4 + 4 * i, pfn, true);
      section.set(bytes, 4 + 4 * pages.length + FRAME_SIZE * i);
    }
    return section;
  }

  /** A copy of a table: pfns for frames, nothing in Xen's slots, nothing that leads out of the domain. */
  #canonicalise(mfn: number, type: number, bytes: Uint8Array): void {
    const { domain, hv } = this;
    const size = domain.entryBytes;
    const view = new DataView(bytes.buffer);
    const entries = tableEntries(domain, type);
    let xenFrom = entries;
    if (type === TYPE_l2 && size === 4) xenFrom = XEN_SLOT_2L;
    if (type === TYPE_l2 && size === 8 && hv.frames.l2Slot[mfn] === L3_XEN_SLOT) xenFrom = XEN_SLOT_PAE;
    for (let i = 0; i < entries; i++) {
      const at = i * size;
      const low = view.getUint32(at, true);
      const high = size === 8 ? view.getUint32(at + 4, true) : 0;
      if (i >= xenFrom) {
        bytes.fill(0, at, at + size);
        continue;
      }
      if (!(low & PTE_PRESENT)) continue;
      const target = entryMfn(low, high);
      const pfn = target < this.pfnOf.length ? this.pfnOf[target]! : -1;
      if (pfn >= 0) view.setUint32(at, ((pfn << 12) | (low & 0xfff)) >>> 0, true);
      else if (type === TYPE_l1) bytes.fill(0, at, at + size);
      else throw new NotSaveable(`frame ${target}, a table in use, is no page of its p2m`);
    }
  }
}
