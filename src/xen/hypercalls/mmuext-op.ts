/** Hypercall 26, mmuext_op: pins, base pointers, TLB, LDT; 12 bytes each: cmd, arg1 (mfn or address), arg2. */
import { EFAULT, EINVAL, ENOSYS, EOPNOTSUPP, EPERM } from '../abi/errno.ts';
import { mmuext_op } from '../abi/structs.ts';
import { partIsOver } from '../continuation.ts';
import { deny, refuseDenied } from '../denial.ts';
import { setLdt } from '../descriptor-tables.ts';
import { DOMID_IO } from '../domain.ts';
import { frameOwnerFor } from '../foreign.ts';
import { TYPE_l1, TYPE_l2, TYPE_l3 } from '../frames.ts';
import { clearPage, copyPage, flushCache, flushPage, flushTlb, newBasePointer } from '../mmuext-op.ts';
import { pin, unpin } from '../pinning.ts';
import { doneBefore, putAside, RESUMED } from './mmu-update.ts';
import type { Caller, HypercallRow, SubOpRow } from './row.ts';

const TYPE_l4 = 4;

/** The seed lists the operations up to SET_LDT. */
const LAST_OF_SEED = 13;

const op = (number: number, name: string, doc: string, vmi?: string): SubOpRow => ({
  number,
  name,
  arg: mmuext_op,
  doc,
  ...(number <= LAST_OF_SEED ? { seed: `mmuext_op(${name})` } : {}),
  ...(vmi ? { vmi } : {}),
});

const SUB_OPS: readonly SubOpRow[] = [
  op(0, 'MMUEXT_PIN_L1_TABLE', 'Validate a frame as L1 table and hold it so.', 'RegisterPageType*'),
  op(
    1,
    'MMUEXT_PIN_L2_TABLE',
    'Validate a frame as L2 table and hold it so. 3.0.2 PAE: nothing is done.',
    'RegisterPageType*',
  ),
  op(
    2,
    'MMUEXT_PIN_L3_TABLE',
    'Validate a frame as PAE L3 table and hold it so. 2-level: nothing is done.',
    'RegisterPageType*',
  ),
  op(3, 'MMUEXT_PIN_L4_TABLE', '64-bit only: succeeds and does nothing.', 'RegisterPageType*'),
  op(4, 'MMUEXT_UNPIN_TABLE', 'Let go of a pinned table.', 'RegisterPageType*'),
  op(5, 'MMUEXT_NEW_BASEPTR', 'Load CR3 with the machine frame of a root table.', 'VMI_SetCR3*'),
  op(6, 'MMUEXT_TLB_FLUSH_LOCAL', "Flush this vcpu's TLB.", 'VMI_FlushTLB'),
  op(7, 'MMUEXT_INVLPG_LOCAL', "Flush one address from this vcpu's TLB.", 'VMI_InvalPage'),
  op(8, 'MMUEXT_TLB_FLUSH_MULTI', 'Flush the TLBs of a set of vcpus.'),
  op(9, 'MMUEXT_INVLPG_MULTI', 'Flush one address from the TLBs of a set of vcpus.'),
  op(10, 'MMUEXT_TLB_FLUSH_ALL', "Flush all the domain's TLBs."),
  op(11, 'MMUEXT_INVLPG_ALL', "Flush one address from all the domain's TLBs."),
  op(12, 'MMUEXT_FLUSH_CACHE', 'Write back the caches; needs I/O memory rights.', 'VMI_WBINVD'),
  op(13, 'MMUEXT_SET_LDT', 'Linear address and number of entries of the LDT.', 'VMI_SetLDT*'),
  op(15, 'MMUEXT_NEW_USER_BASEPTR', '64-bit only.'),
  op(16, 'MMUEXT_CLEAR_PAGE', '4.17: fill a frame with zeros.'),
  op(17, 'MMUEXT_COPY_PAGE', '4.17: copy a frame.'),
  op(18, 'MMUEXT_FLUSH_CACHE_GLOBAL', '4.17: as FLUSH_CACHE, on every processor.'),
  { ...op(19, 'MMUEXT_MARK_SUPER', 'Not offered by any PV hypervisor.'), notOffered: 'no superpages' },
  { ...op(20, 'MMUEXT_UNMARK_SUPER', 'Not offered by any PV hypervisor.'), notOffered: 'no superpages' },
];
const NAMES: readonly string[] = Array.from(
  { length: 21 },
  (_, n) => SUB_OPS.find((row) => row.number === n)?.name ?? `mmuext_op ${n}`,
);

/** Flushes on the vcpus of a bitmap. Whoever waits for its turn comes back with an empty TLB anyway. */
function flushMulti(caller: Caller, bitmap: number, va: number): number {
  const word = caller.hv.guest.readU32(caller.domain, bitmap);
  if (word < 0) {
    return deny(EINVAL, 'vcpu-bitmap', 'the bitmap of vcpus cannot be read', 'a mapped address');
  }
  if (word & (1 << caller.vcpu.id)) {
    if (va < 0) flushTlb(caller.hv);
    else flushPage(caller.hv, va);
  }
  return 0;
}

/** One operation. @param owner domid that the foreigndom argument names. */
function one(caller: Caller, owner: number, cmd: number, arg1: number, arg2: number): number {
  const { hv, domain, vcpu } = caller;
  const modern = domain.personality !== '3.0.2';
  const foreign = owner !== domain.id;
  switch (cmd) {
    case 0:
    case 1:
    case 2:
    case 3: {
      const target = hv.domains[owner];
      if (!target) return deny(EINVAL, 'foreign-domain', 'the foreign domain has no page tables', 'a domain');
      return pin(hv, target, arg1, cmd === 0 ? TYPE_l1 : cmd === 1 ? TYPE_l2 : cmd === 2 ? TYPE_l3 : TYPE_l4);
    }
    case 4: {
      const target = modern ? hv.domains[owner] : domain;
      if (!target) return deny(EINVAL, 'foreign-domain', 'the foreign domain has no page tables', 'a domain');
      return unpin(hv, target, arg1);
    }
    case 5:
      return foreign && modern ? denySelf() : newBasePointer(hv, vcpu, arg1);
    case 6:
    case 10:
      return foreign && modern ? denySelf() : flushTlb(hv);
    case 7:
    case 11:
      return foreign && modern ? denySelf() : flushPage(hv, arg1);
    case 8:
      return foreign && modern ? denySelf() : flushMulti(caller, arg2, -1);
    case 9:
      return foreign && modern ? denySelf() : flushMulti(caller, arg2, arg1);
    case 12:
      return flushCache(domain, false);
    case 13:
      return foreign && modern ? denySelf() : setLdt(hv, vcpu, arg1, arg2);
    case 16:
      if (modern) return clearPage(hv, owner, arg1);
      break;
    case 17:
      if (modern) return copyPage(hv, owner, arg1, arg2);
      break;
    case 18:
      if (modern) return flushCache(domain, true);
      break;
    case 19:
    case 20:
      if (modern) return deny(EOPNOTSUPP, 'superpages', 'there are no superpages', '4 KiB pages');
      break;
  }
  return deny(
    modern && cmd !== 15 ? ENOSYS : EINVAL,
    'mmuext-command',
    `${cmd} is no mmuext_op command of this hypervisor`,
    "the commands of the domain's own ABI",
  );
}

function denySelf(): number {
  return deny(EPERM, 'foreign-domain', "it is an operation on the caller's own vcpu", 'DOMID_SELF');
}

/** As for mmu_update, but 4.17's I/O memory is nobody's to pin, clear or copy, save a privileged domain's. */
function frameOwnerOf({ hv, domain }: Caller, foreigndom: number): number {
  const owner = frameOwnerFor(hv, domain, foreigndom);
  if (owner !== DOMID_IO || domain.privileged || domain.personality === '3.0.2') return owner;
  return deny(EPERM, 'foreign-domain', `domain ${domain.id} has no rights over I/O memory`, 'DOMID_SELF');
}

function run(caller: Caller, args: Uint32Array): number {
  const { hv, domain, vcpu } = caller;
  const array = args[0]!;
  const count = args[1]! & ~RESUMED;
  const donePointer = args[2]!;
  const before = doneBefore(caller, args[1]!, donePointer);
  if (before < 0) return EFAULT;

  let done = 0;
  let result = 0;
  if (!hv.guest.inRange(domain, array, count * mmuext_op.size)) {
    if (domain.personality !== '3.0.2') return EFAULT;
    result = EFAULT;
  } else {
    const owner = frameOwnerOf(caller, args[3]!);
    if (owner < 0) result = refuseDenied(hv, vcpu, 'mmuext_op', owner);
    while (result === 0 && done < count) {
      if (done > 0 && partIsOver(hv)) return putAside(caller, args, mmuext_op.size, before, done);
      const entry = hv.guest.read(domain, array + done * mmuext_op.size, mmuext_op.size);
      if (entry === null) {
        result = EFAULT;
        break;
      }
      const cmd = entry.getUint32(0, true);
      const arg1 = entry.getUint32(4, true);
      const errno = one(caller, owner, cmd, arg1, entry.getUint32(8, true));
      hv.trace.countSubCall(26, cmd, errno !== 0);
      if (errno !== 0) result = refuseDenied(hv, vcpu, NAMES[cmd] ?? 'mmuext_op', errno, arg1);
      else done++;
    }
  }
  if (donePointer !== 0) hv.guest.writeU32(domain, donePointer, before + done);
  return result;
}

export const mmuextOpRow: HypercallRow = {
  number: 26,
  name: 'mmuext_op',
  args: [
    { name: 'op', as: 'pointer' },
    { name: 'count', as: 'dec' },
    { name: 'done', as: 'pointer' },
    { name: 'foreigndom', as: 'domid' },
  ],
  doc: 'Batched memory-management operations that are no single page-table entry: pins, CR3, TLB, LDT.',
  subOps: SUB_OPS,
  run,
};
