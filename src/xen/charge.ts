/** Virtual time that the hypervisor's own work takes (costs.ts), wherever it happens. */
import type { CostName } from './costs.ts';
import type { Hypervisor } from './hypervisor.ts';

export function charge(hv: Hypervisor, cost: CostName): void {
  chargeCycles(hv, hv.costs[cost]);
}

export function chargeCycles(hv: Hypervisor, cycles: number): void {
  if (hv.running) hv.cpu.charge(cycles);
  else hv.cpu.advanceTo(hv.now() + cycles);
}
