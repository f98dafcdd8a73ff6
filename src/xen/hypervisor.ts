/**
 * The hypervisor: the one object that holds its state together. Rules are functions over it, in files named after
 * their subject; this file only says what there is.
 */
import type { Processor } from '../cpu/cpu.ts';
import type { PhysicalMemory } from '../cpu/physical-memory.ts';
import type { Costs } from './costs.ts';
import type { Domain } from './domain.ts';
import type { FrameTable } from './frames.ts';
import type { M2p } from './m2p.ts';
import type { Trace } from './trace.ts';
import type { Vcpu } from './vcpu.ts';

export interface HypervisorHooks {
  /** A domain wrote to the emergency console (console_io). */
  consoleIo(domain: Domain, bytes: Uint8Array): void;
  /** console_io read: bytes typed to the emergency console; at most `max`. */
  consoleRead(domain: Domain, max: number): Uint8Array;
  /** An event was sent to a port of the toolstack's pseudo-domain side (console or xenstore ring of `domain`). */
  toolstackEvent(domain: Domain, port: number): void;
  /** A domain shut down or died. The toolstack decides what follows (destroy, keep). */
  domainEnded(domain: Domain): void;
}

export interface Hypervisor {
  readonly memory: PhysicalMemory;
  readonly cpu: Processor;
  readonly frames: FrameTable;
  readonly m2p: M2p;
  readonly trace: Trace;
  readonly costs: Costs;
  readonly hooks: HypervisorHooks;
  /** Indexed by domid; holes are undefined. */
  readonly domains: (Domain | undefined)[];
  /** The vcpu whose state is on the processor, null when idle. */
  current: Vcpu | null;
  /** UTC seconds at system time 0 (configuration). */
  wallClockSeconds: number;
  /** Seeded generator: unsigned 32-bit. The only source of randomness. */
  random(): number;
  now(): number;
}
