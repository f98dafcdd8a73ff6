/**
 * Grants, version 1: a domain lets another map, fill or take one of its frames (hypercalls.md 4.8, boot.md 11). The
 * entries are in the granter's own memory, so they are read once per operation; what is mapped is remembered here,
 * whatever the granter writes into them afterwards.
 *
 *   entry, 8 bytes:  u16 flags | u16 domid | u32 frame
 *
 * A mapping's reference to the frame belongs to the L1 entry that maps it, as for every other mapping; a device
 * mapping holds its own.
 */
import { FRAME_SIZE } from '../cpu/physical-memory.ts';
import type { Domain } from './domain.ts';
import { FRAME_ALLOCATED, FRAME_XEN_HEAP, TYPE_none, TYPE_writable } from './frames.ts';
import { GRANTS_PER_FRAME, type GrantMapping, MAX_GRANT_FRAMES } from './grant-books.ts';
import type { Hypervisor } from './hypervisor.ts';
import { INVALID_M2P_ENTRY } from './m2p.ts';
import { getPage, putPage, takeType } from './page-types.ts';
import { putPageAndType, putPageType } from './validate.ts';

export const GNTST_okay = 0;
export const GNTST_general_error = -1;
export const GNTST_bad_domain = -2;
export const GNTST_bad_gntref = -3;
export const GNTST_bad_handle = -4;
export const GNTST_bad_virt_addr = -5;
export const GNTST_bad_dev_addr = -6;
export const GNTST_no_device_space = -7;
export const GNTST_permission_denied = -8;
export const GNTST_bad_page = -9;
export const GNTST_bad_copy_arg = -10;
export const GNTST_eagain = -12;
export const GNTST_no_space = -13;

const GTF_TYPE_MASK = 3;
export const GTF_permit_access = 1;
export const GTF_accept_transfer = 2;
export const GTF_readonly = 4;
export const GTF_reading = 8;
export const GTF_writing = 16;
const GTF_transfer_committed = 4;
const GTF_transfer_completed = 8;

/** Frames a grant table may have: fixed in 3.0.2; in 4.17 it grows from one. */
export function maxGrantFrames(domain: Domain): number {
  return domain.personality === '3.0.2' ? 4 : MAX_GRANT_FRAMES;
}
export function grantEntries(domain: Domain): number {
  return domain.grantFrames.length * GRANTS_PER_FRAME;
}
function entryAddress(domain: Domain, ref: number): number {
  return domain.grantFrames[Math.floor(ref / GRANTS_PER_FRAME)]! * FRAME_SIZE + (ref % GRANTS_PER_FRAME) * 8;
}

/** Lets the table have `frames` frames. @returns false: over the limit, or the Xen heap is empty. */
export function growGrantTable(hv: Hypervisor, domain: Domain, frames: number): boolean {
  if (frames > maxGrantFrames(domain)) return false;
  while (domain.grantFrames.length < frames) {
    const mfn = hv.frames.allocXenFrame(domain.id);
    if (mfn < 0) return false;
    hv.m2p.set(mfn, INVALID_M2P_ENTRY);
    domain.grantFrames.push(mfn);
  }
  return true;
}

/** The table a domain is born with. */
export function createGrantTable(hv: Hypervisor, domain: Domain): boolean {
  return growGrantTable(hv, domain, domain.personality === '3.0.2' ? maxGrantFrames(domain) : 1);
}

// ---------------------------------------------------------------- pins: a reference in use

/** What acquireGrant found. SCRATCH. */
export const acquired = { mfn: 0 };

/**
 * Starts a use of `granter`'s reference by `user`: checks the entry, marks it, and takes a reference on the frame,
 * for writing with its writable type.
 * @param user domid of the domain that uses it.
 * @returns GNTST_okay, with the frame in `acquired`, or why not.
 */
export function acquireGrant(
  hv: Hypervisor,
  granter: Domain,
  ref: number,
  user: number,
  readonly: boolean,
): number {
  if (ref >= grantEntries(granter)) return GNTST_bad_gntref;
  const { memory, frames } = hv;
  const books = granter.grants;
  const at = entryAddress(granter, ref);
  const flags = memory.read16(at);
  const pinned = books.readers[ref]! + books.writers[ref]!;
  if (pinned === 0xffff) return GNTST_general_error;
  const writing = books.writers[ref] !== 0;
  // While it is in use, what was checked then counts, not what the granter has made of its entry since.
  const user0 = pinned ? books.pinnedBy[ref]! : memory.read16(at + 2);
  const mfn = pinned ? books.pinnedMfn[ref]! : memory.read32(at + 4);
  if (user0 !== user) return GNTST_general_error;
  if (!pinned || (!readonly && !writing)) {
    if ((flags & GTF_TYPE_MASK) !== GTF_permit_access) return GNTST_general_error;
    if (!readonly && flags & GTF_readonly) return GNTST_general_error;
  }
  if (granter.dying || getPage(frames, mfn, granter.id) !== 0) return GNTST_general_error;
  if (!readonly && takeType(frames, mfn, TYPE_writable) !== 0) {
    putPage(hv, mfn);
    return GNTST_general_error;
  }
  memory.write16(at, flags | GTF_reading | (readonly ? 0 : GTF_writing));
  if (readonly) books.readers[ref]!++;
  else books.writers[ref]!++;
  books.pinnedBy[ref] = user;
  books.pinnedMfn[ref] = mfn;
  acquired.mfn = mfn;
  return GNTST_okay;
}

/** Ends a use: the entry's marks go with the last one. The reference to the frame is the caller's to drop. */
export function releaseGrant(hv: Hypervisor, granter: Domain, ref: number, readonly: boolean): void {
  const books = granter.grants;
  if (readonly) books.readers[ref]!--;
  else books.writers[ref]!--;
  const at = entryAddress(granter, ref);
  let flags = hv.memory.read16(at);
  if (books.writers[ref] === 0) flags &= ~GTF_writing;
  if (books.writers[ref] === 0 && books.readers[ref] === 0) flags &= ~GTF_reading;
  hv.memory.write16(at, flags);
}

/** Drops the reference that acquireGrant took. */
export function dropGrantReference(hv: Hypervisor, mfn: number, readonly: boolean): void {
  if (readonly) putPage(hv, mfn);
  else putPageAndType(hv, mfn);
}

/** A mapping without host and device part ends. */
export function endMapping(hv: Hypervisor, user: Domain, handle: number): void {
  const mapping = user.grants.mappings[handle]!;
  const granter = mapping.granter < 0 ? undefined : hv.domains[mapping.granter];
  if (granter) releaseGrant(hv, granter, mapping.ref, mapping.readonly);
  user.grants.mappings[handle] = null;
}

/** A free handle for `mapping`. */
export function newHandle(user: Domain, mapping: GrantMapping): number {
  const { mappings } = user.grants;
  const free = mappings.indexOf(null);
  if (free >= 0) {
    mappings[free] = mapping;
    return free;
  }
  mappings.push(mapping);
  return mappings.length - 1;
}

/**
 * A domain goes: its mappings end (their L1 entries fall with its page tables), and who maps its frames keeps them
 * without a granter to report to.
 */
export function releaseGrants(hv: Hypervisor, domain: Domain): void {
  const { mappings } = domain.grants;
  for (let handle = 0; handle < mappings.length; handle++) {
    const mapping = mappings[handle];
    if (!mapping) continue;
    if (mapping.device) dropGrantReference(hv, mapping.mfn, mapping.readonly);
    endMapping(hv, domain, handle);
  }
  mappings.length = 0;
  for (const other of hv.domains) {
    if (!other || other === domain) continue;
    for (const mapping of other.grants.mappings) if (mapping?.granter === domain.id) mapping.granter = -1;
  }
}

// ---------------------------------------------------------------- transfer

/** GNTTABOP_transfer: gives a frame away, for good. */
export function transferGrant(
  hv: Hypervisor,
  giver: Domain,
  mfn: number,
  domid: number,
  ref: number,
): number {
  const { frames, memory } = hv;
  if (
    mfn >= frames.total ||
    frames.owner[mfn] !== giver.id ||
    frames.references[mfn] !== 1 ||
    frames.typeCount[mfn] !== 0 ||
    (frames.flags[mfn]! & (FRAME_ALLOCATED | FRAME_XEN_HEAP)) !== FRAME_ALLOCATED
  ) {
    return GNTST_bad_page;
  }
  const taker = hv.domains[domid];
  const refused = !taker
    ? statusWithoutGranter(domid)
    : taker.dying || taker.totalFrames >= taker.maxFrames || !acceptsTransfer(hv, taker, ref, giver.id)
      ? GNTST_general_error
      : GNTST_okay;
  if (!taker || refused !== GNTST_okay) {
    frames.flags[mfn]! &= ~FRAME_ALLOCATED;
    putPage(hv, mfn);
    return refused;
  }
  giver.totalFrames--;
  taker.totalFrames++;
  frames.owner[mfn] = taker.id;
  frames.type[mfn] = TYPE_none;
  frames.flags[mfn] = FRAME_ALLOCATED;
  const at = entryAddress(taker, ref);
  memory.write16(at, memory.read16(at) | GTF_transfer_committed);
  memory.write32(at + 4, mfn);
  memory.write16(at, memory.read16(at) | GTF_transfer_completed);
  return GNTST_okay;
}

function acceptsTransfer(hv: Hypervisor, taker: Domain, ref: number, giver: number): boolean {
  if (ref >= grantEntries(taker)) return false;
  const at = entryAddress(taker, ref);
  return hv.memory.read16(at) === GTF_accept_transfer && hv.memory.read16(at + 2) === giver;
}

/**
 * What a grant of a domain that is not there is answered with. Domain 0 is there: the toolstack's, without a vcpu of
 * its own here. It has granted nothing.
 */
export function statusWithoutGranter(domid: number): number {
  return domid === 0 ? GNTST_general_error : GNTST_bad_domain;
}

// ---------------------------------------------------------------- copy

export interface CopySide {
  /** Reference or frame number. */
  isRef: boolean;
  name: number;
  domid: number;
  offset: number;
}

/** GNTTABOP_copy: bytes from frame to frame without mapping either. */
export function copyGrant(
  hv: Hypervisor,
  caller: Domain,
  selfDomid: number,
  source: CopySide,
  dest: CopySide,
  length: number,
): number {
  if (source.offset + length > FRAME_SIZE || dest.offset + length > FRAME_SIZE) return GNTST_bad_copy_arg;
  const from = openSide(hv, caller, selfDomid, source, true);
  if (from < 0) return from;
  const to = openSide(hv, caller, selfDomid, dest, false);
  if (to >= 0) {
    const bytes = hv.memory.bytes(from * FRAME_SIZE + source.offset, length).slice();
    hv.memory.writeBytes(to * FRAME_SIZE + dest.offset, bytes);
    closeSide(hv, caller, selfDomid, dest, to, false);
  }
  closeSide(hv, caller, selfDomid, source, from, true);
  return to < 0 ? to : GNTST_okay;
}

/** @returns the frame, held for the copy, or a status. */
function openSide(hv: Hypervisor, caller: Domain, self: number, side: CopySide, readonly: boolean): number {
  if (side.isRef) {
    const granter = side.domid === self ? caller : hv.domains[side.domid];
    if (!granter) return statusWithoutGranter(side.domid);
    const status = acquireGrant(hv, granter, side.name, caller.id, readonly);
    return status === GNTST_okay ? acquired.mfn : status;
  }
  if (side.domid !== self) return GNTST_permission_denied;
  if (getPage(hv.frames, side.name, caller.id) !== 0) return GNTST_bad_page;
  if (!readonly && takeType(hv.frames, side.name, TYPE_writable) !== 0) {
    putPage(hv, side.name);
    return GNTST_general_error;
  }
  return side.name;
}

function closeSide(
  hv: Hypervisor,
  caller: Domain,
  self: number,
  side: CopySide,
  mfn: number,
  readonly: boolean,
): void {
  if (side.isRef) {
    const granter = side.domid === self ? caller : hv.domains[side.domid];
    if (granter) releaseGrant(hv, granter, side.name, readonly);
    dropGrantReference(hv, mfn, readonly);
    return;
  }
  if (!readonly) putPageType(hv, mfn);
  putPage(hv, mfn);
}

/** GNTTABOP_swap_grant_ref: exchanges two entries that nobody uses. */
export function swapGrants(hv: Hypervisor, domain: Domain, a: number, b: number): number {
  if (a >= grantEntries(domain) || b >= grantEntries(domain)) return GNTST_bad_gntref;
  const { readers, writers } = domain.grants;
  if (readers[a]! + writers[a]! + readers[b]! + writers[b]! > 0) return GNTST_eagain;
  const atA = entryAddress(domain, a);
  const atB = entryAddress(domain, b);
  for (let word = 0; word < 8; word += 4) {
    const kept = hv.memory.read32(atA + word);
    hv.memory.write32(atA + word, hv.memory.read32(atB + word));
    hv.memory.write32(atB + word, kept);
  }
  return GNTST_okay;
}
