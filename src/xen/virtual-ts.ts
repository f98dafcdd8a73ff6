/** Virtual CR0.TS: the guest's own lazy-FPU flag. The processor's TS follows it (cpu-and-events.md section 8). */
import type { Hypervisor } from './hypervisor.ts';
import type { Vcpu } from './vcpu.ts';

const CR0_TS = 8;

export function setVirtualTs(hv: Hypervisor, vcpu: Vcpu, set: boolean): void {
  vcpu.virtualTs = set;
  if (vcpu !== hv.current) return;
  const cpu = hv.cpu;
  const wanted = (set ? cpu.cr0 | CR0_TS : cpu.cr0 & ~CR0_TS) >>> 0;
  if (cpu.cr0 !== wanted) cpu.cr0 = wanted;
}
