/** update_va_mapping: the L1 entry of a virtual address in the current address space (hypercalls.md 4.3, 4.4). */
import { EINVAL } from './abi/errno.ts';
import { deny, hex } from './denial.ts';
import { TYPE_l1 } from './frames.ts';
import type { Hypervisor } from './hypervisor.ts';
import { l1EntryAddress, updateEntry } from './table-updates.ts';
import type { Vcpu } from './vcpu.ts';

/** @param frameOwner domid that must own the frame the new entry names. */
export function updateVaMapping(
  hv: Hypervisor,
  vcpu: Vcpu,
  frameOwner: number,
  va: number,
  low: number,
  high: number,
): number {
  const { domain } = vcpu;
  if (va >= domain.holeStart) {
    return deny(EINVAL, 'va-in-hole', `address ${hex(va)} is the hypervisor's`, 'an address below its hole');
  }
  const at = l1EntryAddress(hv, domain, vcpu.rootMfn, va);
  if (at < 0) {
    return deny(
      EINVAL,
      'no-l1-table',
      `no L1 table maps address ${hex(va)} in the current address space`,
      'hooking an L1 table into the L2 table first',
    );
  }
  return updateEntry(hv, domain, frameOwner, TYPE_l1, at, low, domain.entryBytes === 8 ? high : 0, false);
}
