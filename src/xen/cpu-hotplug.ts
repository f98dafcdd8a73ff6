/**
 * A simulated physical CPU goes off line, or comes back. What ran on it waits with the others and goes on elsewhere;
 * the initial domain hears of either by VIRQ_PCPU_STATE (public/xen.h). Off line means that it takes no vcpu: its
 * present one leaves at the first instruction boundary of its next turn, within a window. CPU 0 always stays.
 */
import { VIRQ_PCPU_STATE } from './abi/constants.ts';
import { EINVAL, EOPNOTSUPP } from './abi/errno.ts';
import { sendGlobalVirq } from './evtchn.ts';
import type { Hypervisor } from './hypervisor.ts';
import { currentOf, type PhysicalCpu } from './physical-cpus.ts';

/** @returns 0, also when it was off line already, or an errno. */
export function takeOffLine(hv: Hypervisor, id: number): number {
  if (id === 0) return EOPNOTSUPP;
  const cpu = hv.pcpus[id];
  if (cpu === undefined) return EINVAL;
  if (!cpu.online) return 0;
  cpu.online = false;
  if (currentOf(hv, cpu) !== null) letGo(hv, cpu);
  tellInitialDomain(hv);
  return 0;
}

/** @returns 0, also when it was on line already, or an errno. */
export function bringOnLine(hv: Hypervisor, id: number): number {
  const cpu = hv.pcpus[id];
  if (cpu === undefined) return EINVAL;
  if (cpu.online) return 0;
  cpu.online = true;
  tellInitialDomain(hv);
  return 0;
}

function letGo(hv: Hypervisor, cpu: PhysicalCpu): void {
  if (cpu.id !== hv.turn) {
    cpu.rescheduleDue = true;
    return;
  }
  hv.rescheduleDue = true;
  if (hv.running) hv.cpu.requestExit();
}

function tellInitialDomain(hv: Hypervisor): void {
  const initial = hv.domains[0];
  if (initial !== undefined && initial.end === null) sendGlobalVirq(hv, initial, VIRQ_PCPU_STATE);
}
