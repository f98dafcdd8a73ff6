/**
 * What the user can press on the machine: the lab button and the NMI button of the initial domain's hardware, and the
 * hypervisor's debug key, which sends VIRQ_DEBUG to every vcpu of a domain; and what an administrator can do to the
 * machine, which is to take a physical CPU off line and to bring it back.
 */
import { VIRQ_DEBUG } from '../xen/abi/constants.ts';
import { bringOnLine, takeOffLine } from '../xen/cpu-hotplug.ts';
import { sendVcpuVirq } from '../xen/evtchn.ts';
import type { Hypervisor } from '../xen/hypervisor.ts';
import { pressNmiButton } from '../xen/nmi.ts';

/** CPU 0 cannot go. */
const CPU_PRESSES = ['cpu1-off', 'cpu1-on', 'cpu2-off', 'cpu2-on', 'cpu3-off', 'cpu3-on'] as const;
export const PRESSES = ['button', 'nmi', 'debug', ...CPU_PRESSES] as const;
export type Press = (typeof PRESSES)[number];

/** Between two runs. Pressed where nobody is, nothing happens. @param domid who is meant, for the debug key. */
export function pressOn(hv: Hypervisor, press: Press, domid: number): void {
  const initial = hv.domains[0];
  const cpu = /^cpu(\d)-(off|on)$/.exec(press);
  if (cpu !== null) {
    // A machine may have fewer: then nothing happens.
    if (cpu[2] === 'off') takeOffLine(hv, Number(cpu[1]));
    else bringOnLine(hv, Number(cpu[1]));
  } else if (press === 'debug') {
    const domain = hv.domains[domid];
    if (domain === undefined || domain.end !== null) return;
    for (const vcpu of domain.vcpus) sendVcpuVirq(hv, vcpu, VIRQ_DEBUG);
  } else if (initial !== undefined && initial.end === null) {
    if (press === 'button') hv.devices.button.press(hv);
    else pressNmiButton(hv, initial);
  }
}
