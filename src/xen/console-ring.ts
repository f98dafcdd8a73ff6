/**
 * The hypervisor's console ring and who hears of it: bytes that enter it raise VIRQ_CON_RING in the initial domain.
 * They come from other domains' console_io and from the hypervisor's own report of a crash. What the initial domain
 * prints itself stays out of the ring, or its own handler's messages would call it again for ever.
 */
import { VIRQ_CON_RING } from './abi/constants.ts';
import type { Domain } from './domain.ts';
import { sendGlobalVirq } from './evtchn.ts';
import type { Hypervisor } from './hypervisor.ts';

/** @param about the domain that printed, or that the hypervisor reports on. */
export function enteredConsoleRing(hv: Hypervisor, about: Domain): void {
  const initial = hv.domains[0];
  if (initial !== undefined && initial !== about && initial.end === null) {
    sendGlobalVirq(hv, initial, VIRQ_CON_RING);
  }
}
