/** Non-maskable interrupts: the reason bits in shared_info, and raising one (cpu-and-events.md 2.1, 3). */
import { NMIREASON_unknown, SHARED_NMI_REASON } from './abi/constants.ts';
import type { Domain } from './domain.ts';
import type { Hypervisor } from './hypervisor.ts';
import { kick } from './scheduler.ts';
import type { Vcpu } from './vcpu.ts';

export function portReasonLatched(hv: Hypervisor, domain: Domain): boolean {
  return hv.memory.read32(domain.sharedInfoMfn * 4096 + SHARED_NMI_REASON) !== 0;
}

/** Makes an NMI pending: it is taken as soon as the vcpu has a handler and is not in one already. */
export function raiseNmi(hv: Hypervisor, vcpu: Vcpu): void {
  if (vcpu.nmiPending) return;
  vcpu.nmiPending = true;
  kick(hv, vcpu);
}

/** The machine's NMI button: the initial domain's vcpu 0 gets it, and the reason stays latched until the guest clears it. */
export function pressNmiButton(hv: Hypervisor, domain: Domain): void {
  const reason = domain.sharedInfoMfn * 4096 + SHARED_NMI_REASON;
  hv.memory.write32(reason, hv.memory.read32(reason) | NMIREASON_unknown);
  const vcpu = domain.vcpus[0];
  if (vcpu !== undefined) raiseNmi(hv, vcpu);
}
