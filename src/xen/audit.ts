/**
 * The books, made again from scratch: references, types, pins, roots, descriptor tables, grants, Xen's slots and the
 * frame flags, as they follow from what the page tables and vcpus hold at this moment (memory.md section 13). Tests
 * and fuzzers call it after every hypercall; an empty answer means that all agree. Nothing is changed.
 */
import { RAM_BASE } from '../cpu/layout.ts';
import { FRAME_IS_TABLE, FRAME_SIZE } from '../cpu/physical-memory.ts';
import { hex } from './denial.ts';
import { checkDescriptor, DESCRIPTORS_PER_PAGE } from './descriptor-rules.ts';
import { DOMID_IO, DOMID_XEN, type Domain } from './domain.ts';
import {
  FRAME_ALLOCATED,
  FRAME_PINNED,
  FRAME_VALIDATED,
  FRAME_XEN_HEAP,
  OWNER_FREE,
  OWNER_ORPHAN,
  TYPE_descriptor,
  TYPE_l1,
  TYPE_l2,
  TYPE_l3,
  TYPE_ldt,
  TYPE_none,
  TYPE_writable,
  typeName,
} from './frames.ts';
import { GRANTS_PER_FRAME } from './grant-books.ts';
import type { Hypervisor } from './hypervisor.ts';
import {
  entryMfn,
  forbiddenBits,
  L3_XEN_SLOT,
  PTE_PRESENT,
  PTE_RW,
  rootType,
  tableEntries,
  XEN_SLOT_2L,
  XEN_SLOT_PAE,
} from './page-table-entries.ts';
import { isTableType } from './page-types.ts';
import { l2SlotFor } from './validate.ts';

const ENOUGH = 20;
const DESCRIPTOR_PRESENT = 1 << 15;
/** DPL, S and type. */
const STORED_GATE_MASK = 0x7f00;
const STORED_GATE = 0x0c00;

/** Who uses a frame: a phrase, or table * 1024 + entry (text only where something is wrong). */
type By = string | number;
function place(by: By): string {
  return typeof by === 'string' ? by : `entry ${by % 1024} of table ${hex(Math.floor(by / 1024))}`;
}

/** @returns one line per disagreement, at most 20; empty when the books are right. */
export function audit(hv: Hypervisor): string[] {
  return new Audit(hv).run();
}

class Audit {
  readonly hv: Hypervisor;
  readonly references: Uint32Array;
  readonly uses: Uint32Array;
  readonly wrong: string[] = [];

  constructor(hv: Hypervisor) {
    this.hv = hv;
    this.references = new Uint32Array(hv.frames.total);
    this.uses = new Uint32Array(hv.frames.total);
  }

  run(): string[] {
    const { frames, memory, domains } = this.hv;
    const { owner, flags, type, references, typeCount, total, heapStart } = frames;
    const { frameFlags } = memory;
    const owned = new Int32Array(domains.length);
    const free = OWNER_FREE;
    for (let mfn = 0; mfn < total; mfn++) {
      const who = owner[mfn]!;
      if (who < owned.length && mfn < heapStart) owned[who]!++;
      const untouched = who === free && (flags[mfn]! | type[mfn]!) === 0;
      if (!untouched || frameFlags[mfn] !== 0) this.#frame(mfn);
    }
    for (const domain of domains) if (domain) this.#domain(domain, owned[domain.id]!);
    const counted = this.references;
    const used = this.uses;
    for (let mfn = 0; mfn < total; mfn++) {
      if (references[mfn] !== counted[mfn]) {
        this.#say(mfn, `has ${references[mfn]} references, counted ${counted[mfn]}`);
      }
      if (typeCount[mfn] !== used[mfn]) {
        this.#say(mfn, `has ${typeCount[mfn]} uses as ${typeName(type[mfn]!)}, counted ${used[mfn]}`);
      }
    }
    return this.wrong;
  }

  #say(mfn: number, what: string): void {
    if (this.wrong.length < ENOUGH) this.wrong.push(`mfn ${hex(mfn)} ${what}`);
  }

  /** One use of a frame; `type` TYPE_none: a plain reference. */
  #use(mfn: number, type: number, by: By): void {
    const { frames } = this.hv;
    if (mfn >= frames.total) {
      this.#say(mfn, `does not exist but is used by ${place(by)}`);
      return;
    }
    this.references[mfn]!++;
    if (frames.owner[mfn] === OWNER_FREE) this.#say(mfn, `is free but used by ${place(by)}`);
    if (type === TYPE_none) return;
    this.uses[mfn]!++;
    if (frames.type[mfn] !== type) {
      this.#say(mfn, `is ${typeName(frames.type[mfn]!)} but used as ${typeName(type)} by ${place(by)}`);
    } else if (!(frames.flags[mfn]! & FRAME_VALIDATED))
      this.#say(mfn, `is used by ${place(by)} but not validated`);
  }

  #frame(mfn: number): void {
    const { frames, memory, domains } = this.hv;
    const flags = frames.flags[mfn]!;
    const owner = frames.owner[mfn]!;
    const type = frames.type[mfn]!;
    const inUse = frames.typeCount[mfn] !== 0;
    const table = isTableType(type) && (flags & FRAME_VALIDATED) !== 0;
    if (owner === OWNER_FREE) {
      if (flags !== 0 || type !== TYPE_none) this.#say(mfn, 'is free but has a type or flags');
    } else if (owner !== DOMID_IO && owner !== DOMID_XEN && owner !== OWNER_ORPHAN && !domains[owner]) {
      this.#say(mfn, `belongs to domain ${owner}, which does not exist`);
    }
    if (flags & FRAME_ALLOCATED) this.references[mfn]!++;
    if (flags & FRAME_XEN_HEAP) {
      if (flags & FRAME_ALLOCATED) this.uses[mfn]!++;
      if (type !== (owner === DOMID_XEN ? TYPE_none : TYPE_writable))
        this.#say(mfn, 'of the Xen heap changed its type');
    }
    if (flags & FRAME_PINNED) this.#use(mfn, type, 'its pin');
    if (table && !inUse) this.#say(mfn, 'is validated as a table but has no use');
    // The processor marks for itself the tables of Xen's own that it has walked: those of the M2P.
    if (owner !== DOMID_XEN && ((memory.frameFlags[mfn]! & FRAME_IS_TABLE) !== 0) !== (table && inUse)) {
      this.#say(mfn, `has the wrong table flag for the processor`);
    }
    if (table && inUse) {
      const domain = domains[owner];
      if (!domain) this.#say(mfn, 'is a table without a domain');
      else this.#table(domain, mfn, type);
    }
    if (inUse && (type === TYPE_descriptor || type === TYPE_ldt) && domains[owner]) {
      this.#descriptors(domains[owner], mfn);
    }
  }

  #table(domain: Domain, mfn: number, type: number): void {
    const { frames, memory, m2p } = this.hv;
    const size = domain.entryBytes;
    const base = (RAM_BASE + mfn * FRAME_SIZE) >>> 2;
    const u32 = memory.u32;
    let xenFrom = tableEntries(domain, type);
    if (type === TYPE_l2 && size === 4) xenFrom = XEN_SLOT_2L;
    if (type === TYPE_l2 && size === 8 && frames.l2Slot[mfn] === L3_XEN_SLOT) xenFrom = XEN_SLOT_PAE;
    const mask = forbiddenBits(domain, type);
    const entries = tableEntries(domain, type);
    const present = PTE_PRESENT;
    const words = size / 4;
    const guests = Math.min(entries, xenFrom);
    // Most entries are empty: four at a time, of tables whose length is a multiple of four.
    for (let i = 0, at = base; i < guests; i += 4, at += 4 * words) {
      if (!((u32[at]! | u32[at + words]! | u32[at + 2 * words]! | u32[at + 3 * words]!) & present)) continue;
      for (let entry = i; entry < i + 4; entry++) {
        const low = u32[base + entry * words]!;
        if (!(low & present)) continue;
        const high = words === 2 ? u32[base + entry * 2 + 1]! : 0;
        if ((low & mask.low) | (high & mask.high)) this.#say(mfn, `has forbidden bits in entry ${entry}`);
        this.#entry(domain, mfn, type, entry, low, high);
      }
    }
    for (let i = xenFrom; i < entries; i++) {
      const at = base + i * words;
      const high = words === 2 ? u32[at + 1]! : 0;
      if (u32[at] !== m2p.xenSlot(size, i) || high !== 0) this.#say(mfn, `has a changed Xen slot ${i}`);
    }
    if (type === TYPE_l3) this.#l3(domain, mfn, base);
    if (type === TYPE_l2 && frames.l2Slot[mfn] === L3_XEN_SLOT && frames.typeCount[mfn] !== 1) {
      this.#say(mfn, 'is a slot-3 L2 with more than one use');
    }
  }

  #l3(domain: Domain, mfn: number, base: number): void {
    const u32 = this.hv.memory.u32;
    if (!(u32[base + L3_XEN_SLOT * 2]! & PTE_PRESENT)) this.#say(mfn, 'is an L3 without slot 3');
    if (domain.personality === '3.0.2') return;
    let rest = 0;
    for (let i = base + 8; i < base + 1024; i += 4) rest |= u32[i]! | u32[i + 1]! | u32[i + 2]! | u32[i + 3]!;
    if (rest !== 0) this.#say(mfn, 'has a word behind its four entries');
  }

  #entry(domain: Domain, table: number, type: number, index: number, low: number, high: number): void {
    const { frames } = this.hv;
    const mfn = entryMfn(low, high);
    const by = table * 1024 + index;
    if (mfn >= frames.total) {
      this.#say(mfn, `does not exist but is mapped by ${place(by)}`);
      return;
    }
    const owner = frames.owner[mfn];
    if (type === TYPE_l1) {
      this.#use(mfn, low & PTE_RW ? TYPE_writable : TYPE_none, by);
      if ((owner === DOMID_IO || owner === DOMID_XEN) && !domain.privileged) {
        this.#say(mfn, `is mapped by ${place(by)} without the right to`);
      }
      return;
    }
    if (owner !== domain.id) this.#say(mfn, `is a table of another domain in ${place(by)}`);
    if (type === TYPE_l3) {
      this.#use(mfn, TYPE_l2, by);
      if (frames.l2Slot[mfn] !== l2SlotFor(domain, index))
        this.#say(mfn, `sits in the wrong L3 slot: ${place(by)}`);
      return;
    }
    const linear = domain.entryBytes === 4 && frames.type[mfn] === TYPE_l2;
    if (linear && low & PTE_RW) this.#say(mfn, `is linear and writable in ${place(by)}`);
    if (!linear || mfn !== table) this.#use(mfn, linear ? TYPE_l2 : TYPE_l1, by);
  }

  #descriptors(domain: Domain, mfn: number): void {
    const at = (RAM_BASE + mfn * FRAME_SIZE) >>> 2;
    const u32 = this.hv.memory.u32;
    const last = DESCRIPTORS_PER_PAGE;
    const present = DESCRIPTOR_PRESENT;
    for (let i = 0; i < last; i++) {
      // What is not present is always allowed.
      const high = u32[at + i * 2 + 1]!;
      if (!(high & present)) continue;
      let low = u32[at + i * 2]!;
      // A gate as 4.17 stores it: of level 0, so that no ring can use it, with its own level in the selector.
      if ((high & STORED_GATE_MASK) === STORED_GATE && domain.personality !== '3.0.2')
        low = (low & ~0x3_0000) | 0x1_0000;
      if (checkDescriptor(domain, low, high) !== 0) {
        this.#say(mfn, `holds a descriptor (${i}) that is not allowed`);
      }
    }
  }

  /** @param owned frames of RAM that belong to the domain. */
  #domain(domain: Domain, owned: number): void {
    const who = `domain ${domain.id}`;
    if (owned !== domain.totalFrames)
      this.wrong.push(`${who} owns ${owned} frames, not ${domain.totalFrames}`);
    for (const vcpu of domain.vcpus) {
      if (vcpu.vcpuInfoRegistered)
        this.#use(vcpu.vcpuInfo >>> 12, TYPE_writable, `vcpu_info of ${who} vcpu ${vcpu.id}`);
      if (vcpu.rootMfn !== 0) this.#use(vcpu.rootMfn, rootType(domain), `CR3 of ${who} vcpu ${vcpu.id}`);
      this.#tablePages(vcpu.gdtFrames, TYPE_descriptor, who);
      const ldtType = domain.personality === '3.0.2' ? TYPE_ldt : TYPE_descriptor;
      this.#tablePages(vcpu.ldtFrames, ldtType, who);
    }
    this.#grants(domain, who);
  }

  /** Pages of a GDT or LDT; -1: none. */
  #tablePages(pages: Int32Array, type: number, who: string): void {
    for (let i = 0; i < pages.length; i++) {
      const mfn = pages[i]!;
      if (mfn >= 0) this.#use(mfn, type, `a descriptor table of ${who}`);
    }
  }

  #grants(domain: Domain, who: string): void {
    // What each reference is used for: readers, and writers times 65536.
    const expected = new Map<number, number>();
    for (const user of this.hv.domains) {
      if (!user || user.grants.mappings.length === 0) continue;
      for (const mapping of user.grants.mappings) {
        if (!mapping) continue;
        if (user === domain && mapping.device) {
          this.#use(mapping.mfn, mapping.readonly ? TYPE_none : TYPE_writable, `a device mapping of ${who}`);
        }
        if (mapping.granter !== domain.id) continue;
        const uses = expected.get(mapping.ref) ?? 0;
        expected.set(mapping.ref, uses + (mapping.readonly ? 1 : 0x1_0000));
      }
    }
    // The marks in the entries are in memory that the guest writes: they prove nothing and are not compared.
    const { readers, writers } = domain.grants;
    for (const [ref, uses] of expected) this.#pins(domain, ref, uses);
    // Two references at a time: most are not in use.
    const readerPairs = new Uint32Array(readers.buffer);
    const writerPairs = new Uint32Array(writers.buffer);
    const pairs = (domain.grantFrames.length * GRANTS_PER_FRAME) / 2;
    for (let pair = 0; pair < pairs; pair++) {
      if ((readerPairs[pair]! | writerPairs[pair]!) === 0) continue;
      this.#pins(domain, pair * 2, expected.get(pair * 2) ?? 0);
      this.#pins(domain, pair * 2 + 1, expected.get(pair * 2 + 1) ?? 0);
    }
  }

  /** @param uses readers, and writers times 65536, that a reference must have. */
  #pins({ id, grants }: Domain, ref: number, uses: number): void {
    const readers = grants.readers[ref]!;
    const writers = grants.writers[ref]!;
    if (readers + writers * 0x1_0000 === uses) return;
    this.wrong.push(`grant ${ref} of domain ${id} counts ${readers} readers and ${writers} writers`);
  }
}
