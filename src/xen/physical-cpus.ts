/**
 * Several simulated physical CPUs on one Processor object. Each has its own cycle counter and its own current vcpu.
 * They run in turn, in windows of WINDOW cycles on a fixed grid: every CPU runs to the end of the window, or beyond by
 * what its last instruction was charged, before any begins the next one. So two clocks differ by a window, and by what
 * one long hypercall took, and everything is a function of counts.
 *
 * The CPU whose turn it is (hv.turn) keeps its state in hv and hv.scheduler, where a machine with one CPU has it; the
 * fields of its PhysicalCpu are old meanwhile. park() brings them up to date, nextTurn() passes the turn on.
 *
 * What one CPU sends another has the sender's time: a kick or a preemption takes effect in the receiver's next turn,
 * when its clock has reached that time; a vcpu made runnable at t is taken by a CPU whose clock has reached t.
 * So no vcpu ever sees its clock go back, wherever it goes on. Memory is shared at once.
 */
import type { Hypervisor } from './hypervisor.ts';
import type { Vcpu } from './vcpu.ts';

export const WINDOW = 10_000;
export const MOST_CPUS = 4;
const NEVER = Number.POSITIVE_INFINITY;

/** What a CPU has while it is another's turn; the names are those in Hypervisor and Scheduler. */
export class PhysicalCpu {
  readonly id: number;
  /** Takes vcpus; off line (cpu-hotplug.ts) its clock goes on and nothing else does. CPU 0 always is. */
  online = true;
  /** Virtual cycles since the machine started. */
  clock = 0;
  current: Vcpu | null = null;
  returnPathDue = false;
  rescheduleDue = false;
  sliceEnd = NEVER;
  chargedUpTo = 0;
  yielding = false;
  lastVcpu: Vcpu | null = null;
  lastSwitch = 0;

  // --- sent by other CPUs: valid during its own turn too
  /** When its current vcpu must look at its events. */
  kickAt = NEVER;
  /** When it must choose again, as somebody better waits. */
  rescheduleAt = NEVER;

  constructor(id: number) {
    this.id = id;
  }
}

/** The vcpu that runs on a CPU, whosever turn it is. */
export function currentOf(hv: Hypervisor, cpu: PhysicalCpu): Vcpu | null {
  return cpu.id === hv.turn ? hv.current : cpu.current;
}

/** The CPU that waits for its turn with this vcpu on it. */
export function otherCpuOf(hv: Hypervisor, vcpu: Vcpu): PhysicalCpu | null {
  const { pcpus } = hv;
  if (pcpus.length === 1) return null;
  for (const cpu of pcpus) if (cpu.id !== hv.turn && cpu.current === vcpu) return cpu;
  return null;
}

/** Is the vcpu on a CPU? */
export function isOnCpu(hv: Hypervisor, vcpu: Vcpu): boolean {
  return vcpu === hv.current || otherCpuOf(hv, vcpu) !== null;
}

export function cpusOnline(hv: Hypervisor): number {
  let count = 0;
  for (const cpu of hv.pcpus) if (cpu.online) count++;
  return count;
}

export function everyCpuIdle(hv: Hypervisor): boolean {
  for (const cpu of hv.pcpus) if (currentOf(hv, cpu) !== null) return false;
  return true;
}

const clockOf = (hv: Hypervisor, cpu: PhysicalCpu) => (cpu.id === hv.turn ? hv.now() : cpu.clock);

/** The machine's time: what every CPU has reached. */
export function machineTime(hv: Hypervisor): number {
  if (hv.pcpus.length === 1) return hv.now();
  let least = NEVER;
  for (const cpu of hv.pcpus) least = Math.min(least, clockOf(hv, cpu));
  return least;
}

/** Have the CPUs that wait for their turn reached this time? */
export function othersReached(hv: Hypervisor, time: number): boolean {
  for (const cpu of hv.pcpus) if (cpu.id !== hv.turn && cpu.clock < time) return false;
  return true;
}

const windowAfter = (time: number) => (Math.floor(time / WINDOW) + 1) * WINDOW;

/** Copies the state of the CPU whose turn it is to its PhysicalCpu. */
export function park(hv: Hypervisor): PhysicalCpu {
  const cpu = hv.pcpus[hv.turn]!;
  const { scheduler, current } = hv;
  cpu.clock = hv.now();
  cpu.current = current;
  cpu.returnPathDue = hv.returnPathDue;
  cpu.rescheduleDue = hv.rescheduleDue;
  cpu.sliceEnd = scheduler.sliceEnd;
  cpu.chargedUpTo = scheduler.chargedUpTo;
  cpu.yielding = scheduler.yielding;
  cpu.lastVcpu = scheduler.lastVcpu;
  cpu.lastSwitch = scheduler.lastSwitch;
  return cpu;
}

/** The turn goes to the next CPU that has not reached the end of the window; behind the last one a window begins. */
export function nextTurn(hv: Hypervisor): void {
  const { pcpus, scheduler } = hv;
  park(hv);
  if (hv.current !== null) {
    hv.cpu.saveState(hv.current.saved);
    hv.loaded = hv.current;
  }
  let next = hv.turn;
  do {
    next++;
    if (next === pcpus.length) {
      next = 0;
      let least = NEVER;
      for (const { clock } of pcpus) least = Math.min(least, clock);
      hv.windowEnd = windowAfter(least);
    }
  } while (pcpus[next]!.clock >= hv.windowEnd);

  const cpu = pcpus[next]!;
  hv.turn = next;
  hv.cpu.setClock(cpu.clock);
  // Idle CPUs leave the state of the one before as it is: it need not be loaded again.
  if (cpu.current !== null && cpu.current !== hv.loaded) {
    hv.cpu.loadState(cpu.current.saved);
    hv.loaded = cpu.current;
  }
  hv.current = cpu.current;
  hv.returnPathDue = cpu.returnPathDue;
  hv.rescheduleDue = cpu.rescheduleDue;
  scheduler.sliceEnd = cpu.sliceEnd;
  scheduler.chargedUpTo = cpu.chargedUpTo;
  scheduler.yielding = cpu.yielding;
  scheduler.lastVcpu = cpu.lastVcpu;
  scheduler.lastSwitch = cpu.lastSwitch;
}

/** In its own turn: what others sent and is due by now. */
export function takeWhatWasSent(hv: Hypervisor, now: number): void {
  const cpu = hv.pcpus[hv.turn]!;
  if (cpu.kickAt <= now) {
    cpu.kickAt = NEVER;
    hv.returnPathDue = true;
  }
  if (cpu.rescheduleAt <= now) {
    cpu.rescheduleAt = NEVER;
    hv.rescheduleDue = true;
  }
}

/** Idle time of the whole machine: moves every clock on, and a window begins. Between runs only. */
export function advanceIdle(hv: Hypervisor, cycle: number): void {
  if (hv.pcpus.length === 1) {
    hv.cpu.advanceTo(cycle);
    return;
  }
  const active = park(hv);
  for (const cpu of hv.pcpus) cpu.clock = Math.max(cpu.clock, cycle);
  hv.cpu.setClock(active.clock);
  hv.windowEnd = 0;
}
