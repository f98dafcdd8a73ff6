/**
 * The bytes of vcpu_info and shared_info that guest and hypervisor both write: upcall mask and pending, selector,
 * pending and mask bits of ports, cr2. One accessor each, so that no other file knows their addresses. boot.md 5.
 */
import type { PhysicalMemory } from '../cpu/physical-memory.ts';
import {
  SHARED_EVTCHN_MASK,
  SHARED_EVTCHN_PENDING,
  VCPU_INFO_CR2,
  VCPU_INFO_PENDING_SEL,
  VCPU_INFO_UPCALL_MASK,
  VCPU_INFO_UPCALL_PENDING,
} from './abi/constants.ts';
import type { Domain } from './domain.ts';
import type { Hypervisor } from './hypervisor.ts';
import type { Vcpu } from './vcpu.ts';

export function upcallMask(hv: Hypervisor, vcpu: Vcpu): number {
  return hv.memory.read8(vcpu.vcpuInfo + VCPU_INFO_UPCALL_MASK);
}
export function setUpcallMask(hv: Hypervisor, vcpu: Vcpu, mask: number): void {
  hv.memory.write8(vcpu.vcpuInfo + VCPU_INFO_UPCALL_MASK, mask);
}
export function upcallPending(hv: Hypervisor, vcpu: Vcpu): number {
  return hv.memory.read8(vcpu.vcpuInfo + VCPU_INFO_UPCALL_PENDING);
}
export function setUpcallPending(hv: Hypervisor, vcpu: Vcpu): void {
  hv.memory.write8(vcpu.vcpuInfo + VCPU_INFO_UPCALL_PENDING, 1);
}
export function pendingSelector(hv: Hypervisor, vcpu: Vcpu): number {
  return hv.memory.read32(vcpu.vcpuInfo + VCPU_INFO_PENDING_SEL);
}
export function setPendingSelector(hv: Hypervisor, vcpu: Vcpu, value: number): void {
  hv.memory.write32(vcpu.vcpuInfo + VCPU_INFO_PENDING_SEL, value);
}
export function setInfoCr2(hv: Hypervisor, vcpu: Vcpu, cr2: number): void {
  hv.memory.write32(vcpu.vcpuInfo + VCPU_INFO_CR2, cr2);
}

/** Sets a bit of a word in RAM. @returns whether it was set before. */
function testAndSet(memory: PhysicalMemory, maddr: number, bit: number): boolean {
  const word = memory.read32(maddr);
  const mask = 1 << bit;
  if (word & mask) return true;
  memory.write32(maddr, word | mask);
  return false;
}
function testAndClear(memory: PhysicalMemory, maddr: number, bit: number): boolean {
  const word = memory.read32(maddr);
  const mask = 1 << bit;
  if (!(word & mask)) return false;
  memory.write32(maddr, word & ~mask);
  return true;
}

const pendingWord = (domain: Domain, port: number) =>
  domain.sharedInfoMfn * 4096 + SHARED_EVTCHN_PENDING + (port >>> 5) * 4;
const maskWord = (domain: Domain, port: number) =>
  domain.sharedInfoMfn * 4096 + SHARED_EVTCHN_MASK + (port >>> 5) * 4;

export function portPending(hv: Hypervisor, domain: Domain, port: number): boolean {
  return ((hv.memory.read32(pendingWord(domain, port)) >>> (port & 31)) & 1) === 1;
}
export function portMasked(hv: Hypervisor, domain: Domain, port: number): boolean {
  return ((hv.memory.read32(maskWord(domain, port)) >>> (port & 31)) & 1) === 1;
}
/** @returns whether the bit was set before. */
export function setPortPending(hv: Hypervisor, domain: Domain, port: number): boolean {
  return testAndSet(hv.memory, pendingWord(domain, port), port & 31);
}
export function clearPortPending(hv: Hypervisor, domain: Domain, port: number): boolean {
  return testAndClear(hv.memory, pendingWord(domain, port), port & 31);
}
export function clearPortMask(hv: Hypervisor, domain: Domain, port: number): boolean {
  return testAndClear(hv.memory, maskWord(domain, port), port & 31);
}
/** Sets the selector bit of the port's word. @returns whether it was set before. */
export function setSelectorBit(hv: Hypervisor, vcpu: Vcpu, port: number): boolean {
  return testAndSet(hv.memory, vcpu.vcpuInfo + VCPU_INFO_PENDING_SEL, port >>> 5);
}
/** @returns whether an upcall was pending before. */
export function raiseUpcall(hv: Hypervisor, vcpu: Vcpu): boolean {
  if (upcallPending(hv, vcpu) !== 0) return true;
  setUpcallPending(hv, vcpu);
  return false;
}
