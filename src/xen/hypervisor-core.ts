/**
 * Makes a hypervisor. What the toolstack (domain builder, daemons, machine) uses of src/xen:
 *
 *   createHypervisor(memory, config, hooks, createProcessor)      this file
 *   runSlice(hv, untilCycle), requestStop(hv)                     run.ts
 *   createDomain, pauseDomain, unpauseDomain, shutdownDomain,
 *     crashDomain, destroyDomain                                  domain-lifecycle.ts
 *   setRoot(hv, vcpu, mfn) then setBootState(hv, vcpu, entry, esp, startInfo), applyContext
 *                                                                 roots.ts, vcpu-context.ts
 *   toolstackAllocUnbound(hv, domain) -> port, toolstackBind(hv, domain, port),
 *     notifyGuest(hv, domain, port)                               evtchn.ts
 *   writeHypercallPage(memory, mfn)                               hypercalls/hypercall-page.ts
 *   traceText(trace, slot), traceResult(trace, slot)              trace-text.ts
 *
 * A new domain: createDomain() (paused, vcpus down), fill frames and tables, setRoot, setBootState, unpauseDomain.
 */
import { invariant } from '../base/assert.ts';
import type { Processor } from '../cpu/cpu.ts';
import { CPU_STATE_SIZE } from '../cpu/layout.ts';
import type { PhysicalMemory } from '../cpu/physical-memory.ts';
import type { TrapSink } from '../cpu/trap-sink.ts';
import { Continuation } from './continuation.ts';
import { type Costs, DEFAULT_COSTS } from './costs.ts';
import { Devices } from './devices/devices.ts';
import { FrameTable } from './frames.ts';
import { GuestAccess } from './guest-access.ts';
import { executeHypercall } from './hypercalls/dispatch.ts';
import type { Caller } from './hypercalls/row.ts';
import type { Hypervisor, HypervisorHooks } from './hypervisor.ts';
import { M2p } from './m2p.ts';
import { MOST_CPUS, PhysicalCpu } from './physical-cpus.ts';
import { onSwitchIn } from './run.ts';
import { Scheduler } from './scheduler.ts';
import { Trace } from './trace.ts';
import { XenSink } from './xen-sink.ts';

export interface HypervisorConfig {
  /** Of the generator that shuffles frames and makes handles. */
  seed: number;
  /** UTC seconds at system time 0. */
  wallClockSeconds: number;
  costs?: Costs;
  /** Events that the trace keeps; a power of two. */
  traceCapacity?: number;
  /** Simulated physical CPUs, 1 to 4; 1 by default. */
  cpus?: number;
  /** Order in which frames are handed out (FrameTableOptions). */
  frameOrder?: 'shuffled' | 'ascending';
}

export type ProcessorMaker = (memory: PhysicalMemory, sink: TrapSink) => Processor;

/** PG WP NE ET MP PE: paging on, as a guest's kernel finds the machine. */
const CR0 = 0x8001_0033;
/** OSFXSR, OSXMMEXCPT. PAE is set per vcpu. */
const CR4 = 0x600;

export function createHypervisor(
  memory: PhysicalMemory,
  config: HypervisorConfig,
  hooks: HypervisorHooks,
  createProcessor: ProcessorMaker,
): Hypervisor {
  const cpus = config.cpus ?? 1;
  invariant(Number.isInteger(cpus) && cpus >= 1 && cpus <= MOST_CPUS, 'a machine has 1 to 4 CPUs');
  const sink = new XenSink();
  const cpu = createProcessor(memory, sink);
  cpu.cr0 = CR0;
  cpu.cr4 = CR4;
  cpu.eflags = 0x202;
  const resetState = new Uint8Array(CPU_STATE_SIZE);
  cpu.saveState(resetState);

  // xorshift32; 0 would stay 0.
  const generator = { state: (config.seed >>> 0) ^ 0x9e37_79b9 || 1 };
  const random = (): number => {
    let x = generator.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    generator.state = x >>> 0;
    return generator.state;
  };
  const frames = new FrameTable(memory, {
    random,
    ...(config.frameOrder ? { order: config.frameOrder } : {}),
  });
  const hv: Hypervisor = {
    memory,
    cpu,
    frames,
    m2p: new M2p(memory, frames),
    trace: new Trace(config.traceCapacity),
    costs: config.costs ?? DEFAULT_COSTS,
    hooks,
    guest: new GuestAccess(memory, cpu),
    scheduler: new Scheduler(),
    onSwitchIn,
    continuation: new Continuation(),
    caller: {} as Caller,
    domains: [],
    current: null,
    pcpus: Array.from({ length: cpus }, (_, id) => new PhysicalCpu(id)),
    turn: 0,
    windowEnd: 0,
    loaded: null,
    instructionLimit: Number.POSITIVE_INFINITY,
    wallClockSeconds: config.wallClockSeconds,
    devices: new Devices(),
    toolstackDomid: 0,
    running: false,
    resetState,
    returnPathDue: false,
    rescheduleDue: false,
    stopRequested: false,
    breakOn: 0,
    lastRefusal: null,
    get randomState() {
      return generator.state;
    },
    set randomState(state: number) {
      generator.state = state;
    },
    random,
    now: () => cpu.now(),
    callHypercall: (vcpu, number, args) => executeHypercall(hv, vcpu, number, args),
    dropRunning(domain) {
      if (hv.current?.domain === domain) {
        hv.current = null;
        hv.scheduler.lastVcpu = null;
        hv.scheduler.lastSwitch = hv.now();
      }
      for (const pcpu of hv.pcpus) {
        if (pcpu.current?.domain === domain) {
          pcpu.current = null;
          pcpu.lastSwitch = pcpu.clock;
        }
        if (pcpu.lastVcpu?.domain === domain) pcpu.lastVcpu = null;
      }
      if (hv.loaded?.domain === domain) hv.loaded = null;
    },
  };
  hv.caller.hv = hv;
  sink.attach(hv);
  return hv;
}
