/** Whose frames a call speaks of: the foreign-domain argument (hypercalls.md 4.1). */
import { EPERM, ESRCH } from './abi/errno.ts';
import { deny } from './denial.ts';
import { DOMID_IO, DOMID_SELF, DOMID_XEN, type Domain } from './domain.ts';
import type { Hypervisor } from './hypervisor.ts';

/**
 * @returns the domid that must own the frames (the caller's own, DOMID_IO, DOMID_XEN, another live domain's), or an
 * errno.
 */
export function frameOwnerFor(hv: Hypervisor, caller: Domain, foreigndom: number): number {
  const modern = caller.personality !== '3.0.2';
  const domid = modern ? foreigndom & 0xffff : foreigndom;
  if (domid === DOMID_SELF) return caller.id;
  if (domid === DOMID_IO) return DOMID_IO;
  const known = domid === DOMID_XEN || (domid !== caller.id && hv.domains[domid] !== undefined);
  if (known && caller.privileged) return domid;
  return deny(
    known && modern ? EPERM : ESRCH,
    'foreign-domain',
    known
      ? `domain ${caller.id} has no rights over domain ${domid}`
      : `${domid} names no other domain that is alive`,
    'DOMID_SELF',
  );
}

/** 4.17: whose page tables mmu_update changes; the high half of the argument names a domain plus one. */
export function tableOwnerFor(hv: Hypervisor, caller: Domain, foreigndom: number): Domain | number {
  const plusOne = caller.personality === '3.0.2' ? 0 : foreigndom >>> 16;
  if (plusOne === 0) return caller;
  const owner = hv.domains[plusOne - 1];
  if (!owner)
    return deny(ESRCH, 'foreign-domain', `there is no domain ${plusOne - 1}`, 'a domain that is alive');
  if (owner !== caller && !caller.privileged) {
    return deny(
      EPERM,
      'foreign-domain',
      `domain ${caller.id} has no rights over the page tables of domain ${owner.id}`,
      'its own page tables',
    );
  }
  return owner;
}
