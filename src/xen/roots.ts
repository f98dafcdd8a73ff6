/** The root table of a vcpu (CR3): one reference and one type reference each (memory.md sections 7 and 12). */
import { FRAME_SIZE } from '../cpu/physical-memory.ts';
import { charge } from './charge.ts';
import { dropLdt, eagerLdt } from './descriptor-tables.ts';
import type { Domain } from './domain.ts';
import type { Hypervisor } from './hypervisor.ts';
import { rootType } from './page-table-entries.ts';
import { getPageAndType, putPageAndType } from './validate.ts';
import type { Vcpu } from './vcpu.ts';

/**
 * MMUEXT_NEW_BASEPTR and MOV to CR3: puts a vcpu on another root table. The old one stays on failure.
 * @returns 0 or an errno in 4.17's terms (denial.ts: why).
 */
export function setRoot(hv: Hypervisor, vcpu: Vcpu, mfn: number): number {
  const errno = getPageAndType(hv, mfn, vcpu.domain.id, rootType(vcpu.domain));
  if (errno !== 0) return errno;
  const old = vcpu.rootMfn;
  loadRoot(hv, vcpu, mfn);
  if (old !== 0) putPageAndType(hv, old);
  return 0;
}

/** Takes a vcpu off its root table; nothing of the guest is mapped for it then. */
export function dropRoot(hv: Hypervisor, vcpu: Vcpu): void {
  const old = vcpu.rootMfn;
  if (old === 0) return;
  loadRoot(hv, vcpu, 0);
  putPageAndType(hv, old);
}

function loadRoot(hv: Hypervisor, vcpu: Vcpu, mfn: number): void {
  vcpu.rootMfn = mfn;
  dropLdt(hv, vcpu);
  if (hv.current === vcpu) hv.cpu.cr3 = mfn * FRAME_SIZE;
  charge(hv, hv.costs.baseSwitch);
  if (mfn !== 0) eagerLdt(hv, vcpu);
}

/** pae_extended_cr3, bit of Domain.vmAssist: CR3 values carry the frame number's high bits in their low ones. */
const EXTENDED_CR3 = 1 << 3;

/** CR3 as the guest sees it. */
export function guestCr3(domain: Domain, mfn: number): number {
  return domain.vmAssist & EXTENDED_CR3 ? ((mfn << 12) | (mfn >>> 20)) >>> 0 : (mfn << 12) >>> 0;
}
/** The frame that a CR3 value of the guest's names: the inverse of guestCr3. */
export function mfnOfCr3(domain: Domain, cr3: number): number {
  return domain.vmAssist & EXTENDED_CR3 ? ((cr3 >>> 12) | (cr3 << 20)) >>> 0 : cr3 >>> 12;
}
