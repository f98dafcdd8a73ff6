/**
 * The hypervisor's side of the run loop. The machine calls runSlice() again and again with the virtual cycle up to
 * which the host has time; everything that happens in between is a function of counts alone, so the run is the same
 * however it is cut into slices: a cut that the host makes changes nothing, not even when events are looked at.
 *
 *   runSlice(hv, untilCycle): SliceResult
 *     kind 'ran'     untilCycle was reached, or hv.stopRequested was set (requestStop, breakOn): call again
 *     kind 'idle'    nobody is runnable; nothing will happen before nextDeadline (Infinity: before outside input).
 *                    The machine moves the clock (hv.cpu.advanceTo(min(nextDeadline, time of its next input))) and
 *                    calls again.
 *     kind 'halted'  no domain is left that could ever run
 *
 * With several simulated CPUs (physical-cpus.ts) untilCycle and the machine's time are what all of them have reached:
 * machineTime(hv), and idle time passes with advanceIdle(hv, cycle).
 *
 * Outside input (typing, toolstack work) is given between calls, at a logged cycle.
 */
import { SHUTDOWN_watchdog } from './abi/constants.ts';
import { loadDebugRegisters } from './debug-registers.ts';
import type { Domain } from './domain.ts';
import { shutdownDomain } from './domain-lifecycle.ts';
import type { Hypervisor } from './hypervisor.ts';
import { everyCpuIdle, machineTime, nextTurn, othersReached, takeWhatWasSent } from './physical-cpus.ts';
import { readyAt, schedule, scheduleNeeded } from './scheduler.ts';
import { earliestDeadline, fireTimers, periodicAtSwitchIn } from './timers.ts';
import { returnToGuest } from './traps.ts';
import { undoSome } from './validate.ts';
import type { Vcpu } from './vcpu.ts';
import { setVirtualTs } from './virtual-ts.ts';

export interface SliceResult {
  kind: 'ran' | 'idle' | 'halted';
  /** Absolute virtual cycle (= ns) of the next timer; Infinity when none is armed. */
  nextDeadline: number;
}

/** Has runSlice come back at the next instruction boundary. */
export function requestStop(hv: Hypervisor): void {
  hv.stopRequested = true;
  if (hv.running) hv.cpu.requestExit();
}

/** What belongs to a vcpu but not to the saved processor state (Hypervisor.onSwitchIn). */
export function onSwitchIn(hv: Hypervisor, vcpu: Vcpu, previousSwitch: number): void {
  hv.cpu.cr3 = vcpu.rootMfn * 4096;
  setVirtualTs(hv, vcpu, vcpu.virtualTs);
  loadDebugRegisters(hv, vcpu);
  periodicAtSwitchIn(hv, vcpu, previousSwitch);
}

const watchdogExpired = (hv: Hypervisor) => (domain: Domain) =>
  shutdownDomain(hv, domain, null, SHUTDOWN_watchdog);

/** Could any domain ever run again by itself or by input? */
function anybodyLives(hv: Hypervisor): boolean {
  return hv.domains.some((domain) => domain !== undefined && domain.end === null);
}

export function runSlice(hv: Hypervisor, untilCycle: number): SliceResult {
  if (hv.pcpus.length > 1) return runWindows(hv, untilCycle);
  const { cpu, scheduler } = hv;
  const expired = watchdogExpired(hv);
  for (;;) {
    fireTimers(hv, expired);
    if (scheduleNeeded(hv)) {
      schedule(hv);
      continue; // the switch took time: a timer may be due
    }
    const vcpu = hv.current;
    if (vcpu === null) {
      hv.stopRequested = false;
      return { kind: anybodyLives(hv) ? 'idle' : 'halted', nextDeadline: earliestDeadline(hv) };
    }
    if (hv.returnPathDue) {
      returnToGuest(hv, vcpu);
      continue;
    }
    const now = hv.now();
    const deadline = earliestDeadline(hv);
    if (hv.stopRequested || now >= untilCycle) {
      hv.stopRequested = false;
      return { kind: 'ran', nextDeadline: deadline };
    }
    if (vcpu.domain.undone.length > 0) {
      undoSome(hv, vcpu.domain);
      continue;
    }
    let end = Math.min(untilCycle, deadline);
    if (scheduler.queue.length > 0) end = Math.min(end, scheduler.sliceEnd);
    hv.running = true;
    cpu.run(Math.max(1, Math.min(end - now, MAX_RUN)));
    hv.running = false;
  }
}

/**
 * runSlice with several CPUs: comes back when all of them have reached untilCycle. That and the other reasons to come
 * back are only looked at: where a window ends, and whose turn it is, does not depend on them.
 */
function runWindows(hv: Hypervisor, untilCycle: number): SliceResult {
  const { cpu, scheduler } = hv;
  const expired = watchdogExpired(hv);
  for (;;) {
    const stop = hv.stopRequested || cpu.instructions >= hv.instructionLimit || machineTime(hv) >= untilCycle;
    // When the last domain has ended, every CPU first lets go of its vcpu: the end does not depend on the cut either.
    if (stop && (anybodyLives(hv) || everyCpuIdle(hv))) {
      hv.stopRequested = false;
      return { kind: 'ran', nextDeadline: earliestDeadline(hv) };
    }
    const now = hv.now();
    if (now >= hv.windowEnd) {
      nextTurn(hv);
      continue;
    }
    const mine = hv.pcpus[hv.turn]!;
    if (!mine.online && hv.current === null && !hv.rescheduleDue) {
      cpu.advanceTo(hv.windowEnd);
      continue;
    }
    takeWhatWasSent(hv, now);
    fireTimers(hv, expired);
    if (scheduleNeeded(hv)) {
      schedule(hv);
      continue;
    }
    const vcpu = hv.current;
    const deadline = earliestDeadline(hv);
    if (vcpu === null) {
      if (scheduler.queue.length === 0 && everyCpuIdle(hv))
        return { kind: anybodyLives(hv) ? 'idle' : 'halted', nextDeadline: deadline };
      cpu.advanceTo(Math.min(hv.windowEnd, deadline, readyAt(scheduler)));
      continue;
    }
    if (hv.returnPathDue) {
      returnToGuest(hv, vcpu);
      continue;
    }
    if (vcpu.domain.undone.length > 0) {
      undoSome(hv, vcpu.domain);
      continue;
    }
    let end = Math.min(hv.windowEnd, deadline, mine.kickAt, mine.rescheduleAt);
    if (scheduler.queue.length > 0) end = Math.min(end, Math.max(scheduler.sliceEnd, readyAt(scheduler)));
    if (othersReached(hv, untilCycle)) end = Math.min(end, untilCycle);
    const most = Math.min(end - now, hv.instructionLimit - cpu.instructions);
    hv.running = true;
    cpu.run(Math.max(1, most));
    hv.running = false;
  }
}

/** countdown is a signed 32-bit count. */
const MAX_RUN = 1_000_000_000;
