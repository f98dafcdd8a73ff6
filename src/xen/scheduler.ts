/**
 * Who runs: a credit scheduler with one queue for all simulated CPUs. Every accounting period the runnable vcpus share its
 * time; running costs credit; who has credit goes before who has none, and who just woke up goes first, so that
 * events are answered fast. All of it follows counts, nothing else. cpu-and-events.md section 10.
 */

import { charge } from './charge.ts';
import type { Hypervisor } from './hypervisor.ts';
import { cpusOnline, currentOf, isOnCpu, otherCpuOf, type PhysicalCpu } from './physical-cpus.ts';
import { isRunnable, setRunstate, updateRunstateArea, waitingState } from './runstate.ts';
import { updateTimeArea, updateTimeInfo } from './time-info.ts';
import {
  PRIORITY_boost,
  PRIORITY_over,
  PRIORITY_under,
  RELOAD_all,
  RUNSTATE_running,
  type Vcpu,
} from './vcpu.ts';
import { setUpcallMask, upcallPending } from './vcpu-info.ts';

/** How long one vcpu runs while others wait. */
export const SLICE_NS = 10_000_000;
const ACCOUNTING_NS = 30_000_000;

export class Scheduler {
  /** Waiting vcpus, best priority first, first come first served among equals. */
  readonly queue: Vcpu[] = [];
  /** When the current vcpu gives way if others wait. */
  sliceEnd = Number.POSITIVE_INFINITY;
  /** The current vcpu's credit is charged up to here. */
  chargedUpTo = 0;
  nextAccounting = ACCOUNTING_NS;
  /** The current vcpu gave way of its own will. */
  yielding = false;
  /** Whose state was on the processor last: going idle and back reloads nothing. */
  lastVcpu: Vcpu | null = null;
  /** When the processor last changed vcpus (3.0.2's tick rule). */
  lastSwitch = 0;
}

function enqueue(scheduler: Scheduler, vcpu: Vcpu): void {
  const queue = scheduler.queue;
  let at = queue.length;
  while (at > 0 && queue[at - 1]!.priority > vcpu.priority) at--;
  queue.splice(at, 0, vcpu);
  vcpu.queued = true;
}

function dequeue(scheduler: Scheduler, vcpu: Vcpu): void {
  const at = scheduler.queue.indexOf(vcpu);
  if (at >= 0) scheduler.queue.splice(at, 1);
  vcpu.queued = false;
}

function reschedule(hv: Hypervisor): void {
  hv.rescheduleDue = true;
  if (hv.running) hv.cpu.requestExit();
}

/** Something may have made this vcpu runnable: lets it compete. */
export function wake(hv: Hypervisor, vcpu: Vcpu): void {
  if (vcpu.queued || isOnCpu(hv, vcpu)) return;
  if (!isRunnable(vcpu)) {
    setRunstate(hv, vcpu, waitingState(vcpu));
    return;
  }
  vcpu.active = true;
  if (vcpu.priority === PRIORITY_under) vcpu.priority = PRIORITY_boost;
  setRunstate(hv, vcpu, waitingState(vcpu));
  enqueue(hv.scheduler, vcpu);
  if (hv.pcpus.length > 1) {
    placeAmongSeveral(hv, vcpu);
    return;
  }
  const current = hv.current;
  if (current === null || vcpu.priority < current.priority || hv.now() >= hv.scheduler.sliceEnd)
    reschedule(hv);
  else if (hv.running) hv.cpu.requestExit(); // the run must now end with the slice
}

/**
 * Idle CPUs take what waits by themselves. Is there none for it, it displaces the vcpu of the worst priority, if its
 * own is better: the CPU whose turn it is before others, then the first.
 */
function placeAmongSeveral(hv: Hypervisor, vcpu: Vcpu): void {
  if (hv.running) hv.cpu.requestExit(); // the run must now end with the slice
  let idle = 0;
  let place: PhysicalCpu | null = null;
  let worst = vcpu.priority;
  for (const cpu of hv.pcpus) {
    const current = currentOf(hv, cpu);
    if (!cpu.online) continue;
    if (current === null) idle++;
    else if (current.priority > worst || (current.priority === worst && place && cpu.id === hv.turn)) {
      worst = current.priority;
      place = cpu;
    }
  }
  if (idle >= hv.scheduler.queue.length || place === null) return;
  if (place.id === hv.turn) reschedule(hv);
  else place.rescheduleAt = Math.min(place.rescheduleAt, hv.now());
}

/** Something made this vcpu unable to run (down, paused, ended, blocked): takes it off the queue or the processor. */
export function sleep(hv: Hypervisor, vcpu: Vcpu): void {
  if (vcpu === hv.current) {
    reschedule(hv);
    return;
  }
  const other = otherCpuOf(hv, vcpu);
  if (other !== null) {
    other.rescheduleDue = true; // the first thing in its next turn
    return;
  }
  if (vcpu.queued) dequeue(hv.scheduler, vcpu);
  setRunstate(hv, vcpu, waitingState(vcpu));
}

/** Ends block or poll. */
export function unblock(hv: Hypervisor, vcpu: Vcpu): void {
  if (!vcpu.blocked) return;
  vcpu.blocked = false;
  vcpu.pollPorts = null;
  vcpu.pollDeadline = Number.POSITIVE_INFINITY;
  wake(hv, vcpu);
}

/** Makes a vcpu look at its events: wakes it if blocked, or has it checked before it goes on. */
export function kick(hv: Hypervisor, vcpu: Vcpu): void {
  if (vcpu.blocked) unblock(hv, vcpu);
  if (vcpu === hv.current) {
    hv.returnPathDue = true;
    if (hv.running) hv.cpu.requestExit();
    return;
  }
  const other = otherCpuOf(hv, vcpu);
  if (other !== null) other.kickAt = Math.min(other.kickAt, hv.now());
}

/** SCHEDOP_block: enable events, and sleep unless one is already pending. */
export function block(hv: Hypervisor, vcpu: Vcpu): void {
  setUpcallMask(hv, vcpu, 0);
  vcpu.blocked = true;
  if (upcallPending(hv, vcpu) !== 0) vcpu.blocked = false;
  else sleep(hv, vcpu);
}

/** SCHEDOP_poll's sleep: until an event for this vcpu, or the deadline (0: none). */
export function blockForPoll(hv: Hypervisor, vcpu: Vcpu, ports: number[], deadline: number): void {
  vcpu.pollPorts = ports;
  vcpu.pollDeadline = deadline === 0 ? Number.POSITIVE_INFINITY : deadline;
  vcpu.blocked = true;
  sleep(hv, vcpu);
}

/** SCHEDOP_yield: whoever waits goes first, whatever its priority. */
export function yieldVcpu(hv: Hypervisor, vcpu: Vcpu): void {
  if (vcpu === hv.current && hv.scheduler.queue.length > 0) {
    hv.scheduler.yielding = true;
    reschedule(hv);
  }
}

function chargeCredit(hv: Hypervisor, now: number): void {
  const scheduler = hv.scheduler;
  const current = hv.current;
  if (current !== null) {
    current.credit -= now - scheduler.chargedUpTo;
    current.active = true;
    // The boost of a wake-up lasts until the vcpu has run.
    current.priority = current.credit > 0 ? PRIORITY_under : PRIORITY_over;
  }
  scheduler.chargedUpTo = now;
}

/** Shares the past period's processor time among those that wanted it. */
function account(hv: Hypervisor, now: number): void {
  const scheduler = hv.scheduler;
  if (now < scheduler.nextAccounting) return;
  const periods = Math.floor((now - scheduler.nextAccounting) / ACCOUNTING_NS) + 1;
  scheduler.nextAccounting += periods * ACCOUNTING_NS;
  const cpus = cpusOnline(hv);
  let active = 0;
  for (const domain of hv.domains) for (const vcpu of domain?.vcpus ?? []) if (vcpu.active) active++;
  for (const domain of hv.domains) {
    for (const vcpu of domain?.vcpus ?? []) {
      if (!vcpu.active) continue;
      vcpu.credit = Math.max(
        -ACCOUNTING_NS,
        Math.min(ACCOUNTING_NS, vcpu.credit + (periods * ACCOUNTING_NS * cpus) / active),
      );
      // Who just woke up and has not run yet keeps its boost.
      if (vcpu.priority !== PRIORITY_boost) vcpu.priority = vcpu.credit > 0 ? PRIORITY_under : PRIORITY_over;
      vcpu.active = vcpu.queued || isOnCpu(hv, vcpu);
    }
  }
  scheduler.queue.sort((a, b) => a.priority - b.priority); // stable
}

/**
 * The best vcpu that waits. Not before it became runnable: another CPU's clock may be ahead, and a vcpu's own time
 * never goes back.
 */
function firstReady(scheduler: Scheduler, now: number): Vcpu | null {
  for (const vcpu of scheduler.queue) if (vcpu.runstateEntryTime <= now) return vcpu;
  return null;
}

/** When somebody in the queue can be taken; Infinity when it is empty. */
export function readyAt(scheduler: Scheduler): number {
  let earliest = Number.POSITIVE_INFINITY;
  for (const vcpu of scheduler.queue) earliest = Math.min(earliest, vcpu.runstateEntryTime);
  return earliest;
}

/** Is it time for another vcpu? Only true at moments that do not depend on how the host cuts the run. */
export function scheduleNeeded(hv: Hypervisor): boolean {
  if (hv.rescheduleDue) return true;
  const scheduler = hv.scheduler;
  if (scheduler.queue.length === 0 || !hv.pcpus[hv.turn]!.online) return false;
  const now = hv.now();
  return (hv.current === null || now >= scheduler.sliceEnd) && firstReady(scheduler, now) !== null;
}

/** Chooses who runs next and switches to it. Between cpu.run() calls only. */
export function schedule(hv: Hypervisor): void {
  const scheduler = hv.scheduler;
  const now = hv.now();
  hv.rescheduleDue = false;
  chargeCredit(hv, now);
  account(hv, now);
  const current = hv.current;
  const yielding = scheduler.yielding;
  scheduler.yielding = false;
  const { online } = hv.pcpus[hv.turn]!;
  const rival = online ? firstReady(scheduler, now) : null;
  if (current !== null && online && (!yielding || rival === null) && isRunnable(current)) {
    const expired = now >= scheduler.sliceEnd;
    if (
      rival === null ||
      rival.priority > current.priority ||
      (rival.priority === current.priority && !expired)
    ) {
      if (expired) scheduler.sliceEnd = now + SLICE_NS;
      return;
    }
  }
  if (rival !== null) dequeue(scheduler, rival);
  switchOut(hv);
  if (current !== null && isRunnable(current)) enqueue(scheduler, current);
  if (rival !== null) switchIn(hv, rival);
}

/** Takes the current vcpu off the processor; its state is then in vcpu.saved. */
export function switchOut(hv: Hypervisor): void {
  const vcpu = hv.current;
  if (vcpu === null) return;
  setRunstate(hv, vcpu, waitingState(vcpu));
  if (vcpu.domain.personality === '4.17' && !vcpu.domain.dying) updateRunstateArea(hv, vcpu);
  hv.cpu.saveState(vcpu.saved);
  hv.current = null;
  hv.scheduler.lastSwitch = hv.now();
}

/** Called at schedule-in, after the state is loaded: timers.ts hooks the periodic tick in here. */
export type SwitchInHook = (hv: Hypervisor, vcpu: Vcpu, previousSwitch: number) => void;

function switchIn(hv: Hypervisor, vcpu: Vcpu): void {
  const scheduler = hv.scheduler;
  charge(hv, hv.costs.vcpuSwitch);
  hv.cpu.loadState(vcpu.saved);
  hv.current = vcpu;
  if (scheduler.lastVcpu !== vcpu) vcpu.reloadSegments = RELOAD_all;
  scheduler.lastVcpu = vcpu;
  hv.loaded = null;
  for (const cpu of hv.pcpus) if (cpu.id !== hv.turn && cpu.lastVcpu === vcpu) cpu.lastVcpu = null;
  const previousSwitch = scheduler.lastSwitch;
  const now = hv.now();
  scheduler.lastSwitch = now;
  scheduler.chargedUpTo = now;
  scheduler.sliceEnd = now + SLICE_NS;
  setRunstate(hv, vcpu, RUNSTATE_running);
  updateTimeInfo(hv, vcpu);
  hv.onSwitchIn(hv, vcpu, previousSwitch);
  // The areas are written through its own tables, which are loaded now: a vcpu that starts has not saved them itself.
  updateTimeArea(hv, vcpu);
  updateRunstateArea(hv, vcpu);
  hv.returnPathDue = true;
}
