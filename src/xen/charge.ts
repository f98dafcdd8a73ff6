/** Virtual time that the hypervisor's own work takes (costs.ts), wherever it happens. */
import type { Hypervisor } from './hypervisor.ts';

/** charge(hv, hv.costs.bounce) */
export function charge(hv: Hypervisor, cycles: number): void {
  if (hv.running) hv.cpu.charge(cycles);
  else hv.cpu.advanceTo(hv.now() + cycles);
}
