/**
 * VCPUOP_register_vcpu_info: the vcpu's vcpu_info moves from shared_info into a page of the guest's, for good. The
 * page keeps a writable type reference, so it can never become a page table. hypercalls.md 5.3.
 */
import { SHARED_VCPU_INFO_SIZE } from './abi/constants.ts';
import { EINVAL, ENXIO } from './abi/errno.ts';
import { TYPE_writable } from './frames.ts';
import type { Hypervisor } from './hypervisor.ts';
import { getPageAndType } from './validate.ts';
import type { Vcpu } from './vcpu.ts';
import { setPendingSelector, setUpcallPending } from './vcpu-info.ts';

export function registerVcpuInfo(hv: Hypervisor, vcpu: Vcpu, mfn: number, offset: number): number {
  if (offset > 4096 - SHARED_VCPU_INFO_SIZE || offset % 4 !== 0) return ENXIO;
  if (vcpu.vcpuInfoRegistered) return EINVAL;
  if (vcpu !== hv.current && !vcpu.down) return EINVAL;
  if (getPageAndType(hv, mfn, vcpu.domain.id, TYPE_writable) !== 0) return EINVAL;
  const to = mfn * 4096 + offset;
  hv.memory.writeBytes(to, hv.memory.bytes(vcpu.vcpuInfo, SHARED_VCPU_INFO_SIZE).slice());
  vcpu.vcpuInfo = to;
  vcpu.vcpuInfoRegistered = true;
  // Whatever was sent meanwhile is found by looking at every word.
  setPendingSelector(hv, vcpu, 0xffff_ffff);
  setUpcallPending(hv, vcpu);
  return 0;
}
