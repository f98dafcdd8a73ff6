/** A virtual CPU: what the hypervisor keeps per vcpu (cpu-and-events.md section 1). Plain state; rules live elsewhere. */
import { CPU_STATE_SIZE } from '../cpu/layout.ts';
import type { Domain } from './domain.ts';
import type { Refusal } from './refusal.ts';

export const RUNSTATE_running = 0;
export const RUNSTATE_runnable = 1;
export const RUNSTATE_blocked = 2;
export const RUNSTATE_offline = 3;

/** Scheduler priorities, best first: just woken, within its share, beyond it. */
export const PRIORITY_boost = 0;
export const PRIORITY_under = 1;
export const PRIORITY_over = 2;

export const RELOAD_none = 0;
/** CS and SS, as the hypervisor's IRET does. */
export const RELOAD_code = 1;
/** DS, ES, FS and GS too: 3.0.2 on every return, 4.17 at a context switch. */
export const RELOAD_all = 2;

/** The last runstate changes of a vcpu: a ring of (from, state, ring it ended in). runstate.ts is the only writer. */
export class RunstateHistory {
  static readonly CAPACITY = 512;
  readonly from = new Float64Array(RunstateHistory.CAPACITY);
  readonly state = new Uint8Array(RunstateHistory.CAPACITY);
  /** CPL at the end of a running interval. */
  readonly ring = new Uint8Array(RunstateHistory.CAPACITY);
  /** Intervals begun since creation; interval n is in slot n mod CAPACITY, the last one is still open. */
  total = 0;
}

export class Vcpu {
  readonly domain: Domain;
  readonly id: number;

  /** Saved architectural state while not on a processor (Processor.saveState). */
  readonly saved = new Uint8Array(CPU_STATE_SIZE);

  // --- run state
  initialised = false;
  /** VCPUOP_down, or never brought up. */
  down = true;
  blocked = false;
  /** Blocked in SCHEDOP_poll on pollPorts (null: not polling). */
  pollPorts: number[] | null = null;
  runstate = RUNSTATE_offline;
  runstateEntryTime = 0;
  /** Nanoseconds spent in each runstate, the current one up to runstateEntryTime. */
  readonly runstateTime = new Float64Array(4);
  readonly history = new RunstateHistory();
  /** Linear address of the registered runstate area, 0 none. */
  runstateArea = 0;
  /** Linear address of the registered time area, 0 none. */
  timeArea = 0;

  // --- scheduler.ts is the only writer
  /** ns of processor time it may still use before it counts as over its share; one accounting period to begin with. */
  credit = 30_000_000;
  priority = PRIORITY_under;
  /** In the run queue. */
  queued = false;
  /** Ran, or wanted to, since the last accounting. */
  active = false;

  /** RELOAD_*: which selectors must be loaded again before it goes on, as descriptors may have changed under them. */
  reloadSegments = RELOAD_none;

  // --- where its vcpu_info lives: machine address (in shared_info, or where register_vcpu_info put it)
  vcpuInfo = 0;
  vcpuInfoRegistered = false;

  // --- traps: virtual IDT, 256 entries
  readonly trapFlags = new Uint8Array(256);
  readonly trapCs = new Uint16Array(256);
  readonly trapAddress = new Uint32Array(256);
  eventCallbackCs = 0;
  eventCallbackEip = 0;
  failsafeCallbackCs = 0;
  failsafeCallbackEip = 0;
  /** callback_op's CALLBACKF_mask_events of the failsafe callback. */
  failsafeMasksEvents = false;
  nmiHandler = 0;
  nmiPending = false;
  nmiMasked = false;

  // --- stack for entries from ring 2 and 3
  kernelSs = 0xe021;
  kernelEsp = 0;

  // --- page tables and descriptors
  /** Frame of the root table (L2 or PAE L3); 0 none. Holds one reference and one type reference. */
  rootMfn = 0;
  readonly gdtFrames = new Int32Array(14).fill(-1);
  gdtEntries = 0;
  ldtBase = 0;
  ldtEntries = 0;
  /** Frames of LDT pages already checked and typed, -1 not yet (16 pages at most). */
  readonly ldtFrames = new Int32Array(16).fill(-1);

  // --- virtual control state
  virtualTs = false;
  virtualCr2 = 0;
  iopl = 0;
  ioBitmap = 0;
  ioBitmapPorts = 0;
  /** DR0-DR7 as the guest set them. */
  readonly debugRegisters = new Uint32Array(8);

  // --- timers: absolute virtual ns, Infinity when not armed
  singleShotDeadline = Number.POSITIVE_INFINITY;
  periodicPeriod = 10_000_000;
  periodicDeadline = Number.POSITIVE_INFINITY;
  pollDeadline = Number.POSITIVE_INFINITY;
  /** No periodic VIRQ_TIMER before this time: a guest needs a moment between binding and its handler. */
  periodicFrom = 0;

  /** VIRQ number -> port, 0 not bound. */
  readonly virqPort = new Uint16Array(24);

  /** The last things that were refused to this vcpu, newest last; explained when the domain ends badly. */
  readonly refusals: Refusal[] = [];

  constructor(domain: Domain, id: number) {
    this.domain = domain;
    this.id = id;
  }
}
