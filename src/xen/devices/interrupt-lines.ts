/**
 * Physical interrupt lines and the event-channel ports that they are bound to (cpu-and-events.md 9.6; hypercalls.md 9).
 * An edge line makes its port pending once for each edge. A level line stays blocked from its delivery until every
 * bound domain has ended service: by PHYSDEVOP_IRQ_UNMASK_NOTIFY (3.0.2; all lines whose port is unmasked) or
 * PHYSDEVOP_eoi (4.17; one line). Still asserted then, it is delivered again.
 */
import { EBUSY, EEXIST, EINVAL } from '../abi/errno.ts';
import type { Domain } from '../domain.ts';
import { setPending } from '../evtchn.ts';
import type { Hypervisor } from '../hypervisor.ts';
import { TRACE_pirq } from '../trace.ts';
import { portMasked } from '../vcpu-info.ts';

const MOST_SHARERS = 7;
/** EVTCHNOP_bind_pirq flag. */
const BIND_PIRQ_will_share = 1;

interface Binding {
  domid: number;
  port: number;
  willShare: boolean;
  inService: boolean;
}

interface Line {
  readonly irq: number;
  /** By a driver of the hypervisor: no domain can have it. */
  readonly taken: boolean;
  level: boolean;
  /** By its IO-APIC entry. */
  masked: boolean;
  asserted: boolean;
  /** Interrupts delivered since the machine started. */
  delivered: number;
  readonly bindings: Binding[];
}

export class InterruptLines {
  readonly table = new Map<number, Line>();

  /** A device has this line. @param taken the hypervisor drives the device itself. */
  add(irq: number, level: boolean, taken = false): Line {
    const line = { irq, taken, level, masked: false, asserted: false, delivered: 0, bindings: [] };
    this.table.set(irq, line);
    return line;
  }

  get(irq: number): Line | undefined {
    return this.table.get(irq);
  }
  all(): IterableIterator<Line> {
    return this.table.values();
  }

  /** Port by which a domain hears a line, 0 none. */
  portOf(domain: Domain, irq: number): number {
    return this.table.get(irq)?.bindings.find((b) => b.domid === domain.id)?.port ?? 0;
  }

  /** Do several domains hear it? */
  shared(irq: number): boolean {
    return (this.table.get(irq)?.bindings.length ?? 0) > 1;
  }

  /** Makes `port` hear the line: evtchn.ts opens it next and then calls enabled(). @returns 0 or a negative errno. */
  bind(domain: Domain, irq: number, port: number, flags: number): number {
    const line = this.table.get(irq);
    if (line === undefined) return EINVAL;
    if (line.taken) return EBUSY;
    const willShare = (flags & BIND_PIRQ_will_share) !== 0;
    if (line.bindings.some((b) => b.domid === domain.id)) return EEXIST;
    if (line.bindings.length > 0 && !(willShare && line.bindings.every((b) => b.willShare))) return EBUSY;
    if (line.bindings.length >= MOST_SHARERS) return EBUSY;
    line.bindings.push({ domid: domain.id, port, willShare, inService: false });
    return 0;
  }

  /** A new port hears the line: a level that is asserted is an interrupt now, a past edge is not. */
  enabled(hv: Hypervisor, irq: number): void {
    const line = this.table.get(irq);
    if (line !== undefined) this.#deliverIfDue(hv, line);
  }

  unbind(hv: Hypervisor, domain: Domain, irq: number): void {
    const line = this.table.get(irq);
    if (line === undefined) return;
    const at = line.bindings.findIndex((b) => b.domid === domain.id);
    if (at < 0) return;
    line.bindings.splice(at, 1);
    this.#deliverIfDue(hv, line);
  }

  /** The device drives its line. */
  assert(hv: Hypervisor, irq: number): void {
    const line = this.table.get(irq)!;
    const edge = !line.asserted;
    line.asserted = true;
    if (line.level) this.#deliverIfDue(hv, line);
    else if (edge && !line.masked) this.#deliver(hv, line);
  }
  deassert(irq: number): void {
    this.table.get(irq)!.asserted = false;
  }
  /** One edge. */
  pulse(hv: Hypervisor, irq: number): void {
    this.assert(hv, irq);
    this.deassert(irq);
  }

  /** The IO-APIC entry changed. */
  setMode(hv: Hypervisor, irq: number, masked: boolean, level: boolean): void {
    const line = this.table.get(irq);
    if (line === undefined) return;
    line.masked = masked;
    line.level = level;
    this.#deliverIfDue(hv, line);
  }

  /** PHYSDEVOP_eoi: the domain has served this line. @returns -EINVAL when it does not hear it. */
  end(hv: Hypervisor, domain: Domain, irq: number): number {
    const line = this.table.get(irq);
    const binding = line?.bindings.find((b) => b.domid === domain.id);
    if (line === undefined || binding === undefined) return EINVAL;
    if (binding.inService) {
      binding.inService = false;
      this.#deliverIfDue(hv, line);
    }
    return 0;
  }

  /** PHYSDEVOP_IRQ_UNMASK_NOTIFY: every line in service whose port the domain has unmasked. */
  endUnmasked(hv: Hypervisor, domain: Domain): void {
    for (const line of this.table.values()) {
      const binding = line.bindings.find((b) => b.domid === domain.id);
      if (binding?.inService && !portMasked(hv, domain, binding.port)) this.end(hv, domain, line.irq);
    }
  }

  #deliverIfDue(hv: Hypervisor, line: Line): void {
    if (!line.level || !line.asserted || line.masked) return;
    if (!line.bindings.some((b) => b.inService)) this.#deliver(hv, line);
  }

  #deliver(hv: Hypervisor, line: Line): void {
    if (line.bindings.length > 0) line.delivered++;
    for (const binding of line.bindings) {
      if (line.level) binding.inService = true;
      const domain = hv.domains[binding.domid];
      if (domain === undefined) continue;
      hv.trace.record(
        hv.now(),
        TRACE_pirq,
        domain.id,
        domain.portVcpu[binding.port]!,
        line.irq,
        binding.port,
        0,
        0,
      );
      setPending(hv, domain, binding.port);
    }
  }
}
