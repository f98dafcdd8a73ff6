/**
 * The loop around the hypervisor's slices: cuts the run where logged input is due and where the toolstack looks at
 * its rings, lets idle time pass, and steps. Everything here happens at cycles that do not depend on how the caller
 * cuts the run.
 */
import { BREAK_ON_DELIVERY, BREAK_ON_HYPERCALL } from '../xen/hypervisor.ts';
import { advanceIdle } from '../xen/physical-cpus.ts';
import { runSlice } from '../xen/run.ts';
import type { Machine } from './machine.ts';

/** How often the toolstack looks at rings for which nobody sent an event: each virtual millisecond of running. */
const POLL_NS = 1_000_000;

export interface RunResult {
  /**
   * 'ran'      the cycle was reached while somebody ran
   * 'idle'     the cycle was reached, everybody waits; nextDeadline says until when
   * 'ended'    every domain has ended; the clock stands
   * 'stopped'  somebody asked for it (requestStop, breakOn), or a step has found what it looked for
   */
  kind: 'ran' | 'idle' | 'ended' | 'stopped';
  /** Of 'idle': virtual cycle of the next timer or logged input; Infinity: only new input can wake anybody. */
  nextDeadline: number;
}

export function runUntil(machine: Machine, untilCycle: number): RunResult {
  const { hv, toolstack } = machine;
  for (;;) {
    giveLoggedInput(machine);
    if (machine.now >= machine.heldUntil) machine.giveHeld();
    const { now } = machine;
    if (machine.ended) return { kind: 'ended', nextDeadline: Number.POSITIVE_INFINITY };
    const nextInput = Math.min(
      machine.options.replay?.nextCycle ?? Number.POSITIVE_INFINITY,
      machine.heldUntil,
    );
    const nextPoll = (Math.floor(now / POLL_NS) + 1) * POLL_NS;
    const slice = runSlice(hv, Math.min(untilCycle, nextInput, nextPoll));
    const reached = machine.now;
    if (slice.kind === 'ran') {
      if (reached >= nextPoll) toolstack.poll();
      if (reached >= untilCycle && reached < nextInput) return { kind: 'ran', nextDeadline: reached };
      // A slice that comes back early was asked to.
      if (reached < Math.min(untilCycle, nextInput, nextPoll))
        return { kind: 'stopped', nextDeadline: reached };
      continue;
    }
    // Nobody can run. What was printed without an event is seen now, and may wake somebody.
    toolstack.poll();
    if (hv.scheduler.queue.length > 0 || machine.ended) continue;
    const nextDeadline = Math.min(slice.nextDeadline, nextInput);
    advanceIdle(hv, Math.max(reached, Math.min(untilCycle, nextDeadline)));
    if (nextDeadline > untilCycle) return { kind: 'idle', nextDeadline };
  }
}

function giveLoggedInput(machine: Machine): void {
  const { replay } = machine.options;
  if (!replay) return;
  for (let entry = replay.take(machine.now); entry; entry = replay.take(machine.now)) {
    if (entry.press !== null) machine.press(entry.press, entry.domid);
    else machine.input(entry.domid, entry.bytes);
  }
}

export type StepKind = 'instruction' | 'hypercall' | 'event';

export function stepOnce(machine: Machine, kind: StepKind, untilCycle: number): RunResult {
  const { hv } = machine;
  if (kind === 'instruction') return stepInstruction(machine, untilCycle);
  hv.breakOn = kind === 'hypercall' ? BREAK_ON_HYPERCALL : BREAK_ON_DELIVERY;
  const result = runUntil(machine, untilCycle);
  hv.breakOn = 0;
  return result;
}

/** One instruction, or one iteration of a repeated one; idle time and switches before it pass first. */
function stepInstruction(machine: Machine, untilCycle: number): RunResult {
  const before = machine.instructions;
  if (machine.hv.pcpus.length > 1) return stepOnSeveral(machine, untilCycle);
  for (;;) {
    const result = runUntil(machine, Math.min(untilCycle, machine.now + 1));
    if (machine.instructions !== before) return { kind: 'stopped', nextDeadline: result.nextDeadline };
    if (result.kind === 'ended' || machine.now >= untilCycle) return result;
    if (result.kind === 'idle') runUntil(machine, Math.min(untilCycle, result.nextDeadline));
  }
}

/** With several CPUs now + 1 is no instruction's end: the count itself is the bound. */
function stepOnSeveral(machine: Machine, untilCycle: number): RunResult {
  const { hv } = machine;
  hv.instructionLimit = machine.instructions + 1;
  for (;;) {
    const result = runUntil(machine, untilCycle);
    const stepped = machine.instructions >= hv.instructionLimit;
    if (!stepped && result.kind !== 'ended' && machine.now < untilCycle) continue;
    hv.instructionLimit = Number.POSITIVE_INFINITY;
    return stepped ? { kind: 'stopped', nextDeadline: result.nextDeadline } : result;
  }
}
