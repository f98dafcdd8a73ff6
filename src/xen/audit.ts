/**
 * The books, made again from scratch: references, types, pins, roots, descriptor tables, grants, Xen's slots and the
 * frame flags, as they follow from what the page tables and vcpus hold at this moment (memory.md section 13). Tests
 * and fuzzers call it after every hypercall; an empty answer means that all agree. Nothing is changed.
 */
import { RAM_BASE } from '../cpu/layout.ts';
import { FRAME_IS_TABLE, FRAME_SIZE } from '../cpu/physical-memory.ts';
import { hex } from './denial.ts';
import { checkDescriptor } from './descriptor-rules.ts';
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
import { GRANTS_PER_FRAME, type GrantBooks } from './grant-books.ts';
import type { Hypervisor } from './hypervisor.ts';
import {
  entryMfn,
  forbiddenBits,
  L3_ENTRIES,
  L3_XEN_SLOT,
  PTE_PRESENT,
  PTE_RW,
  rootType,
  tableEntries,
  XEN_SLOT_2L,
  XEN_SLOT_PAE,
} from './page-table-entries.ts';
import { isTableType } from './page-types.ts';
import { GROUP, type ScanWords, scannerOf } from './scan-words.ts';
import { l2SlotFor } from './validate.ts';
import type { Vcpu } from './vcpu.ts';

const ENOUGH = 20;
/** More than a grant table has. */
const REFERENCES = 0x1_0000;
/** Of a descriptor's high word. */
const PRESENT = 1 << 15;
const ANY = 0xffff_ffff;
/** DPL, S and type. */
const STORED_GATE_MASK = 0x7f00;
const STORED_GATE = 0x0c00;

/** Who uses a frame: a phrase, or table * 1024 + entry (text only where something is wrong). */
type By = string | number;

const auditors = new WeakMap<Hypervisor, Auditor>();

/** @returns one line per disagreement, at most 20; empty when the books are right. */
export function audit(hv: Hypervisor): string[] {
  let auditor = auditors.get(hv);
  if (auditor === undefined) {
    auditor = new Auditor(hv);
    auditors.set(hv, auditor);
  }
  return auditor.run();
}

/** Flags of a frame about which there is more to ask than whether it is allocated. */
const MARKED = 0xff & ~(FRAME_ALLOCATED | FRAME_VALIDATED);

const FREE_PAIR = OWNER_FREE * 0x1_0001;
const IO_PAIR = DOMID_IO * 0x1_0001;
const ALL_ALLOCATED = FRAME_ALLOCATED * 0x0101_0101;
const ANY_TABLE = FRAME_IS_TABLE * 0x0101_0101;

/** A domain's counts of readers and writers, two references to a word. */
interface GrantPairs {
  readerPairs: Uint32Array;
  writerPairs: Uint32Array;
}

/** One machine's: what it counts in is kept from audit to audit, so that none of them allocates anything. */
class Auditor {
  readonly hv: Hypervisor;
  readonly scan: ScanWords;
  /** Columns of the frame table, four frames (two owners) to a word. */
  readonly ownerPairs: Uint32Array;
  readonly typeWords: Uint32Array;
  readonly flagWords: Uint32Array;
  readonly tableWords: Uint32Array;
  readonly references: Uint32Array;
  readonly uses: Uint32Array;
  /** What each grant reference is used for: readers, and writers times 65536. Key: granter * 65536 + reference. */
  readonly granted = new Map<number, number>();
  /** Frames of RAM by owning domain. */
  readonly owned: number[] = [];
  /** By domid: views of the grant books, remade when another domain has the id. */
  readonly pairs: GrantPairs[] = [];
  wrong: string[] = [];
  /** Grant references that are in use by the granters' books. */
  #counted = 0;
  /** Whose use is being counted, for texts. */
  #vcpu: Vcpu | null = null;

  constructor(hv: Hypervisor) {
    this.hv = hv;
    this.scan = scannerOf(hv.memory);
    this.references = new Uint32Array(hv.frames.total);
    this.uses = new Uint32Array(hv.frames.total);
    const { owner, type, flags, total } = hv.frames;
    const { frameFlags } = hv.memory;
    this.ownerPairs = new Uint32Array(owner.buffer, owner.byteOffset, total / 2);
    this.typeWords = new Uint32Array(type.buffer, type.byteOffset, total / 4);
    this.flagWords = new Uint32Array(flags.buffer, flags.byteOffset, total / 4);
    this.tableWords = new Uint32Array(frameFlags.buffer, frameFlags.byteOffset, total / 4);
  }

  run(): string[] {
    const { frames, memory, domains } = this.hv;
    const { owner, flags, type, references, typeCount, total, heapStart } = frames;
    const { frameFlags } = memory;
    const { references: counted, uses: used, owned } = this;
    const known = domains.length;
    const free = OWNER_FREE;
    this.wrong = [];
    counted.fill(0);
    used.fill(0);
    for (let id = 0; id < known; id++) owned[id] = 0;
    const { ownerPairs, typeWords, flagWords, tableWords } = this;
    for (let mfn = 0; mfn < total; mfn++) {
      // Four at a time where all four are free, or I/O memory that nobody uses as anything.
      if ((mfn & 3) === 0 && typeWords[mfn >> 2] === 0 && (tableWords[mfn >> 2]! & ANY_TABLE) === 0) {
        const owners = ownerPairs[mfn >> 1];
        const four = flagWords[mfn >> 2];
        if (owners === ownerPairs[(mfn >> 1) + 1]) {
          if (owners === FREE_PAIR && four === 0) {
            mfn += 3;
            continue;
          }
          if (owners === IO_PAIR && four === ALL_ALLOCATED) {
            for (const end = mfn + 4; mfn < end; mfn++) counted[mfn]!++;
            mfn--;
            continue;
          }
        }
      }
      const who = owner[mfn]!;
      const flag = flags[mfn]!;
      const kind = type[mfn]!;
      const watched = frameFlags[mfn]! & FRAME_IS_TABLE;
      if (who === free) {
        if ((flag | kind | watched) !== 0) this.#frame(mfn);
        continue;
      }
      let real = who === DOMID_IO;
      if (who < known) {
        if (mfn < heapStart) owned[who]!++;
        real = domains[who] !== undefined;
      }
      // Ordinary memory, in use as such or not: all that there is to count is its allocation.
      if (real && (flag & MARKED) === 0 && (kind === TYPE_none || kind === TYPE_writable) && watched === 0)
        counted[mfn]! += flag & FRAME_ALLOCATED;
      else this.#frame(mfn);
    }
    this.#mappings();
    this.#counted = 0;
    for (let id = 0; id < known; id++) {
      const domain = domains[id];
      if (domain !== undefined) this.#domain(domain, owned[id]!);
    }
    // Each reference that some handle uses was met above, with just these uses, if it is in the granter's books at all.
    if (this.#counted !== this.granted.size) {
      const [counted, uses] = [this.#counted, this.granted.size];
      this.wrong.push(`${uses} grants are mapped, but the books of their granters count ${counted}`);
    }
    for (let mfn = 0; mfn < total; mfn++) {
      if (references[mfn] === counted[mfn] && typeCount[mfn] === used[mfn]) continue;
      this.#compare(mfn);
    }
    return this.wrong;
  }

  #compare(mfn: number): void {
    const { references, typeCount, type } = this.hv.frames;
    if (references[mfn] !== this.references[mfn])
      this.#say(mfn, `has ${references[mfn]} references, counted ${this.references[mfn]}`);
    if (typeCount[mfn] !== this.uses[mfn])
      this.#say(mfn, `has ${typeCount[mfn]} uses as ${typeName(type[mfn]!)}, counted ${this.uses[mfn]}`);
  }

  #place(by: By): string {
    if (typeof by === 'number') return `entry ${by % 1024} of table ${hex(Math.floor(by / 1024))}`;
    return this.#vcpu === null ? by : `${by} of domain ${this.#vcpu.domain.id} vcpu ${this.#vcpu.id}`;
  }

  #say(mfn: number, what: string): void {
    if (this.wrong.length < ENOUGH) this.wrong.push(`mfn ${hex(mfn)} ${what}`);
  }

  /** One use of a frame; `type` TYPE_none: a plain reference. */
  #use(mfn: number, type: number, by: By): void {
    const { frames } = this.hv;
    if (mfn >= frames.total) {
      this.#say(mfn, `does not exist but is used by ${this.#place(by)}`);
      return;
    }
    this.references[mfn]!++;
    if (frames.owner[mfn] === OWNER_FREE) this.#say(mfn, `is free but used by ${this.#place(by)}`);
    if (type === TYPE_none) return;
    this.uses[mfn]!++;
    if (frames.type[mfn] !== type) {
      this.#say(mfn, `is ${typeName(frames.type[mfn]!)} but used as ${typeName(type)} by ${this.#place(by)}`);
    } else if (!(frames.flags[mfn]! & FRAME_VALIDATED))
      this.#say(mfn, `is used by ${this.#place(by)} but not validated`);
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
    const { frames } = this.hv;
    const size = domain.entryBytes;
    const entries = tableEntries(domain, type);
    let xenFrom = entries;
    if (type === TYPE_l2 && size === 4) xenFrom = XEN_SLOT_2L;
    if (type === TYPE_l2 && size === 8 && frames.l2Slot[mfn] === L3_XEN_SLOT) xenFrom = XEN_SLOT_PAE;
    const from = RAM_BASE + mfn * FRAME_SIZE;
    const to = from + xenFrom * size;
    const odd = size === 4 ? PTE_PRESENT : 0;
    for (let at = this.scan(from, to, PTE_PRESENT, odd); at < to; at = this.scan(at, to, PTE_PRESENT, odd)) {
      this.#entries(domain, mfn, type, (at - from) / size);
      at += GROUP;
    }
    if (xenFrom !== entries) this.#xenSlots(mfn, xenFrom, entries, size);
    if (type === TYPE_l3) this.#l3(domain, mfn);
    if (type === TYPE_l2 && frames.l2Slot[mfn] === L3_XEN_SLOT && frames.typeCount[mfn] !== 1) {
      this.#say(mfn, 'is a slot-3 L2 with more than one use');
    }
  }

  /** A group of entries, one of which is present at least. */
  #entries(domain: Domain, mfn: number, type: number, first: number): void {
    const u32 = this.hv.memory.u32;
    const mask = forbiddenBits(domain, type);
    const words = domain.entryBytes >> 2;
    const base = (RAM_BASE + mfn * FRAME_SIZE) >>> 2;
    const end = first + GROUP / domain.entryBytes;
    for (let entry = first; entry < end; entry++) {
      const low = u32[base + entry * words]!;
      if (!(low & PTE_PRESENT)) continue;
      const high = words === 2 ? u32[base + entry * 2 + 1]! : 0;
      if ((low & mask.low) | (high & mask.high)) this.#say(mfn, `has forbidden bits in entry ${entry}`);
      this.#entry(domain, mfn, type, entry, low, high);
    }
  }

  /** The slots that map the M2P, and those behind them, which are empty. */
  #xenSlots(mfn: number, from: number, entries: number, size: 4 | 8): void {
    const { m2p, memory } = this.hv;
    const u32 = memory.u32;
    const words = size >> 2;
    const base = (RAM_BASE + mfn * FRAME_SIZE) >>> 2;
    const filled = from + (size === 4 ? m2p.tables2L : m2p.tablesPae).length;
    for (let i = from; i < filled; i++) {
      const at = base + i * words;
      if (u32[at] !== m2p.xenSlot(size, i) || (words === 2 && u32[at + 1] !== 0))
        this.#say(mfn, `has a changed Xen slot ${i}`);
    }
    let rest = 0;
    for (let at = base + filled * words; at < base + entries * words; at++) rest |= u32[at]!;
    if (rest !== 0) this.#say(mfn, 'has something in the Xen slots behind the M2P');
  }

  #l3(domain: Domain, mfn: number): void {
    const start = RAM_BASE + mfn * FRAME_SIZE;
    if (!(this.hv.memory.u32[(start >>> 2) + L3_XEN_SLOT * 2]! & PTE_PRESENT))
      this.#say(mfn, 'is an L3 without slot 3');
    if (domain.personality === '3.0.2') return;
    const end = start + FRAME_SIZE;
    if (this.scan(start + 8 * L3_ENTRIES, end, ANY, ANY) < end)
      this.#say(mfn, 'has a word behind its four entries');
  }

  #entry(domain: Domain, table: number, type: number, index: number, low: number, high: number): void {
    const { frames } = this.hv;
    const mfn = entryMfn(low, high);
    const by = table * 1024 + index;
    if (mfn >= frames.total) {
      this.#say(mfn, `does not exist but is mapped by ${this.#place(by)}`);
      return;
    }
    const owner = frames.owner[mfn];
    if (type === TYPE_l1) {
      this.#use(mfn, low & PTE_RW ? TYPE_writable : TYPE_none, by);
      if ((owner === DOMID_IO || owner === DOMID_XEN) && !domain.privileged) {
        this.#say(mfn, `is mapped by ${this.#place(by)} without the right to`);
      }
      return;
    }
    if (owner !== domain.id) this.#say(mfn, `is a table of another domain in ${this.#place(by)}`);
    if (type === TYPE_l3) {
      this.#use(mfn, TYPE_l2, by);
      if (frames.l2Slot[mfn] !== l2SlotFor(domain, index))
        this.#say(mfn, `sits in the wrong L3 slot: ${this.#place(by)}`);
      return;
    }
    const linear = domain.entryBytes === 4 && frames.type[mfn] === TYPE_l2;
    if (linear && low & PTE_RW) this.#say(mfn, `is linear and writable in ${this.#place(by)}`);
    if (!linear || mfn !== table) this.#use(mfn, linear ? TYPE_l2 : TYPE_l1, by);
  }

  #descriptors(domain: Domain, mfn: number): void {
    const start = RAM_BASE + mfn * FRAME_SIZE;
    const end = start + FRAME_SIZE;
    const u32 = this.hv.memory.u32;
    // What is not present is always allowed.
    for (let at = this.scan(start, end, 0, PRESENT); at < end; at = this.scan(at, end, 0, PRESENT)) {
      for (const last = at + GROUP; at < last; at += 8) {
        const high = u32[(at >>> 2) + 1]!;
        if (high & PRESENT) this.#descriptor(domain, mfn, (at - start) >> 3, u32[at >>> 2]!, high);
      }
    }
  }

  #descriptor(domain: Domain, mfn: number, index: number, low: number, high: number): void {
    // A gate as 4.17 stores it: of level 0, so that no ring can use it, with its own level in the selector.
    if ((high & STORED_GATE_MASK) === STORED_GATE && domain.personality !== '3.0.2')
      low = (low & ~0x3_0000) | 0x1_0000;
    if (checkDescriptor(domain, low, high) !== 0)
      this.#say(mfn, `holds a descriptor (${index}) that is not allowed`);
  }

  /** @param owned frames of RAM that belong to the domain. */
  #domain(domain: Domain, owned: number): void {
    if (owned !== domain.totalFrames)
      this.wrong.push(`domain ${domain.id} owns ${owned} frames, not ${domain.totalFrames}`);
    const ldtType = domain.personality === '3.0.2' ? TYPE_ldt : TYPE_descriptor;
    const root = rootType(domain);
    for (const mfn of domain.undone) this.#use(mfn, this.hv.frames.type[mfn]!, 'a use that ends');
    for (const vcpu of domain.vcpus) {
      this.#vcpu = vcpu;
      if (vcpu.vcpuInfoRegistered) this.#use(vcpu.vcpuInfo >>> 12, TYPE_writable, 'vcpu_info');
      if (vcpu.rootMfn !== 0) this.#use(vcpu.rootMfn, root, 'CR3');
      this.#tablePages(vcpu.gdtFrames, TYPE_descriptor, 'the GDT');
      this.#tablePages(vcpu.ldtFrames, ldtType, 'the LDT');
    }
    this.#vcpu = null;
    this.#grants(domain);
  }

  /** Pages of a GDT or LDT; -1: none. */
  #tablePages(pages: Int32Array, type: number, by: string): void {
    for (let i = 0; i < pages.length; i++) {
      const mfn = pages[i]!;
      if (mfn >= 0) this.#use(mfn, type, by);
    }
  }

  /** What the handles of all domains hold, by reference of the granter. */
  #mappings(): void {
    const { granted } = this;
    if (granted.size > 0) granted.clear();
    for (const user of this.hv.domains) {
      if (user === undefined) continue;
      const { mappings } = user.grants;
      for (let handle = 0; handle < mappings.length; handle++) {
        const mapping = mappings[handle]!;
        if (mapping === null) continue;
        if (mapping.device) {
          const type = mapping.readonly ? TYPE_none : TYPE_writable;
          this.#use(mapping.mfn, type, 'a device mapping');
        }
        if (mapping.granter < 0) continue;
        const key = mapping.granter * REFERENCES + mapping.ref;
        granted.set(key, (granted.get(key) ?? 0) + (mapping.readonly ? 1 : 0x1_0000));
      }
    }
  }

  /** The marks in a table's entries are in memory that the guest writes: they prove nothing and are not compared. */
  #grants({ id, grants, grantFrames }: Domain): void {
    const { granted } = this;
    const { readerPairs, writerPairs } = this.#pairsOf(id, grants);
    // Two references to a word, four words at a time: most are not in use.
    const words = (grantFrames.length * GRANTS_PER_FRAME) / 2;
    let found = 0;
    for (let at = 0; at < words; at += 4) {
      if (
        (readerPairs[at]! | readerPairs[at + 1]! | readerPairs[at + 2]! | readerPairs[at + 3]!) === 0 &&
        (writerPairs[at]! | writerPairs[at + 1]! | writerPairs[at + 2]! | writerPairs[at + 3]!) === 0
      )
        continue;
      for (let ref = at * 2; ref < at * 2 + 8; ref++) {
        const uses = grants.readers[ref]! + grants.writers[ref]! * 0x1_0000;
        if (uses === 0) continue;
        found++;
        if (uses !== granted.get(id * REFERENCES + ref)) this.#sayGrant(id, grants, ref);
      }
    }
    this.#counted += found;
  }

  #pairsOf(id: number, { readers, writers }: GrantBooks): GrantPairs {
    let pairs = this.pairs[id];
    if (pairs === undefined || pairs.readerPairs.buffer !== readers.buffer) {
      pairs = {
        readerPairs: new Uint32Array(readers.buffer),
        writerPairs: new Uint32Array(writers.buffer),
      };
      this.pairs[id] = pairs;
    }
    return pairs;
  }

  #sayGrant(id: number, { readers, writers }: GrantBooks, ref: number): void {
    this.wrong.push(
      `grant ${ref} of domain ${id} counts ${readers[ref]} readers and ${writers[ref]} writers`,
    );
  }
}
