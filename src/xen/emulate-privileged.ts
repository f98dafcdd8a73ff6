/**
 * Privileged instructions of guests: they raise #GP(0), and some are carried out here as if the guest had the right.
 * Exactly those of cpu-and-events.md section 7; everything else stays the guest's #GP.
 */
import { ACCESS_READ, ACCESS_USER, ACCESS_WRITE } from '../cpu/cpu.ts';
import { CS, DS, EAX, EBX, ECX, EDI, EDX, ES, ESI } from '../cpu/layout.ts';
import { EFER_LMA, EFER_LME } from '../cpu/paging.ts';
import { EFLAGS_DF } from './abi/constants.ts';
import { ENODEV } from './abi/errno.ts';
import { charge } from './charge.ts';
import { getDebugRegister, setDebugRegister } from './debug-registers.ts';
import { guestCpuid } from './guest-cpuid.ts';
import type { Hypervisor } from './hypervisor.ts';
import { guestMayUsePort, ioplAllows, readPort, writePort } from './io-rights.ts';
import { guestCr3, mfnOfCr3, setRoot } from './roots.ts';
import { TRACE_emulate } from './trace.ts';
import type { Vcpu } from './vcpu.ts';
import { setInfoCr2 } from './vcpu-info.ts';
import { setVirtualTs } from './virtual-ts.ts';

/** Not ours: the guest gets its #GP. */
export const NOT_EMULATED = 0;
/** Carried out; eip is behind it. */
export const EMULATED = 1;
/** A memory operand faulted: state.faultVector... see pageFault. */
export const EMULATION_PAGE_FAULT = 2;
/** 4.17: a debug register that does not exist is #UD. */
export const EMULATION_UNDEFINED = 3;

/** Of the last EMULATION_PAGE_FAULT. */
export const emulationFault = { code: 0, linear: 0 };

const CR4_PSE = 0x10;
const CR4_PGE = 0x80;
const CR0_TS = 8;
const MSR_EFER = 0xc000_0080;
/** EFER as a guest sees it: of long mode, nothing. */
const visibleEfer = (hv: Hypervisor) => hv.cpu.efer & ~(EFER_LMA | EFER_LME);
const MAX_LENGTH = 15;

/** SCRATCH: what fetchInstruction found. */
export const fetchedInstruction = new Uint8Array(MAX_LENGTH);
const code = fetchedInstruction;

/** Reads the instruction at eip, as far as it is mapped. @returns the number of bytes. */
export function fetchInstruction(hv: Hypervisor): number {
  const cpu = hv.cpu;
  const start = (cpu.getSegmentBase(CS) + cpu.eip) >>> 0;
  let maddr = -1;
  for (let i = 0; i < MAX_LENGTH; i++) {
    const linear = (start + i) >>> 0;
    if (maddr < 0 || (linear & 4095) === 0) maddr = cpu.translate(linear, ACCESS_READ);
    if (maddr < 0) return i;
    code[i] = hv.memory.read8(maddr++);
  }
  return MAX_LENGTH;
}

/** "ud2; 'xen'; cpuid": works in every ring. */
const FORCED_CPUID = [0x0f, 0x0b, 0x78, 0x65, 0x6e, 0x0f, 0xa2];

export function emulateForcedCpuid(hv: Hypervisor, vcpu: Vcpu): boolean {
  const length = fetchInstruction(hv);
  if (length < FORCED_CPUID.length || FORCED_CPUID.some((byte, i) => code[i] !== byte)) return false;
  const cpu = hv.cpu;
  const answer = guestCpuid(vcpu.domain, cpu.getReg(EAX), cpu.getReg(ECX));
  cpu.setReg(EAX, answer.eax);
  cpu.setReg(EBX, answer.ebx);
  cpu.setReg(ECX, answer.ecx);
  cpu.setReg(EDX, answer.edx);
  finishEmulation(hv, vcpu, FORCED_CPUID.length, 0xfa2);
  return true;
}

/** An instruction was carried out here: counts it and goes behind it. */
export function finishEmulation(hv: Hypervisor, vcpu: Vcpu, length: number, opcode: number): void {
  const cpu = hv.cpu;
  hv.trace.emulated++;
  hv.trace.record(hv.now(), TRACE_emulate, vcpu.domain.id, vcpu.id, opcode, code[length - 1]!, 0, cpu.eip);
  cpu.eip = (cpu.eip + length) >>> 0;
  cpu.retire();
  charge(hv, hv.costs.emulation);
}

/** After #GP(0) at eip. */
export function emulatePrivileged(hv: Hypervisor, vcpu: Vcpu): number {
  const cpu = hv.cpu;
  const available = fetchInstruction(hv);
  const wideCode = (cpu.getSegmentAccess(CS) & 0x40_0000) !== 0;
  let operandSize = wideCode ? 4 : 2;
  let addressSize = wideCode ? 4 : 2;
  let repeat = false;
  let override = DS;
  let at = 0;
  for (; at < available; at++) {
    const byte = code[at]!;
    if (byte === 0x66) operandSize = wideCode ? 2 : 4;
    else if (byte === 0x67) addressSize = wideCode ? 2 : 4;
    else if (byte === 0xf2 || byte === 0xf3) repeat = true;
    else if (byte === 0x26) override = 0;
    else if (byte === 0x2e) override = 1;
    else if (byte === 0x36) override = 2;
    else if (byte === 0x3e) override = 3;
    else if (byte === 0x64) override = 4;
    else if (byte === 0x65) override = 5;
    else break;
  }
  if (at >= available) return NOT_EMULATED;
  const opcode = code[at++]!;
  const cpl = cpu.cpl;
  switch (opcode) {
    case 0x6c: // INSB
    case 0x6d:
      return stringIo(hv, vcpu, opcode, at, opcode & 1 ? operandSize : 1, addressSize, repeat, ES, true);
    case 0x6e: // OUTSB
    case 0x6f:
      return stringIo(
        hv,
        vcpu,
        opcode,
        at,
        opcode & 1 ? operandSize : 1,
        addressSize,
        repeat,
        override,
        false,
      );
    case 0xe4: // IN imm8
    case 0xe5:
    case 0xe6: // OUT imm8
    case 0xe7:
      if (at >= available) return NOT_EMULATED;
      return portIo(hv, vcpu, opcode, at + 1, code[at]!, opcode & 1 ? operandSize : 1, (opcode & 2) === 0);
    case 0xec: // IN DX
    case 0xed:
    case 0xee: // OUT DX
    case 0xef:
      return portIo(
        hv,
        vcpu,
        opcode,
        at,
        cpu.getReg(EDX) & 0xffff,
        opcode & 1 ? operandSize : 1,
        (opcode & 2) === 0,
      );
    case 0xfa: // CLI
    case 0xfb: // STI: no effect at all, the guest's interrupt flag is its upcall mask
      if (!ioplAllows(vcpu, cpl)) return NOT_EMULATED;
      finishEmulation(hv, vcpu, at, opcode);
      return EMULATED;
    case 0x0f:
      // All the rest is for the guest's kernel.
      return cpl === 1 && at < available ? twoByte(hv, vcpu, at, available) : NOT_EMULATED;
    default:
      return NOT_EMULATED;
  }
}

function portIo(
  hv: Hypervisor,
  vcpu: Vcpu,
  opcode: number,
  length: number,
  port: number,
  size: number,
  input: boolean,
): number {
  const cpu = hv.cpu;
  if (!guestMayUsePort(hv, vcpu, cpu.cpl, port, size)) return NOT_EMULATED;
  const eax = cpu.getReg(EAX);
  if (input) {
    const value = readPort(hv, vcpu, port, size);
    cpu.setReg(EAX, size === 4 ? value : size === 2 ? (eax & ~0xffff) | value : (eax & ~0xff) | value);
  } else {
    writePort(hv, vcpu, port, size, size === 4 ? eax : eax & ((1 << (8 * size)) - 1));
  }
  finishEmulation(hv, vcpu, length, opcode);
  return EMULATED;
}

/** One element; with REP the instruction is met again for the next one. */
function stringIo(
  hv: Hypervisor,
  vcpu: Vcpu,
  opcode: number,
  length: number,
  size: number,
  addressSize: number,
  repeat: boolean,
  segment: number,
  input: boolean,
): number {
  const cpu = hv.cpu;
  const port = cpu.getReg(EDX) & 0xffff;
  if (!guestMayUsePort(hv, vcpu, cpu.cpl, port, size)) return NOT_EMULATED;
  const addressMask = addressSize === 4 ? 0xffff_ffff : 0xffff;
  const index = input ? EDI : ESI;
  const count = (cpu.getReg(ECX) & addressMask) >>> 0;
  if (repeat && count === 0) {
    finishEmulation(hv, vcpu, length, opcode);
    return EMULATED;
  }
  const offset = (cpu.getReg(index) & addressMask) >>> 0;
  // 3.0.2 takes the address as flat.
  const base = vcpu.domain.personality === '4.17' ? cpu.getSegmentBase(segment) : 0;
  const access = (input ? ACCESS_WRITE : ACCESS_READ) | (cpu.cpl === 1 ? 0 : ACCESS_USER);
  // All bytes are translated before the port is touched.
  for (let i = 0; i < size; i++) {
    const linear = (base + offset + i) >>> 0;
    if (cpu.translate(linear, access) < 0) {
      emulationFault.code = cpu.translateFault.code;
      emulationFault.linear = linear;
      return EMULATION_PAGE_FAULT;
    }
  }
  let value = input ? readPort(hv, vcpu, port, size) : 0;
  for (let i = 0; i < size; i++) {
    const maddr = cpu.translate((base + offset + i) >>> 0, access);
    if (input) {
      hv.memory.write8(maddr, value);
      value >>>= 8;
    } else {
      value = (value | (hv.memory.read8(maddr) << (8 * i))) >>> 0;
    }
  }
  if (!input) writePort(hv, vcpu, port, size, value);
  const step = cpu.eflags & EFLAGS_DF ? -size : size;
  const keep = ~addressMask;
  cpu.setReg(index, ((cpu.getReg(index) & keep) | ((offset + step) & addressMask)) >>> 0);
  if (repeat) cpu.setReg(ECX, ((cpu.getReg(ECX) & keep) | ((count - 1) & addressMask)) >>> 0);
  finishEmulation(hv, vcpu, repeat && count > 1 ? 0 : length, opcode);
  return EMULATED;
}

function twoByte(hv: Hypervisor, vcpu: Vcpu, at: number, available: number): number {
  const cpu = hv.cpu;
  const opcode = code[at++]!;
  switch (opcode) {
    case 0x06: // CLTS
      setVirtualTs(hv, vcpu, false);
      break;
    case 0x09: // WBINVD: there is no cache to write back
      break;
    case 0x20: // MOV r32, CRn
    case 0x22: // MOV CRn, r32
    case 0x21: // MOV r32, DRn
    case 0x23: {
      // MOV DRn, r32
      if (at >= available) return NOT_EMULATED;
      const modrm = code[at++]!;
      const register = (modrm >> 3) & 7;
      const gpr = modrm & 7;
      const done =
        opcode === 0x20
          ? readControl(hv, vcpu, register, gpr)
          : opcode === 0x22
            ? writeControl(hv, vcpu, register, cpu.getReg(gpr))
            : opcode === 0x21
              ? readDebug(hv, vcpu, register, gpr)
              : writeDebug(hv, vcpu, register, cpu.getReg(gpr));
      if (done !== EMULATED) return done;
      break;
    }
    case 0x30: // WRMSR
      if (!writeMsr(hv, vcpu, cpu.getReg(ECX))) return NOT_EMULATED;
      break;
    case 0x31: // RDTSC, when CR4.TSD makes it privileged
      cpu.setReg(EAX, hv.now() % 0x1_0000_0000);
      cpu.setReg(EDX, Math.floor(hv.now() / 0x1_0000_0000));
      break;
    case 0x32: // RDMSR
      if (!readMsr(hv, vcpu, cpu.getReg(ECX))) return NOT_EMULATED;
      break;
    default:
      return NOT_EMULATED;
  }
  finishEmulation(hv, vcpu, at, 0xf00 | opcode);
  return EMULATED;
}

function readControl(hv: Hypervisor, vcpu: Vcpu, register: number, gpr: number): number {
  const cpu = hv.cpu;
  switch (register) {
    case 0:
      cpu.setReg(gpr, vcpu.virtualTs ? cpu.cr0 | CR0_TS : cpu.cr0 & ~CR0_TS);
      return EMULATED;
    case 2:
      cpu.setReg(gpr, vcpu.virtualCr2);
      return EMULATED;
    case 3:
      cpu.setReg(gpr, guestCr3(vcpu.domain, vcpu.rootMfn));
      return EMULATED;
    case 4:
      cpu.setReg(gpr, visibleCr4(hv));
      return EMULATED;
    default:
      return NOT_EMULATED;
  }
}

const visibleCr4 = (hv: Hypervisor) => (hv.cpu.cr4 & ~(CR4_PGE | CR4_PSE)) >>> 0;

function writeControl(hv: Hypervisor, vcpu: Vcpu, register: number, value: number): number {
  switch (register) {
    case 0:
      if ((value ^ hv.cpu.cr0) & ~CR0_TS) return NOT_EMULATED;
      setVirtualTs(hv, vcpu, (value & CR0_TS) !== 0);
      return EMULATED;
    case 2:
      vcpu.virtualCr2 = value;
      setInfoCr2(hv, vcpu, value);
      return EMULATED;
    case 3: {
      const result = setRoot(hv, vcpu, mfnOfCr3(vcpu.domain, value));
      // 3.0.2 does not tell.
      return result === 0 || vcpu.domain.personality === '3.0.2' ? EMULATED : NOT_EMULATED;
    }
    case 4:
      if (vcpu.domain.personality === '3.0.2' && value >>> 0 !== visibleCr4(hv)) return NOT_EMULATED;
      return EMULATED;
    default:
      return NOT_EMULATED;
  }
}

function readDebug(hv: Hypervisor, vcpu: Vcpu, register: number, gpr: number): number {
  const value = getDebugRegister(vcpu, register);
  if (value < 0) return value === ENODEV ? EMULATION_UNDEFINED : NOT_EMULATED;
  hv.cpu.setReg(gpr, value);
  return EMULATED;
}

function writeDebug(hv: Hypervisor, vcpu: Vcpu, register: number, value: number): number {
  const result = setDebugRegister(hv, vcpu, register, value);
  if (result === 0) return EMULATED;
  return result === ENODEV ? EMULATION_UNDEFINED : NOT_EMULATED;
}

/** Model-specific registers of this P6, as far as a guest may look: [number, value]; EFER and TSC are computed. */
const MSRS = new Map<number, number>([
  [0x17, 0], // PLATFORM_ID
  [0x1b, 0], // APIC_BASE: there is none
  [0x2a, 0], // EBL_CR_POWERON
  [0x8b, 0], // BIOS_SIGN
]);
/**
 * PAT, as 4.17 programs it on every processor: WB WT UC- UC WC WP UC UC. Linux 4.1 to 4.8 reads it before it can catch
 * a fault and makes its table of cache modes of it, whatever CPUID says: with 0 all of its memory would be uncached.
 */
const MSR_PAT = 0x277;
const PAT_LOW = 0x0007_0406;
const PAT_HIGH = 0x0000_0501;
const MSR_TSC = 0x10;

function readMsr(hv: Hypervisor, vcpu: Vcpu, msr: number): boolean {
  const cpu = hv.cpu;
  let value: number | undefined;
  if (msr === MSR_EFER) value = visibleEfer(hv);
  else if (msr === MSR_TSC) value = hv.now();
  else if (msr === MSR_PAT && vcpu.domain.personality === '4.17') value = PAT_HIGH * 0x1_0000_0000 + PAT_LOW;
  else value = MSRS.get(msr);
  if (value === undefined) {
    // 4.17, while the guest has no #GP handler to catch the fault with: 0.
    if (vcpu.domain.personality === '3.0.2' || vcpu.trapAddress[13] !== 0) return false;
    value = 0;
  }
  cpu.setReg(EAX, value % 0x1_0000_0000);
  cpu.setReg(EDX, Math.floor(value / 0x1_0000_0000));
  return true;
}

/** 3.0.2 ignores all writes silently. 4.17: EFER must stay as it is; known registers ignore the value. */
function writeMsr(hv: Hypervisor, vcpu: Vcpu, msr: number): boolean {
  if (vcpu.domain.personality === '3.0.2') return true;
  if (msr === MSR_EFER) return hv.cpu.getReg(EAX) === visibleEfer(hv) && hv.cpu.getReg(EDX) === 0;
  return MSRS.has(msr);
}
