/**
 * Changing one entry of a table in use: new references first, then the store, then the old references (memory.md
 * 3.5). An entry that keeps its frame and its rights is just stored; which bits are "rights" decides what may change
 * without a check, so for linear entries RW is one of them.
 */
import { FRAME_SIZE } from '../cpu/physical-memory.ts';
import { EINVAL, EPERM } from './abi/errno.ts';
import { charge } from './charge.ts';
import { deny, hex } from './denial.ts';
import type { Domain } from './domain.ts';
import { TYPE_l1, TYPE_l2, TYPE_l3 } from './frames.ts';
import type { Hypervisor } from './hypervisor.ts';
import {
  entryMfn,
  L3_XEN_SLOT,
  PTE_ACCESSED,
  PTE_DIRTY,
  PTE_PRESENT,
  PTE_RW,
  PTE_USER,
  readHigh,
  readLow,
  storeEntry,
} from './page-table-entries.ts';
import { checkBits, getFromEntry, isXenSlot, putFromEntry } from './validate.ts';

/**
 * Replaces the entry at `maddr` of the table frame `maddr >> 12`, whose type is `type` and in use.
 * @param domain owner of the table.
 * @param frameOwner domid that must own the frame a new L1 entry names.
 * @param preserveAd MMU_PT_UPDATE_PRESERVE_AD: A and D stay as the processor left them.
 */
export function updateEntry(
  hv: Hypervisor,
  domain: Domain,
  frameOwner: number,
  type: number,
  maddr: number,
  low: number,
  high: number,
  preserveAd: boolean,
): number {
  const { memory } = hv;
  const size = domain.entryBytes;
  const table = Math.floor(maddr / FRAME_SIZE);
  const index = (maddr % FRAME_SIZE) / size;
  charge(hv, hv.costs.entryCheck);

  const place = checkPlace(hv, domain, table, type, index);
  if (place !== 0) return place;

  const oldLow = readLow(memory, maddr);
  const oldHigh = readHigh(memory, maddr, size);
  if (preserveAd) low |= oldLow & (PTE_ACCESSED | PTE_DIRTY);
  if (low & PTE_PRESENT) {
    // 4.17 keeps RW and US set in present L3 entries.
    if (type === TYPE_l3 && domain.personality !== '3.0.2') low |= PTE_RW | PTE_USER;
    if (sameRights(hv, type, oldLow, oldHigh, low, high)) {
      const bits = checkBits(domain, type, low, high);
      if (bits !== 0) return bits;
      storeEntry(memory, maddr, size, low, high);
      return 0;
    }
    const errno = getFromEntry(hv, domain, frameOwner, table, type, index, low, high);
    if (errno !== 0) return errno;
  }
  storeEntry(memory, maddr, size, low, high);
  if (oldLow & PTE_PRESENT) putFromEntry(hv, table, type, oldLow, oldHigh);
  return 0;
}

/** Entries that are not the guest's to change. */
function checkPlace(hv: Hypervisor, domain: Domain, table: number, type: number, index: number): number {
  if (type === TYPE_l2 && isXenSlot(hv, domain, table, index)) {
    return deny(
      EPERM,
      'xen-slot',
      `entry ${index} of L2 table ${hex(table)} is the hypervisor's`,
      'entries below the hypervisor hole',
      table,
      type,
      index,
    );
  }
  if (type === TYPE_l3 && index >= L3_XEN_SLOT) {
    return deny(
      EINVAL,
      'l3-slot-3-update',
      `slot ${index} of L3 table ${hex(table)} cannot be changed while the table is in use`,
      'slots 0 to 2; slot 3 is set before the table is pinned',
      table,
      type,
      index,
    );
  }
  return 0;
}

/** May the new entry be stored without taking or dropping a reference? */
function sameRights(
  hv: Hypervisor,
  type: number,
  oldLow: number,
  oldHigh: number,
  low: number,
  high: number,
): boolean {
  if (!(oldLow & PTE_PRESENT)) return false;
  const mfn = entryMfn(low, high);
  if (mfn !== entryMfn(oldLow, oldHigh)) return false;
  if (type === TYPE_l3) return true;
  if (!((oldLow ^ low) & PTE_RW)) return true;
  // RW of an L1 entry is a writable reference; of a linear entry it would open the tables to stores.
  return type === TYPE_l2 && hv.frames.type[mfn] === TYPE_l1;
}

/** Machine address of the L1 entry that maps `va` under `root`, -1: there is no L1 table in use for it. */
export function l1EntryAddress(hv: Hypervisor, domain: Domain, root: number, va: number): number {
  if (root === 0) return -1;
  const { memory, frames } = hv;
  va >>>= 0;
  let low: number;
  let high = 0;
  let entry: number;
  if (domain.entryBytes === 4) {
    low = readLow(memory, root * FRAME_SIZE + (va >>> 22) * 4);
    entry = ((va >>> 12) & 1023) * 4;
  } else {
    const l3e = root * FRAME_SIZE + (va >>> 30) * 8;
    const l3low = readLow(memory, l3e);
    if (!(l3low & PTE_PRESENT)) return -1;
    const l2e = entryMfn(l3low, readHigh(memory, l3e, 8)) * FRAME_SIZE + ((va >>> 21) & 511) * 8;
    low = readLow(memory, l2e);
    high = readHigh(memory, l2e, 8);
    entry = ((va >>> 12) & 511) * 8;
  }
  if (!(low & PTE_PRESENT)) return -1;
  const l1 = entryMfn(low, high);
  // A linear entry leads to an L2 table; its entries are no L1 entries.
  if (frames.type[l1] !== TYPE_l1 || frames.typeCount[l1] === 0) return -1;
  return l1 * FRAME_SIZE + entry;
}
