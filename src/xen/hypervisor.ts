/**
 * The hypervisor: the one object that holds its state together. Rules are functions over it, in files named after
 * their subject; this file only says what there is. createHypervisor() in hypervisor-core.ts makes one.
 */
import type { Processor } from '../cpu/cpu.ts';
import type { PhysicalMemory } from '../cpu/physical-memory.ts';
import type { Continuation } from './continuation.ts';
import type { Costs } from './costs.ts';
import type { Devices } from './devices/devices.ts';
import type { Domain } from './domain.ts';
import type { FrameTable } from './frames.ts';
import type { GuestAccess } from './guest-access.ts';
import type { Caller } from './hypercalls/row.ts';
import type { M2p } from './m2p.ts';
import type { PhysicalCpu } from './physical-cpus.ts';
import type { Refusal } from './refusal.ts';
import type { Scheduler, SwitchInHook } from './scheduler.ts';
import type { Trace } from './trace.ts';
import type { Vcpu } from './vcpu.ts';

export interface HypervisorHooks {
  /** A domain wrote to the emergency console (console_io). */
  consoleIo(domain: Domain, bytes: Uint8Array): void;
  /** console_io read: bytes typed to the emergency console; at most `max`. */
  consoleRead(domain: Domain, max: number): Uint8Array;
  /** The initial domain sent a byte through the simulated UART. */
  serialOut(byte: number): void;
  /** An event was sent to a port of the toolstack's pseudo-domain side (console or xenstore ring of `domain`). */
  toolstackEvent(domain: Domain, port: number): void;
  /** A domain shut down or died. The toolstack decides what follows (destroy, keep). */
  domainEnded(domain: Domain): void;
}

/** Bits of Hypervisor.breakOn. */
export const BREAK_ON_HYPERCALL = 1;
/** An upcall or exception was delivered to a guest. */
export const BREAK_ON_DELIVERY = 2;

export interface Hypervisor {
  readonly memory: PhysicalMemory;
  readonly cpu: Processor;
  readonly frames: FrameTable;
  readonly m2p: M2p;
  readonly trace: Trace;
  readonly costs: Costs;
  readonly hooks: HypervisorHooks;
  readonly guest: GuestAccess;
  readonly scheduler: Scheduler;
  /** Told at each schedule-in, state loaded: the periodic timer's rule (timers.ts). */
  readonly onSwitchIn: SwitchInHook;
  /** How long hypercalls are cut into parts. */
  readonly continuation: Continuation;
  /** The one Caller object that hypercall handlers are given; valid during a hypercall. */
  readonly caller: Caller;
  /** Indexed by domid; holes are undefined. */
  readonly domains: (Domain | undefined)[];
  /** The vcpu whose state is on the processor, null when idle. With several CPUs: of the one whose turn it is. */
  current: Vcpu | null;
  /** Simulated physical CPUs (physical-cpus.ts), 1 to 4. */
  readonly pcpus: readonly PhysicalCpu[];
  /** Index of the CPU whose turn it is: its state is in this object and in the scheduler. */
  turn: number;
  /** With several CPUs: each runs up to here before the next window begins; 0: a window is to begin. */
  windowEnd: number;
  /** Derived: the vcpu whose state the processor still holds, while an idle CPU has its turn. */
  loaded: Vcpu | null;
  /** With several CPUs: runSlice comes back when so many instructions were retired. */
  instructionLimit: number;
  /** UTC seconds at system time 0 (configuration). */
  wallClockSeconds: number;
  /** Simulated devices, fresh for each initial domain: only it has rights to them. */
  devices: Devices;

  /** Domain id under which the toolstack's back ends act: 0, or DOMID_TOOLSTACK when domain 0 is a guest. */
  toolstackDomid: number;
  /** The processor is inside run(): charges go to its countdown. */
  running: boolean;
  /** A processor state without history (FPU initialised, registers 0): what a new vcpu starts from. */
  readonly resetState: Uint8Array;

  /** The current vcpu's events must be looked at before it goes on (it was kicked, or a timer fired). */
  returnPathDue: boolean;
  /** The scheduler must choose again before the current vcpu goes on. */
  rescheduleDue: boolean;
  /** runSlice comes back at the next instruction boundary. */
  stopRequested: boolean;
  /** BREAK_ON_* bits: set stopRequested when such a thing happens. */
  breakOn: number;
  /** The last refusal recorded during the current hypercall or fault, for the trace. */
  lastRefusal: Refusal | null;
  /** State of the seeded generator. */
  randomState: number;

  /** One hypercall as if made by itself: the entries of a multicall. @returns EAX, signed. */
  callHypercall(vcpu: Vcpu, number: number, args: Uint32Array): number;
  /** Takes the vcpus of a domain off the CPUs without saving them (it is destroyed). */
  dropRunning(domain: Domain): void;
  /** Seeded generator: unsigned 32-bit. The only source of randomness. */
  random(): number;
  /** Virtual cycles (= ns) of the CPU whose turn it is. */
  now(): number;
}
