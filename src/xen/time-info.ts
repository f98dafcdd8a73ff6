/**
 * What a guest computes its clock from: vcpu_time_info per vcpu and the wall clock in shared_info.
 *   now = system_time + (((tsc - tsc_timestamp) << shift) * mul >> 32)
 * The lab's TSC ticks at 1 GHz, so mul = 2^31 and shift = 1 make one tick one nanosecond. cpu-and-events.md 12.
 */
import {
  SHARED_WC_NSEC,
  SHARED_WC_SEC,
  SHARED_WC_SEC_HI,
  SHARED_WC_VERSION,
  TIME_FLAGS,
  TIME_INFO_SIZE,
  TIME_MUL,
  TIME_SHIFT,
  TIME_SYSTEM_TIME,
  TIME_TSC_TIMESTAMP,
  TIME_VERSION,
  VCPU_INFO_TIME,
} from './abi/constants.ts';
import type { Domain } from './domain.ts';
import type { Hypervisor } from './hypervisor.ts';
import type { Vcpu } from './vcpu.ts';

const MUL = 0x8000_0000;
const SHIFT = 1;
const FLAG_TSC_STABLE = 1;

function write64(hv: Hypervisor, maddr: number, value: number): void {
  hv.memory.write32(maddr, value % 0x1_0000_0000);
  hv.memory.write32(maddr + 4, Math.floor(value / 0x1_0000_0000));
}

/** Refreshes a vcpu's time record: version odd while it changes, even after. */
export function updateTimeInfo(hv: Hypervisor, vcpu: Vcpu): void {
  const at = vcpu.vcpuInfo + VCPU_INFO_TIME;
  const memory = hv.memory;
  const changing = ((memory.read32(at + TIME_VERSION) + 1) | 1) >>> 0;
  memory.write32(at + TIME_VERSION, changing);
  // Clocks of several CPUs differ by up to a window: the guest must keep its time from going back itself.
  const stable = vcpu.domain.personality === '4.17' && hv.pcpus.length === 1;
  const now = hv.now();
  write64(hv, at + TIME_TSC_TIMESTAMP, now);
  write64(hv, at + TIME_SYSTEM_TIME, now);
  memory.write32(at + TIME_MUL, MUL);
  memory.write8(at + TIME_SHIFT, SHIFT);
  memory.write8(at + TIME_FLAGS, stable ? FLAG_TSC_STABLE : 0);
  memory.write32(at + TIME_VERSION, changing + 1);
}

/** Copies the time record to the area registered with VCPUOP_register_vcpu_time_memory_area; faults are ignored. */
export function updateTimeArea(hv: Hypervisor, vcpu: Vcpu): void {
  if (vcpu.timeArea === 0) return;
  const info = hv.memory.bytes(vcpu.vcpuInfo + VCPU_INFO_TIME, TIME_INFO_SIZE);
  hv.guest.write(vcpu.domain, vcpu.timeArea, info.slice());
}

/** UTC at system time 0. */
export function updateWallClock(hv: Hypervisor, domain: Domain): void {
  const shared = domain.sharedInfoMfn * 4096;
  const memory = hv.memory;
  const changing = ((memory.read32(shared + SHARED_WC_VERSION) + 1) | 1) >>> 0;
  memory.write32(shared + SHARED_WC_VERSION, changing);
  memory.write32(shared + SHARED_WC_SEC, hv.wallClockSeconds % 0x1_0000_0000);
  memory.write32(shared + SHARED_WC_NSEC, 0);
  if (domain.personality === '4.17') {
    memory.write32(shared + SHARED_WC_SEC_HI, Math.floor(hv.wallClockSeconds / 0x1_0000_0000));
  }
  memory.write32(shared + SHARED_WC_VERSION, changing + 1);
}
