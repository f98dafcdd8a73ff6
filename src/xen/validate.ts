/**
 * What a frame must contain to be a page table, and what its entries hold on to (memory.md section 3). A present
 * entry holds one reference to the frame it names, and one type reference: as writable page (L1 entry with RW), as
 * L1 table (L2 entry), as L2 table (L3 entry). Read-only L1 entries hold no type.
 *
 * Linear tables (2-level): an L2 entry without RW may name its own table (holds nothing) or another validated L2 of
 * the same domain (holds a type reference on it). PAE has none: only the first four entries of an L3 are ever
 * checked, so an L3 must not be walked as an L2.
 *
 * Devalidation is a loop over a list, not a recursion: chains of linear tables can be as long as a guest likes. For the
 * same reason it is not always done at once (Domain.undone).
 */
import { EngineBug } from '../base/assert.ts';
import { FRAME_SIZE } from '../cpu/physical-memory.ts';
import { EBUSY, EINVAL, EPERM } from './abi/errno.ts';
import { charge } from './charge.ts';
import { deny, denyInEntry, hex } from './denial.ts';
import { validateDescriptors } from './descriptor-rules.ts';
import { DOMID_IO, DOMID_XEN, type Domain } from './domain.ts';
import {
  FRAME_SHARED,
  FRAME_VALIDATED,
  NO_SLOT,
  OWNER_FREE,
  OWNER_ORPHAN,
  TYPE_descriptor,
  TYPE_l1,
  TYPE_l2,
  TYPE_l3,
  TYPE_ldt,
  TYPE_writable,
  typeName,
} from './frames.ts';
import type { Hypervisor } from './hypervisor.ts';
import {
  entryMfn,
  forbiddenBits,
  L3_XEN_SLOT,
  PTE_PRESENT,
  PTE_RW,
  PTE_USER,
  readHigh,
  readLow,
  tableEntries,
  XEN_SLOT_2L,
  XEN_SLOT_PAE,
} from './page-table-entries.ts';
import {
  abandonType,
  addReference,
  completeType,
  denyOwner,
  devalidated,
  dropType,
  FRESH,
  getPage,
  isTableType,
  putPage,
  takeType,
} from './page-types.ts';
import { dropPlainEntries, takePlainEntries } from './plain-entries.ts';

// ---------------------------------------------------------------- types of frames

/** What l2Slot says about an L2 table that is to serve L3 slot `slot`. A pinned L2 serves slot 0 (4.17). */
export function l2SlotFor(domain: Domain, slot: number): number {
  if (domain.entryBytes === 4) return NO_SLOT;
  return domain.personality === '3.0.2' || slot === L3_XEN_SLOT ? slot : 0;
}

/** Type reference on a frame that the caller holds a reference to; validates the contents when they must be. */
export function getPageType(hv: Hypervisor, mfn: number, type: number, slot: number = NO_SLOT): number {
  const taken = takeType(hv.frames, mfn, type, slot);
  if (taken !== FRESH) return taken;
  const owner = hv.domains[hv.frames.owner[mfn]!];
  if (!owner) throw new EngineBug(`frame ${hex(mfn)} without a domain cannot be ${typeName(type)}`);
  charge(hv, hv.costs.pageValidation);
  const errno = isTableType(type)
    ? validateTable(hv, owner, mfn, type)
    : validateDescriptors(hv.memory, owner, mfn);
  if (errno !== 0) {
    abandonType(hv.frames, mfn);
    return errno;
  }
  completeType(hv.frames, mfn);
  return 0;
}

/** Reference and type reference on a frame of `owner`. */
export function getPageAndType(
  hv: Hypervisor,
  mfn: number,
  owner: number,
  type: number,
  slot: number = NO_SLOT,
): number {
  const errno = getPage(hv.frames, mfn, owner);
  if (errno !== 0) return errno;
  const typed = getPageType(hv, mfn, type, slot);
  if (typed !== 0) putPage(hv, mfn);
  return typed;
}

/** Tables that are devalidated on the spot; a process of ordinary size has fewer. */
const AT_ONCE = 32;
/** The list that is being worked on; null: none. */
let undoing: number[] | null = null;

/**
 * The last use of a table does not end here: it goes to a list (Domain.undone), with a reference that keeps the frame.
 * What is on the list is in use like any other table, so whoever looks meanwhile finds books that hold; and if it is
 * taken again before its turn comes, nothing happens to it.
 */
export function putPageType(hv: Hypervisor, mfn: number): void {
  const { frames } = hv;
  if (frames.typeCount[mfn] !== 1 || !isTableType(frames.type[mfn]!)) {
    dropType(frames, mfn);
    return;
  }
  frames.references[mfn]!++;
  if (undoing !== null) {
    undoing.push(mfn);
    return;
  }
  const owner = hv.domains[frames.owner[mfn]!];
  const { undone } = hv.current?.domain ?? owner!;
  undone.push(mfn);
  undo(hv, undone, owner!.dying ? Number.POSITIVE_INFINITY : AT_ONCE);
}

/** Ends uses of tables on a list, `most` of them. */
function undo(hv: Hypervisor, list: number[], most: number): void {
  undoing = list;
  for (let n = 0; n < most; n++) {
    const mfn = list.pop();
    if (mfn === undefined) break;
    if (dropType(hv.frames, mfn)) devalidate(hv, mfn);
    putPage(hv, mfn);
  }
  undoing = null;
}

/** A piece of what a domain has left undone: before one of its vcpus goes on. */
export function undoSome(hv: Hypervisor, domain: Domain): void {
  undo(hv, domain.undone, AT_ONCE);
}

/** All of it. */
export function undoAll(hv: Hypervisor, domain: Domain): void {
  undo(hv, domain.undone, Number.POSITIVE_INFINITY);
}

export function putPageAndType(hv: Hypervisor, mfn: number): void {
  putPageType(hv, mfn);
  putPage(hv, mfn);
}

// ---------------------------------------------------------------- whole tables

/** Is entry `index` of this L2 table Xen's? */
export function isXenSlot(hv: Hypervisor, domain: Domain, l2Mfn: number, index: number): boolean {
  return domain.entryBytes === 4
    ? index >= XEN_SLOT_2L
    : index >= XEN_SLOT_PAE && hv.frames.l2Slot[l2Mfn] === L3_XEN_SLOT;
}

/** Entries of the table that are the guest's. */
function guestEntries(hv: Hypervisor, domain: Domain, mfn: number, type: number): number {
  if (type === TYPE_l2) {
    if (domain.entryBytes === 4) return XEN_SLOT_2L;
    if (hv.frames.l2Slot[mfn] === L3_XEN_SLOT) return XEN_SLOT_PAE;
  }
  return tableEntries(domain, type);
}

function validateTable(hv: Hypervisor, domain: Domain, mfn: number, type: number): number {
  const { memory } = hv;
  const size = domain.entryBytes;
  const entries = guestEntries(hv, domain, mfn, type);
  const base = mfn * FRAME_SIZE;
  if (type === TYPE_l3 && !(readLow(memory, base + L3_XEN_SLOT * 8) & PTE_PRESENT)) {
    return deny(
      EINVAL,
      'l3-slot-3-missing',
      `slot 3 of L3 table ${hex(mfn)} is not present`,
      "an L2 table of its own in slot 3, which holds the hypervisor's part",
      mfn,
      type,
      L3_XEN_SLOT,
    );
  }
  const leaf = type === TYPE_l1;
  for (let i = 0; i < entries; i++) {
    if (leaf) {
      i = takePlainEntries(hv.frames, domain, mfn, i, entries);
      if (i === entries) break;
    }
    const low = readLow(memory, base + i * size);
    if (!(low & PTE_PRESENT)) continue;
    const errno = getFromEntry(
      hv,
      domain,
      domain.id,
      mfn,
      type,
      i,
      low,
      readHigh(memory, base + i * size, size),
    );
    if (errno === 0) continue;
    denyInEntry(errno, type, mfn, i);
    dropEntries(hv, mfn, type, i, size);
    return errno;
  }
  if (type === TYPE_l2 && entries < tableEntries(domain, type)) hv.m2p.writeXenSlots(domain, mfn);
  if (type === TYPE_l3) finishL3(hv, domain, mfn);
  return 0;
}

/** 4.17 clears what lies behind an L3's four entries and sets RW and US in those that are present. */
function finishL3(hv: Hypervisor, domain: Domain, mfn: number): void {
  if (domain.personality === '3.0.2') return;
  const base = mfn * FRAME_SIZE;
  for (let i = 0; i < 4; i++) {
    const low = readLow(hv.memory, base + i * 8);
    if (low & PTE_PRESENT) hv.memory.write32(base + i * 8, low | PTE_RW | PTE_USER);
  }
  for (let at = 32; at < FRAME_SIZE; at += 4) hv.memory.write32(base + at, 0);
}

function devalidate(hv: Hypervisor, mfn: number): void {
  const type = hv.frames.type[mfn]!;
  charge(hv, hv.costs.pageValidation);
  // The tables' form follows the owner's ABI; an owner that is gone has dropped its tables before it went.
  const domain = hv.domains[hv.frames.owner[mfn]!];
  if (!domain) throw new EngineBug(`table ${hex(mfn)} outlived its domain`);
  dropEntries(hv, mfn, type, guestEntries(hv, domain, mfn, type), domain.entryBytes);
  devalidated(hv.frames, mfn);
}

/** Drops what the first `entries` entries hold. */
function dropEntries(hv: Hypervisor, mfn: number, type: number, entries: number, size: number): void {
  const base = mfn * FRAME_SIZE;
  for (let i = 0; i < entries; i++) {
    if (type === TYPE_l1) {
      i = dropPlainEntries(hv.frames, size, mfn, i, entries);
      if (i === entries) return;
    }
    const low = readLow(hv.memory, base + i * size);
    if (low & PTE_PRESENT) putFromEntry(hv, mfn, type, low, readHigh(hv.memory, base + i * size, size));
  }
}

// ---------------------------------------------------------------- single entries

/** What the bits of a present entry must not contain. */
export function checkBits(domain: Domain, type: number, low: number, high: number): number {
  const mask = forbiddenBits(domain, type);
  const badLow = low & mask.low;
  const badHigh = high & mask.high;
  if ((badLow | badHigh) === 0) return 0;
  const which: string[] = [];
  for (let bit = 0; bit < 32; bit++) if (badLow & (1 << bit)) which.push(String(bit));
  for (let bit = 0; bit < 32; bit++) if (badHigh & (1 << bit)) which.push(String(bit + 32));
  const shown = which.length > 4 ? `${which.slice(0, 4).join(', ')} and more` : which.join(', ');
  return deny(
    EINVAL,
    'forbidden-bits',
    `bit${which.length === 1 ? '' : 's'} ${shown} must not be set in an ${typeName(type)} entry`,
    'the entry without these bits',
  );
}

/**
 * Takes what a present entry holds.
 * @param domain owner of the table.
 * @param frameOwner domid that must own the frame of an L1 entry (upper levels: always the table's owner).
 * @param table the frame that the entry is in, `index` its place there.
 */
export function getFromEntry(
  hv: Hypervisor,
  domain: Domain,
  frameOwner: number,
  table: number,
  type: number,
  index: number,
  low: number,
  high: number,
): number {
  const bits = checkBits(domain, type, low, high);
  if (bits !== 0) return bits;
  const mfn = entryMfn(low, high);
  if (type === TYPE_l1) return getFromL1e(hv, domain, frameOwner, mfn, (low & PTE_RW) !== 0);
  if (type === TYPE_l3) return getPageAndType(hv, mfn, domain.id, TYPE_l2, l2SlotFor(domain, index));
  return getFromL2e(hv, domain, table, mfn, (low & PTE_RW) !== 0);
}

function getFromL1e(
  hv: Hypervisor,
  domain: Domain,
  frameOwner: number,
  mfn: number,
  writable: boolean,
): number {
  const frames = hv.frames;
  const owner = mfn < frames.total ? frames.owner[mfn]! : DOMID_IO;
  if (owner === DOMID_IO) {
    // Only the first MiB: this machine has no memory-mapped devices behind its RAM.
    if (!domain.privileged || mfn >= frames.total) {
      return deny(
        EPERM,
        'io-memory',
        mfn >= frames.total
          ? `frame ${hex(mfn)} lies behind the machine's memory`
          : `frame ${hex(mfn)} is I/O memory, to which domain ${domain.id} has no right`,
        'a frame of its own',
        mfn,
      );
    }
  } else if (owner !== frameOwner) {
    return denyOwner(frames, mfn, owner === OWNER_FREE || owner === OWNER_ORPHAN ? EBUSY : EPERM);
  } else if (owner === DOMID_XEN && (writable || !(frames.flags[mfn]! & FRAME_SHARED))) {
    return deny(
      EPERM,
      'xen-frame',
      `frame ${hex(mfn)} is the hypervisor's`,
      'a read-only mapping of the M2P',
      mfn,
    );
  }
  const errno = addReference(frames, mfn);
  if (errno !== 0 || !writable) return errno;
  const typed = takeType(frames, mfn, TYPE_writable);
  if (typed !== 0) putPage(hv, mfn);
  return typed;
}

function getFromL2e(hv: Hypervisor, domain: Domain, table: number, mfn: number, writable: boolean): number {
  const frames = hv.frames;
  const linear =
    domain.entryBytes === 4 &&
    mfn < frames.total &&
    frames.type[mfn] === TYPE_l2 &&
    frames.typeCount[mfn] !== 0;
  if (!linear) return getPageAndType(hv, mfn, domain.id, TYPE_l1);
  if (writable) {
    return deny(
      EBUSY,
      'writable-linear-table',
      `frame ${hex(mfn)} is in use as an L2 table`,
      'an entry without RW',
      mfn,
      TYPE_l2,
    );
  }
  return mfn === table ? 0 : getPageAndType(hv, mfn, domain.id, TYPE_l2);
}

/** Lets go of what a present entry held. */
export function putFromEntry(hv: Hypervisor, table: number, type: number, low: number, high: number): void {
  const mfn = entryMfn(low, high);
  if (type !== TYPE_l1) {
    if (mfn !== table) putPageAndType(hv, mfn);
    return;
  }
  if (low & PTE_RW) putPageAndType(hv, mfn);
  else {
    if (hv.frames.typeCount[mfn] !== 0) dropCachedLdtPage(hv, mfn);
    putPage(hv, mfn);
  }
}

/** A read-only mapping of an LDT page goes: whoever cached the page looks it up again. */
function dropCachedLdtPage(hv: Hypervisor, mfn: number): void {
  const type = hv.frames.type[mfn];
  if (type !== TYPE_ldt && type !== TYPE_descriptor) return;
  const owner = hv.domains[hv.frames.owner[mfn]!];
  if (!owner) return;
  for (const vcpu of owner.vcpus) {
    for (let page = 0; page < vcpu.ldtFrames.length; page++) {
      if (vcpu.ldtFrames[page] !== mfn) continue;
      vcpu.ldtFrames[page] = -1;
      putPageAndType(hv, mfn);
    }
  }
}

/** Is the frame a validated table of this type in use? */
export function isTableInUse(hv: Hypervisor, mfn: number, type: number): boolean {
  const frames = hv.frames;
  return (
    frames.type[mfn] === type && frames.typeCount[mfn] !== 0 && (frames.flags[mfn]! & FRAME_VALIDATED) !== 0
  );
}
