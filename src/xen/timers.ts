/**
 * Timers of vcpus and domains, all in absolute virtual ns: one-shot, periodic tick, poll time-out, watchdog.
 * cpu-and-events.md section 12. The two generations tick differently: 3.0.2 has one 100 Hz tick per processor that
 * goes to whoever runs; 4.17 has a periodic timer per vcpu that stands still while the vcpu does not run.
 */
import { VIRQ_TIMER } from './abi/constants.ts';
import type { Domain } from './domain.ts';
import { sendVcpuVirq } from './evtchn.ts';
import type { Hypervisor } from './hypervisor.ts';
import { otherCpuOf } from './physical-cpus.ts';
import { unblock } from './scheduler.ts';
import type { Vcpu } from './vcpu.ts';

export const TICK_NS = 10_000_000;
export const NEVER = Number.POSITIVE_INFINITY;
const FAR_FUTURE_NS = 2 ** 50;
const REPLACED_NS = 100_000_000;

/** Sets the one-shot timer: 0 stops it, a time in the past fires at once. */
export function setSingleShot(hv: Hypervisor, vcpu: Vcpu, deadline: number): void {
  const now = hv.now();
  if (deadline === 0) {
    vcpu.singleShotDeadline = NEVER;
    return;
  }
  if (deadline <= now) {
    vcpu.singleShotDeadline = NEVER;
    sendVcpuVirq(hv, vcpu, VIRQ_TIMER);
    return;
  }
  vcpu.singleShotDeadline = deadline;
  // The run under way may be longer than that.
  if (hv.running) hv.cpu.requestExit();
}

/** set_timer_op: as the one-shot timer; 4.17 replaces absurd times (negative, 13 days ahead) by 100 ms. */
export function setTimerOp(hv: Hypervisor, vcpu: Vcpu, low: number, high: number): void {
  const deadline = high * 0x1_0000_0000 + low;
  const now = hv.now();
  if (vcpu.domain.personality === '4.17' && deadline !== 0) {
    if (high >= 0x8000_0000 || deadline - now > FAR_FUTURE_NS) {
      setSingleShot(hv, vcpu, now + REPLACED_NS);
      return;
    }
  } else if (high >= 0x8000_0000) {
    setSingleShot(hv, vcpu, Math.max(1, now)); // a negative time is in the past
    return;
  }
  setSingleShot(hv, vcpu, deadline);
}

/** VCPUOP_set_periodic_timer, 0 stops it. */
export function setPeriodic(hv: Hypervisor, vcpu: Vcpu, period: number): void {
  vcpu.periodicPeriod = period;
  vcpu.periodicDeadline = period === 0 ? NEVER : hv.now() + period;
  if (hv.running) hv.cpu.requestExit();
}

/** Is a periodic VIRQ_TIMER of any use to this vcpu now? */
function wantsTick(vcpu: Vcpu, at: number): boolean {
  return vcpu.virqPort[VIRQ_TIMER] !== 0 && vcpu.periodicPeriod !== 0 && at >= vcpu.periodicFrom;
}

/** First tick boundary after `at`. */
const nextTick = (at: number) => (Math.floor(at / TICK_NS) + 1) * TICK_NS;

/** When the running vcpu's periodic timer is due next. */
function periodicDue(vcpu: Vcpu): number {
  if (vcpu.virqPort[VIRQ_TIMER] === 0 || vcpu.periodicPeriod === 0) return NEVER;
  if (vcpu.domain.personality === '3.0.2')
    return Math.max(vcpu.periodicDeadline, nextTick(vcpu.periodicFrom - 1));
  return Math.max(vcpu.periodicDeadline, vcpu.periodicFrom);
}

function alive(domain: Domain | undefined): domain is Domain {
  return domain !== undefined && domain.end === null && !domain.paused && !domain.dying;
}

/** The next moment at which a timer fires on the CPU whose turn it is: its own vcpu's, and those of vcpus that wait; Infinity when none. */
export function earliestDeadline(hv: Hypervisor): number {
  let earliest = NEVER;
  for (const domain of hv.domains) {
    if (!alive(domain)) continue;
    for (const vcpu of domain.vcpus) {
      if (otherCpuOf(hv, vcpu) !== null) continue; // fires there
      earliest = Math.min(earliest, vcpu.singleShotDeadline, vcpu.pollDeadline);
    }
    earliest = Math.min(earliest, domain.watchdogs[0]!, domain.watchdogs[1]!);
  }
  if (hv.current !== null) earliest = Math.min(earliest, periodicDue(hv.current));
  earliest = Math.min(earliest, hv.devices.deadline(hv));
  return earliest;
}

/** Fires what is due. @returns whether anything was. */
export function fireTimers(hv: Hypervisor, watchdogExpired: (domain: Domain) => void): boolean {
  const now = hv.now();
  if (earliestDeadline(hv) > now) return false;
  for (const domain of hv.domains) {
    if (!alive(domain)) continue;
    for (const vcpu of domain.vcpus) {
      if (otherCpuOf(hv, vcpu) !== null) continue;
      if (vcpu.singleShotDeadline <= now) {
        vcpu.singleShotDeadline = NEVER;
        sendVcpuVirq(hv, vcpu, VIRQ_TIMER);
      }
      if (vcpu.pollDeadline <= now) unblock(hv, vcpu);
    }
    for (let id = 0; id < domain.watchdogs.length; id++) {
      if (domain.watchdogs[id]! <= now && domain.end === null) {
        domain.watchdogs[id] = NEVER;
        watchdogExpired(domain);
      }
    }
  }
  if (hv.devices.deadline(hv) <= now) hv.devices.fire(hv);
  const current = hv.current;
  if (current !== null && current.domain.end === null && periodicDue(current) <= now) {
    advancePeriodic(current, now);
    sendVcpuVirq(hv, current, VIRQ_TIMER);
  }
  return true;
}

function advancePeriodic(vcpu: Vcpu, now: number): void {
  if (vcpu.domain.personality === '3.0.2') vcpu.periodicDeadline = nextTick(now);
  else {
    const start = vcpu.periodicDeadline === NEVER ? now : vcpu.periodicDeadline;
    const missed = Math.max(0, Math.floor((now - start) / vcpu.periodicPeriod));
    vcpu.periodicDeadline = start + (missed + 1) * vcpu.periodicPeriod;
  }
}

/**
 * A vcpu comes onto the processor. 3.0.2: one tick if a boundary passed since the processor's previous switch.
 * 4.17: one catch-up tick if the vcpu's own timer became due meanwhile.
 */
export function periodicAtSwitchIn(hv: Hypervisor, vcpu: Vcpu, previousSwitch: number): void {
  const now = hv.now();
  if (vcpu.periodicPeriod === 0) return;
  if (vcpu.domain.personality === '3.0.2') {
    vcpu.periodicDeadline = nextTick(now);
    if (Math.floor(now / TICK_NS) > Math.floor(previousSwitch / TICK_NS) && wantsTick(vcpu, now)) {
      sendVcpuVirq(hv, vcpu, VIRQ_TIMER);
    }
    return;
  }
  if (vcpu.periodicDeadline === NEVER) vcpu.periodicDeadline = now + vcpu.periodicPeriod;
  else if (vcpu.periodicDeadline <= now) {
    const wanted = wantsTick(vcpu, now);
    advancePeriodic(vcpu, now);
    if (wanted) sendVcpuVirq(hv, vcpu, VIRQ_TIMER);
  }
}
