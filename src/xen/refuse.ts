/** Remembering what was refused to a vcpu, so that a domain's end can be explained (explain.ts). */
import type { Hypervisor } from './hypervisor.ts';
import { REFUSALS_KEPT, type Refusal } from './refusal.ts';
import type { Vcpu } from './vcpu.ts';

/** What the place that refuses knows; when and where is added here. */
export type RefusalFacts = Omit<Refusal, 'at' | 'eip' | 'cpl'> & { eip?: number };

/** Records a refusal to `vcpu`, which is on the processor. */
export function refuse(hv: Hypervisor, vcpu: Vcpu, facts: RefusalFacts): Refusal {
  const refusal: Refusal = { at: hv.now(), eip: hv.cpu.eip, cpl: hv.cpu.cpl, ...facts };
  vcpu.refusals.push(refusal);
  if (vcpu.refusals.length > REFUSALS_KEPT) vcpu.refusals.shift();
  hv.lastRefusal = refusal;
  return refusal;
}

/** Refuses a hypercall: records and hands back the (negative) errno. */
export function refuseWith(
  hv: Hypervisor,
  vcpu: Vcpu,
  errno: number,
  facts: Omit<RefusalFacts, 'outcome'>,
): number {
  refuse(hv, vcpu, { ...facts, outcome: { errno } });
  return errno;
}
