/**
 * What the user can press on the machine: the lab button and the NMI button of the initial domain's hardware, and the
 * hypervisor's debug key, which sends VIRQ_DEBUG to every vcpu of a domain.
 */
import { VIRQ_DEBUG } from '../xen/abi/constants.ts';
import { sendVcpuVirq } from '../xen/evtchn.ts';
import type { Hypervisor } from '../xen/hypervisor.ts';
import { pressNmiButton } from '../xen/nmi.ts';

export const PRESSES = ['button', 'nmi', 'debug'] as const;
export type Press = (typeof PRESSES)[number];

/** Between two runs. Pressed where nobody is, nothing happens. @param domid who is meant, for the debug key. */
export function pressOn(hv: Hypervisor, press: Press, domid: number): void {
  const initial = hv.domains[0];
  if (press === 'debug') {
    const domain = hv.domains[domid];
    if (domain === undefined || domain.end !== null) return;
    for (const vcpu of domain.vcpus) sendVcpuVirq(hv, vcpu, VIRQ_DEBUG);
  } else if (initial !== undefined && initial.end === null) {
    if (press === 'button') hv.devices.button.press(hv);
    else pressNmiButton(hv, initial);
  }
}
