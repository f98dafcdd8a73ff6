/** mmu_update, one entry at a time, without guest pointers (hypercalls.md 4.2). */
import { FRAME_SIZE } from '../cpu/physical-memory.ts';
import { EINVAL, ENOSYS, EPERM } from './abi/errno.ts';
import { charge } from './charge.ts';
import { deny, hex } from './denial.ts';
import type { Domain } from './domain.ts';
import { TYPE_l1, TYPE_writable } from './frames.ts';
import type { Hypervisor } from './hypervisor.ts';
import { storeEntry } from './page-table-entries.ts';
import { denyOwner, getPage, isTableType, putPage, takeType } from './page-types.ts';
import { updateEntry } from './table-updates.ts';
import { putPageType } from './validate.ts';

export const MMU_NORMAL_PT_UPDATE = 0;
export const MMU_MACHPHYS_UPDATE = 1;
export const MMU_PT_UPDATE_PRESERVE_AD = 2;
export const MMU_PT_UPDATE_NO_TRANSLATE = 3;

/**
 * @param caller who asks.
 * @param tables whose page tables are changed.
 * @param frameOwner domid that owns the frames to be mapped (DOMID_IO, DOMID_XEN, or a domain's).
 */
export function mmuUpdate(
  hv: Hypervisor,
  caller: Domain,
  tables: Domain,
  frameOwner: number,
  ptrLow: number,
  ptrHigh: number,
  low: number,
  high: number,
): number {
  const mask = tables.entryBytes - 1;
  const command = ptrLow & mask;
  const maddr = ptrHigh * 0x1_0000_0000 + (ptrLow - command);
  const modern = tables.personality !== '3.0.2';
  if (command === MMU_MACHPHYS_UPDATE) {
    if (tables !== caller) {
      return deny(
        EPERM,
        'foreign-machphys',
        `the M2P has no tables of domain ${tables.id} to be changed in its place`,
        'a high half of 0 in the foreign-domain argument',
      );
    }
    return setM2p(hv, frameOwner, Math.floor(maddr / FRAME_SIZE), low);
  }
  if (command !== MMU_NORMAL_PT_UPDATE && !(modern && command <= MMU_PT_UPDATE_NO_TRANSLATE)) {
    return deny(
      modern ? ENOSYS : EINVAL,
      'mmu-update-command',
      `${command} is no mmu_update command`,
      'commands 0 and 1 (4.17: 0 to 3)',
    );
  }
  return changeEntry(
    hv,
    tables,
    frameOwner,
    maddr,
    low,
    tables.entryBytes === 8 ? high : 0,
    command === MMU_PT_UPDATE_PRESERVE_AD,
  );
}

function changeEntry(
  hv: Hypervisor,
  tables: Domain,
  frameOwner: number,
  maddr: number,
  low: number,
  high: number,
  preserveAd: boolean,
): number {
  const { frames } = hv;
  const mfn = Math.floor(maddr / FRAME_SIZE);
  if (mfn >= frames.total) {
    return deny(EINVAL, 'no-such-frame', `the machine has no frame ${hex(mfn)}`, 'a table of its own', mfn);
  }
  if (frames.owner[mfn] !== tables.id) return denyOwner(frames, mfn, EINVAL);
  const type = frames.type[mfn]!;
  if (frames.typeCount[mfn] !== 0 && isTableType(type)) {
    if (type !== TYPE_l1 && frameOwner !== tables.id && tables.personality !== '3.0.2') {
      return deny(
        EINVAL,
        'foreign-table',
        'an upper-level entry cannot name a foreign frame',
        'DOMID_SELF for L2 and L3 entries',
        mfn,
        type,
      );
    }
    return updateEntry(hv, tables, frameOwner, type, maddr, low, high, preserveAd);
  }
  // No table: the frame must be able to be written, then the words are the guest's own business.
  charge(hv, hv.costs.entryCheck);
  if (takeType(frames, mfn, TYPE_writable) !== 0) return EINVAL;
  storeEntry(hv.memory, maddr, tables.entryBytes, low, high);
  putPageType(hv, mfn);
  return 0;
}

function setM2p(hv: Hypervisor, owner: number, mfn: number, pfn: number): number {
  const errno = getPage(hv.frames, mfn, owner);
  if (errno !== 0) return errno;
  charge(hv, hv.costs.entryCheck);
  hv.m2p.set(mfn, pfn);
  putPage(hv, mfn);
  return 0;
}
