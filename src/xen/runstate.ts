/**
 * Runstates and their accounting: at every change time[old] += now - entry, so the four times always add up to the
 * vcpu's age. cpu-and-events.md section 11; public/vcpu.h.
 */
import { VMASST_TYPE_runstate_update_flag } from './abi/constants.ts';
import type { Hypervisor } from './hypervisor.ts';
import { TRACE_switch } from './trace.ts';
import {
  RUNSTATE_blocked,
  RUNSTATE_offline,
  RUNSTATE_runnable,
  RUNSTATE_running,
  RunstateHistory,
  type Vcpu,
} from './vcpu.ts';

export const RUNSTATE_NAMES = ['running', 'runnable', 'blocked', 'offline'] as const;
const RUNSTATE_INFO_SIZE = 44;

/** Could it run? Not blocked, not down, domain neither paused nor ended. */
export function isRunnable(vcpu: Vcpu): boolean {
  const domain = vcpu.domain;
  return (
    vcpu.initialised && !vcpu.down && !vcpu.blocked && !domain.paused && domain.end === null && !domain.dying
  );
}

/** The state of a vcpu that is not on a processor. Blocked wins over offline only where it was descheduled so. */
export function waitingState(vcpu: Vcpu): number {
  if (vcpu.blocked) return RUNSTATE_blocked;
  return isRunnable(vcpu) ? RUNSTATE_runnable : RUNSTATE_offline;
}

/** Called once when the vcpu comes into being, offline. */
export function startRunstate(hv: Hypervisor, vcpu: Vcpu): void {
  vcpu.runstate = RUNSTATE_offline;
  vcpu.runstateEntryTime = hv.now();
  note(vcpu, RUNSTATE_offline, vcpu.runstateEntryTime, 0);
}

export function setRunstate(hv: Hypervisor, vcpu: Vcpu, state: number): void {
  const old = vcpu.runstate;
  if (old === state) return;
  // Another CPU's clock may be behind the one that it ran on: a vcpu's own time never goes back.
  const now = Math.max(hv.now(), vcpu.runstateEntryTime);
  vcpu.runstateTime[old]! += now - vcpu.runstateEntryTime;
  vcpu.runstate = state;
  vcpu.runstateEntryTime = now;
  note(vcpu, state, now, old === RUNSTATE_running ? hv.cpu.cpl : 0);
  hv.trace.switches++;
  hv.trace.record(
    now,
    TRACE_switch,
    vcpu.domain.id,
    vcpu.id,
    state,
    old,
    0,
    hv.current === vcpu ? hv.cpu.eip : 0,
  );
}

function note(vcpu: Vcpu, state: number, now: number, endedInRing: number): void {
  const history = vcpu.history;
  if (history.total > 0) history.ring[(history.total - 1) % RunstateHistory.CAPACITY] = endedInRing;
  const slot = history.total++ % RunstateHistory.CAPACITY;
  history.from[slot] = now;
  history.state[slot] = state;
  history.ring[slot] = 0;
}

/** ns spent in a state, the running part of the current one included. */
export function timeIn(hv: Hypervisor, vcpu: Vcpu, state: number): number {
  const open = vcpu.runstate === state ? Math.max(0, hv.now() - vcpu.runstateEntryTime) : 0;
  return vcpu.runstateTime[state]! + open;
}

const record = new Uint8Array(RUNSTATE_INFO_SIZE); // scratch
const recordView = new DataView(record.buffer);

function putU64(at: number, value: number): void {
  recordView.setUint32(at, value % 0x1_0000_0000, true);
  recordView.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true);
}

/** The vcpu_runstate_info record as of now; `upToDate` adds the time since the last change. Valid until the next call. */
export function runstateRecord(hv: Hypervisor, vcpu: Vcpu, upToDate: boolean): Uint8Array {
  recordView.setInt32(0, vcpu.runstate, true);
  putU64(4, vcpu.runstateEntryTime);
  for (let state = 0; state < 4; state++) {
    putU64(12 + 8 * state, upToDate ? timeIn(hv, vcpu, state) : vcpu.runstateTime[state]!);
  }
  return record;
}

/**
 * Writes the registered area through the address space that is loaded; faults are ignored (public/vcpu.h, notes at
 * VCPUOP_register_runstate_memory_area).
 */
export function updateRunstateArea(hv: Hypervisor, vcpu: Vcpu): void {
  if (vcpu.runstateArea === 0) return;
  const domain = vcpu.domain;
  const area = runstateRecord(hv, vcpu, false);
  if (domain.vmAssist & (1 << VMASST_TYPE_runstate_update_flag)) {
    // Bit 63 of state_entry_time is up while the rest changes.
    const high = recordView.getUint32(8, true);
    if (!hv.guest.writeU32(domain, vcpu.runstateArea + 8, high | 0x8000_0000)) return;
    recordView.setUint32(8, high | 0x8000_0000, true);
    hv.guest.write(domain, vcpu.runstateArea, area);
    hv.guest.writeU32(domain, vcpu.runstateArea + 8, high);
    return;
  }
  hv.guest.write(domain, vcpu.runstateArea, area);
}
