/**
 * References and types of frames: the only writer of reference counts, types and type counts (memory.md section 2), save
 * for the loops over plain entries of whole L1 tables (plain-entries.ts).
 * Here are the steps that touch one row of the books; what a type demands of a frame's contents, and so the
 * recursion from table to table, is validate.ts.
 *
 *   takeType  count 0: the type is set, count becomes 1, and (L1, L2, L3, descriptors) the caller must validate the
 *             contents, then call completeType or abandonType.  count > 0: only the same type.
 *   dropType  says when a page table lost its last use and must be devalidated by the caller.
 */
import { EngineBug } from '../base/assert.ts';
import { FRAME_IS_TABLE } from '../cpu/physical-memory.ts';
import { EBUSY, EINVAL, EPERM } from './abi/errno.ts';
import { deny, hex } from './denial.ts';
import { DOMID_IO, DOMID_XEN } from './domain.ts';
import {
  FRAME_ALLOCATED,
  FRAME_PINNED,
  FRAME_VALIDATED,
  FRAME_XEN_HEAP,
  type FrameTable,
  NO_SLOT,
  OWNER_FREE,
  OWNER_ORPHAN,
  TYPE_l1,
  TYPE_l2,
  TYPE_l3,
  TYPE_none,
  TYPE_writable,
  typeNoun,
} from './frames.ts';
import type { Hypervisor } from './hypervisor.ts';
import { L3_XEN_SLOT } from './page-table-entries.ts';

/** takeType: the type reference is taken. */
export const TAKEN = 0;
/** takeType: taken, and the contents must be validated now. */
export const FRESH = 1;

export function isTableType(type: number): boolean {
  return type >= TYPE_l1 && type <= TYPE_l3;
}

/** One reference to a frame that `owner` must own. @returns 0 or an errno. */
export function getPage(frames: FrameTable, mfn: number, owner: number): number {
  if (mfn >= frames.total) {
    return deny(EINVAL, 'no-such-frame', `the machine has no frame ${hex(mfn)}`, 'a frame of its own', mfn);
  }
  if (frames.owner[mfn] !== owner) return denyOwner(frames, mfn, EINVAL);
  return addReference(frames, mfn);
}

/** One more reference to a frame that has some. */
export function addReference(frames: FrameTable, mfn: number): number {
  const references = frames.references[mfn]!;
  if (references === 0 || references >= frames.referenceLimit) {
    return deny(
      EINVAL,
      'too-many-references',
      `frame ${hex(mfn)} has ${references} references`,
      'fewer mappings of one frame',
      mfn,
      frames.type[mfn],
    );
  }
  frames.references[mfn] = references + 1;
  return 0;
}

/** Says whose frame it is instead. */
export function denyOwner(frames: FrameTable, mfn: number, errno: number): number {
  const owner = frames.owner[mfn]!;
  const whose =
    owner === OWNER_FREE
      ? 'belongs to nobody'
      : owner === OWNER_ORPHAN
        ? 'belonged to a domain that is gone'
        : owner === DOMID_XEN
          ? "is the hypervisor's"
          : owner === DOMID_IO
            ? 'is I/O memory'
            : `belongs to domain ${owner}`;
  return deny(errno, 'not-owner', `frame ${hex(mfn)} ${whose}`, 'a frame of its own', mfn, frames.type[mfn]);
}

/** The books do not hold. Its text is only made when it is needed: these checks stand on the hottest paths. */
function broken(mfn: number, what: string): never {
  throw new EngineBug(`mfn ${hex(mfn)}: ${what}`);
}

export function putPage(hv: Hypervisor, mfn: number): void {
  const frames = hv.frames;
  const references = frames.references[mfn]! - 1;
  if (references < 0) broken(mfn, 'reference count below 0');
  frames.references[mfn] = references;
  if (references > 0) return;
  const flags = frames.flags[mfn]!;
  if (flags & (FRAME_ALLOCATED | FRAME_PINNED)) broken(mfn, 'freed while allocated or pinned');
  if (!(flags & FRAME_XEN_HEAP)) {
    if (frames.typeCount[mfn] !== 0) broken(mfn, 'freed while in use as a type');
    const owner = hv.domains[frames.owner[mfn]!];
    if (owner) owner.totalFrames--;
  }
  frames.free(mfn);
}

/**
 * One type reference, on a frame to which the caller holds a reference.
 * @param slot of L2 tables in PAE: what l2Slot must be; NO_SLOT otherwise.
 * @returns TAKEN, FRESH, or an errno: EBUSY is for writable mappings alone, a conflict over any other type is EINVAL.
 */
export function takeType(frames: FrameTable, mfn: number, type: number, slot: number = NO_SLOT): number {
  const count = frames.typeCount[mfn]!;
  const current = frames.type[mfn]!;
  if (count === 0) {
    const flags = frames.flags[mfn]!;
    if (current === type && flags & FRAME_VALIDATED) {
      // Descriptor pages and writable pages keep their mark; page tables lose it (dropType).
      frames.typeCount[mfn] = 1;
      return TAKEN;
    }
    frames.type[mfn] = type;
    frames.typeCount[mfn] = 1;
    frames.l2Slot[mfn] = slot;
    if (type === TYPE_writable) {
      frames.flags[mfn] = flags | FRAME_VALIDATED;
      return TAKEN;
    }
    frames.flags[mfn] = flags & ~FRAME_VALIDATED;
    return FRESH;
  }
  if (current !== type) return denyType(frames, mfn, type);
  if (type === TYPE_l2 && slot !== frames.l2Slot[mfn]) {
    return deny(
      EINVAL,
      'l2-in-two-slots',
      `L2 table ${hex(mfn)} serves L3 slot ${frames.l2Slot[mfn]}${frames.l2Slot[mfn] === 0 ? ' or is pinned' : ''}`,
      `a separate L2 table for ${slot === L3_XEN_SLOT ? 'slot 3' : 'each slot'}`,
      mfn,
      current,
    );
  }
  if (type === TYPE_l2 && slot === L3_XEN_SLOT) {
    return deny(
      EINVAL,
      'l3-slot-3-shared',
      `L2 table ${hex(mfn)} is already slot 3 of another L3 table`,
      "a slot-3 L2 table of the L3's own",
      mfn,
      current,
    );
  }
  if (!(frames.flags[mfn]! & FRAME_VALIDATED)) {
    return deny(
      EINVAL,
      'in-validation',
      `frame ${hex(mfn)} is being validated`,
      'another frame',
      mfn,
      current,
    );
  }
  if (count >= frames.typeCountLimit) {
    return deny(
      EINVAL,
      'type-count-overflow',
      `frame ${hex(mfn)} is used ${count} times as ${typeNoun(type)} already`,
      'fewer uses of one frame',
      mfn,
      current,
    );
  }
  frames.typeCount[mfn] = count + 1;
  return TAKEN;
}

function denyType(frames: FrameTable, mfn: number, wanted: number): number {
  const current = frames.type[mfn]!;
  if (frames.flags[mfn]! & FRAME_XEN_HEAP && current === TYPE_none) {
    return deny(
      EPERM,
      'xen-frame',
      `frame ${hex(mfn)} is the hypervisor's`,
      'a read-only mapping',
      mfn,
      current,
    );
  }
  if (wanted === TYPE_writable) {
    return deny(
      EBUSY,
      isTableType(current) ? 'writable-mapping-of-table' : 'writable-mapping-of-descriptors',
      `frame ${hex(mfn)} is in use as ${typeNoun(current)}`,
      isTableType(current)
        ? 'a read-only mapping; its entries change by mmu_update or update_va_mapping'
        : 'a read-only mapping; its descriptors change by update_descriptor',
      mfn,
      current,
    );
  }
  const count = frames.typeCount[mfn]!;
  return deny(
    EINVAL,
    'type-conflict',
    current === TYPE_writable
      ? `frame ${hex(mfn)} has ${count} writable mapping${count === 1 ? '' : 's'}`
      : `frame ${hex(mfn)} is in use as ${typeNoun(current)}`,
    current === TYPE_writable
      ? `${typeNoun(wanted)} once every mapping of it is read-only`
      : `${typeNoun(wanted)} once its other use has ended`,
    mfn,
    current,
  );
}

/**
 * May somebody without a mapping of his own (a daemon, the hypervisor on the guest's behalf) write the frame now?
 * If so it is an ordinary writable frame from here on: what was checked for another type no longer counts.
 */
export function becomesWritable(frames: FrameTable, mfn: number): boolean {
  if (takeType(frames, mfn, TYPE_writable) !== TAKEN) return false;
  dropType(frames, mfn);
  return true;
}

/** The contents passed: the processor may use the table from now on. */
export function completeType(frames: FrameTable, mfn: number): void {
  frames.flags[mfn]! |= FRAME_VALIDATED;
  if (isTableType(frames.type[mfn]!)) frames.memory.frameFlags[mfn]! |= FRAME_IS_TABLE;
}

/** The contents were refused: nothing remains of the attempt. */
export function abandonType(frames: FrameTable, mfn: number): void {
  if (frames.typeCount[mfn] !== 1) broken(mfn, 'validation abandoned while in use');
  frames.type[mfn] = TYPE_none;
  frames.typeCount[mfn] = 0;
  frames.l2Slot[mfn] = NO_SLOT;
}

/** @returns true when a page table lost its last use: the caller must drop what its entries hold (devalidate). */
export function dropType(frames: FrameTable, mfn: number): boolean {
  const count = frames.typeCount[mfn]! - 1;
  if (count < 0) broken(mfn, 'type count below 0');
  frames.typeCount[mfn] = count;
  return count === 0 && isTableType(frames.type[mfn]!);
}

/** The entries of a table without uses have been dropped. */
export function devalidated(frames: FrameTable, mfn: number): void {
  frames.flags[mfn]! &= ~FRAME_VALIDATED;
  frames.l2Slot[mfn] = NO_SLOT;
  frames.memory.frameFlags[mfn]! &= ~FRAME_IS_TABLE;
}

/** Drops the owner's allocation. @returns false if it was dropped before. */
export function dropAllocation(hv: Hypervisor, mfn: number): boolean {
  if (!(hv.frames.flags[mfn]! & FRAME_ALLOCATED)) return false;
  hv.frames.flags[mfn]! &= ~FRAME_ALLOCATED;
  putPage(hv, mfn);
  return true;
}
