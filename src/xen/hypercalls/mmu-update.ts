/** Hypercall 1, mmu_update: page-table and M2P entries, each 16 bytes: ptr with the command in its low bits, value. */
import { EFAULT } from '../abi/errno.ts';
import { mmu_update } from '../abi/structs.ts';
import { meetAgain, partIsOver } from '../continuation.ts';
import { refuseDenied } from '../denial.ts';
import { frameOwnerFor, tableOwnerFor } from '../foreign.ts';
import { mmuUpdate } from '../mmu-update.ts';
import type { Caller, HypercallRow } from './row.ts';

const ENTRY_SIZE = 16;
/** Set in the count of a call that is met again: `done` already holds a number. */
export const RESUMED = 0x8000_0000;

/** Count and done pointer of the two batched calls: how many entries were done before, or -1: EFAULT. */
export function doneBefore({ hv, domain }: Caller, count: number, donePointer: number): number {
  return count & RESUMED && donePointer !== 0 ? hv.guest.readU32(domain, donePointer) : 0;
}

/** The two batched calls, put aside after `done` entries of this part. */
export function putAside(
  { hv, domain }: Caller,
  args: Uint32Array,
  entrySize: number,
  before: number,
  done: number,
): number {
  if (args[2] !== 0) hv.guest.writeU32(domain, args[2]!, before + done);
  args[0] = args[0]! + done * entrySize;
  args[1] = ((args[1]! & ~RESUMED) - done) | RESUMED;
  return meetAgain(hv);
}

function run(caller: Caller, args: Uint32Array): number {
  const { hv, domain, vcpu } = caller;
  const array = args[0]!;
  const count = args[1]! & ~RESUMED;
  const donePointer = args[2]!;
  const before = doneBefore(caller, args[1]!, donePointer);
  if (before < 0) return EFAULT;
  const modern = domain.personality !== '3.0.2';

  let done = 0;
  let result = 0;
  if (!hv.guest.inRange(domain, array, count * ENTRY_SIZE)) {
    if (modern) return EFAULT;
    result = EFAULT;
  } else {
    const owner = frameOwnerFor(hv, domain, args[3]!);
    const tables = tableOwnerFor(hv, domain, args[3]!);
    if (owner < 0) result = refuseDenied(hv, vcpu, 'mmu_update', owner);
    else if (typeof tables === 'number') result = refuseDenied(hv, vcpu, 'mmu_update', tables);
    while (result === 0 && done < count && typeof tables !== 'number') {
      if (done > 0 && partIsOver(hv)) return putAside(caller, args, ENTRY_SIZE, before, done);
      const entry = hv.guest.read(domain, array + done * ENTRY_SIZE, ENTRY_SIZE);
      if (entry === null) {
        result = EFAULT;
        break;
      }
      const ptr = entry.getUint32(0, true);
      const low = entry.getUint32(8, true);
      const high = entry.getUint32(12, true);
      const errno = mmuUpdate(hv, domain, tables, owner, ptr, entry.getUint32(4, true), low, high);
      hv.trace.countSubCall(1, ptr & (domain.abi === 'x86_32' ? 3 : 7), errno !== 0);
      if (errno !== 0) result = refuseDenied(hv, vcpu, 'mmu_update', errno, low, high);
      else done++;
    }
  }
  if (donePointer !== 0) hv.guest.writeU32(domain, donePointer, before + done);
  return result;
}

export const mmuUpdateRow: HypercallRow = {
  number: 1,
  name: 'mmu_update',
  args: [
    { name: 'req', as: 'pointer' },
    { name: 'count', as: 'dec' },
    { name: 'done', as: 'pointer' },
    { name: 'foreigndom', as: 'domid' },
  ],
  doc:
    'Changes page-table entries, each named by its machine address and checked before it is stored, and M2P ' +
    'entries. Stops at the first failure; `done` receives the number of entries that were done.',
  subOps: [
    {
      number: 0,
      name: 'MMU_NORMAL_PT_UPDATE',
      arg: mmu_update,
      doc: 'Replace a page-table entry, checked; or store a word into a frame that is no table.',
      seed: 'mmu_update(MMU_NORMAL_PT_UPDATE)',
      vmi: 'VMI_SetPte*',
    },
    {
      number: 1,
      name: 'MMU_MACHPHYS_UPDATE',
      arg: mmu_update,
      doc: 'Set the M2P entry of an own frame.',
      seed: 'mmu_update(MMU_MACHPHYS_UPDATE)',
    },
    {
      number: 2,
      name: 'MMU_PT_UPDATE_PRESERVE_AD',
      arg: mmu_update,
      doc: '4.17: as command 0, keeping the accessed and dirty bits.',
    },
    { number: 3, name: 'MMU_PT_UPDATE_NO_TRANSLATE', arg: mmu_update, doc: '4.17: as command 0.' },
  ],
  run,
};
