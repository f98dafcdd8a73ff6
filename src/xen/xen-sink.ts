/**
 * What happens when a guest leaves the processor: hypercalls, faults, software interrupts, port accesses, descriptor
 * look-ups. The hypervisor's end of TrapSink; cpu-and-events.md sections 3-7.
 */
import { EngineBug } from '../base/assert.ts';
import type { TrapSink } from '../cpu/trap-sink.ts';
import { FLAT_KERNEL_CS, TI_DPL_MASK, TI_MASK_EVENTS } from './abi/constants.ts';
import { guestDescriptorAddress } from './descriptor-tables.ts';
import { emulateGate } from './emulate-gate.ts';
import {
  EMULATED,
  EMULATION_PAGE_FAULT,
  EMULATION_UNDEFINED,
  emulateForcedCpuid,
  emulatePrivileged,
  emulationFault,
} from './emulate-privileged.ts';
import { tryFlipSegment } from './flip-segment.ts';
import { enterHypercall } from './hypercalls/dispatch.ts';
import type { Hypervisor } from './hypervisor.ts';
import { readPort, writePort } from './io-rights.ts';
import { noteFault } from './note-fault.ts';
import { currentContext, deliverDirect80, deliverTrap, returnToGuest } from './traps.ts';
import type { Vcpu } from './vcpu.ts';
import { setInfoCr2 } from './vcpu-info.ts';
import { setVirtualTs } from './virtual-ts.ts';
import { tryWritablePageTable } from './writable-page-tables.ts';

const HYPERCALL_VECTOR = 0x82;
const VECTOR_DB = 1;
const VECTOR_BP = 3;
const VECTOR_OF = 4;
const VECTOR_UD = 6;
const VECTOR_NM = 7;
const VECTOR_GP = 13;
const VECTOR_PF = 14;
/** The error code names a gate of the IDT: `int n`. */
const CODE_OF_IDT = 2;
const PF_PRESENT = 1;
const PF_WRITE = 2;
const PF_USER = 4;
const PF_RESERVED = 8;
const EFLAGS_TF = 0x100;
const DR6_BS = 0x4000;

const kernelStackScratch = { ss: 0, esp: 0 };

export class XenSink implements TrapSink {
  #hv: Hypervisor | null = null;
  /** Did the processor pass to the guest's handler by itself, not by the hypervisor? */
  #wasDirect = false;

  /** The hypervisor that owns the processor; once, before anything runs. */
  attach(hv: Hypervisor): void {
    this.#hv = hv;
  }

  #current(): { hv: Hypervisor; vcpu: Vcpu } {
    const hv = this.#hv;
    if (hv === null || hv.current === null) throw new EngineBug('the processor runs without a vcpu');
    scratch.hv = hv;
    scratch.vcpu = hv.current;
    return scratch;
  }

  exception(vector: number, errorCode: number): void {
    const { hv, vcpu } = this.#current();
    hv.lastRefusal = null;
    this.#wasDirect = false;
    handleException(hv, vcpu, vector, errorCode);
    leave(hv, vcpu);
  }

  softwareInterrupt(vector: number, instructionLength: number): void {
    const { hv, vcpu } = this.#current();
    const cpu = hv.cpu;
    hv.lastRefusal = null;
    this.#wasDirect = false;
    if (vector === HYPERCALL_VECTOR && cpu.cpl === 1) {
      enterHypercall(hv, vcpu, instructionLength);
    } else if (vector === VECTOR_BP || vector === VECTOR_OF) {
      // These gates are open to all rings: the guest's DPL is not asked.
      cpu.eip = (cpu.eip + instructionLength) >>> 0;
      cpu.retire();
      deliverTrap(hv, vcpu, vector, -1, currentContext(hv));
    } else if ((vcpu.trapFlags[vector]! & TI_DPL_MASK) >= cpu.cpl) {
      cpu.eip = (cpu.eip + instructionLength) >>> 0;
      cpu.retire();
      this.#wasDirect = vector === 0x80 && hasDirectGate(vcpu);
      if (this.#wasDirect) deliverDirect80(hv, vcpu);
      else deliverTrap(hv, vcpu, vector, -1, currentContext(hv));
    } else {
      handleException(hv, vcpu, VECTOR_GP, vector * 8 + 2);
    }
    leave(hv, vcpu);
  }

  /**
   * Everything comes to the hypervisor first, so this #DB hits its own first instruction: it ignores it, and the guest
   * hears nothing. Where the processor goes straight to the guest's handler, it is the guest's.
   */
  heldBreakpoints(hits: number): void {
    const { hv, vcpu } = this.#current();
    if (!this.#wasDirect || vcpu.domain.end !== null) return;
    hv.cpu.setDr(6, hv.cpu.getDr(6) | hits);
    this.exception(VECTOR_DB, -1);
  }

  descriptorAddress(selector: number): number {
    const { hv, vcpu } = this.#current();
    return guestDescriptorAddress(hv, vcpu, selector);
  }

  kernelStack(): { ss: number; esp: number } {
    const { vcpu } = this.#current();
    kernelStackScratch.ss = vcpu.kernelSs;
    kernelStackScratch.esp = vcpu.kernelEsp;
    return kernelStackScratch;
  }

  portRead(port: number, size: number): number {
    const { hv, vcpu } = this.#current();
    return readPort(hv, vcpu, port, size);
  }

  portWrite(port: number, size: number, value: number): void {
    const { hv, vcpu } = this.#current();
    writePort(hv, vcpu, port, size, value);
  }

  /** Every access is trapped and judged by io-rights.ts. */
  portAllowed(): boolean {
    return false;
  }

  halted(): void {
    throw new EngineBug('HLT at ring 0: no guest ever runs there');
  }
}

const scratch = {} as { hv: Hypervisor; vcpu: Vcpu };

/** The way back: other vcpus first if the scheduler is due (run.ts goes on), else what section 2.1 lists. */
function leave(hv: Hypervisor, vcpu: Vcpu): void {
  if (hv.rescheduleDue || vcpu.domain.end !== null) {
    hv.returnPathDue = true;
    hv.cpu.requestExit();
    return;
  }
  returnToGuest(hv, vcpu);
  // What it has left undone comes first (run.ts).
  if (vcpu.domain.end !== null || vcpu.domain.undone.length > 0) hv.cpu.requestExit();
}

/** 3.0.2's real gate for 0x80: the handler must be the guest's own code and must not mask events. */
function hasDirectGate(vcpu: Vcpu): boolean {
  if (vcpu.domain.personality !== '3.0.2' || vcpu.trapAddress[0x80] === 0) return false;
  if (vcpu.trapFlags[0x80]! & TI_MASK_EVENTS) return false;
  const cs = vcpu.trapCs[0x80]!;
  return cs === FLAT_KERNEL_CS || (cs & 4) !== 0 || cs >>> 3 < 7168;
}

function handleException(hv: Hypervisor, vcpu: Vcpu, vector: number, errorCode: number): void {
  const cpu = hv.cpu;
  switch (vector) {
    case VECTOR_PF:
      pageFault(hv, vcpu, errorCode, cpu.cr2);
      return;
    case VECTOR_GP:
      if (errorCode === 0) {
        const done = emulatePrivileged(hv, vcpu);
        if (done === EMULATED) {
          stepAfterEmulation(hv, vcpu);
          return;
        }
        if (done === EMULATION_PAGE_FAULT) {
          pageFault(hv, vcpu, emulationFault.code, emulationFault.linear);
          return;
        }
        if (done === EMULATION_UNDEFINED) {
          deliverTrap(hv, vcpu, VECTOR_UD, -1, currentContext(hv));
          return;
        }
        if (tryFlipSegment(hv, vcpu)) return;
      } else if (vcpu.domain.personality === '4.17' && !(errorCode & CODE_OF_IDT)) {
        const done = emulateGate(hv, vcpu, errorCode);
        if (done === EMULATED) {
          stepAfterEmulation(hv, vcpu);
          return;
        }
        if (done === EMULATION_PAGE_FAULT) {
          pageFault(hv, vcpu, emulationFault.code, emulationFault.linear);
          return;
        }
        vector = done >>> 16;
        errorCode = done & 0xffff;
      }
      noteFault(hv, vcpu, vector, errorCode);
      break;
    case VECTOR_UD:
      if (emulateForcedCpuid(hv, vcpu)) {
        stepAfterEmulation(hv, vcpu);
        return;
      }
      noteFault(hv, vcpu, vector, errorCode);
      break;
    case VECTOR_NM:
      // Delivered to the guest with its TS already clear.
      setVirtualTs(hv, vcpu, false);
      break;
    case VECTOR_DB:
      vcpu.debugRegisters[6] = cpu.getDr(6);
      break;
    case VECTOR_BP:
    case VECTOR_OF:
      break;
    default:
      noteFault(hv, vcpu, vector, errorCode);
  }
  deliverTrap(hv, vcpu, vector, errorCode, currentContext(hv));
}

/** An emulated instruction was stepped over like any other. */
function stepAfterEmulation(hv: Hypervisor, vcpu: Vcpu): void {
  if (!(hv.cpu.eflags & EFLAGS_TF) || vcpu.domain.personality === '3.0.2') return;
  vcpu.debugRegisters[6] = (vcpu.debugRegisters[6]! | DR6_BS) >>> 0;
  deliverTrap(hv, vcpu, VECTOR_DB, -1, currentContext(hv));
}

function pageFault(hv: Hypervisor, vcpu: Vcpu, rawCode: number, cr2: number): void {
  const kernel = hv.cpu.cpl === 1;
  const code = kernel ? rawCode & ~PF_USER : rawCode | PF_USER;
  const protection = (code & (PF_PRESENT | PF_WRITE | PF_RESERVED)) === (PF_PRESENT | PF_WRITE);
  const noted = vcpu.refusals.at(-1);
  if (kernel && protection && cr2 < vcpu.domain.holeStart && tryWritablePageTable(hv, cr2)) return;
  // A store that the assist refused has its reason already.
  if (vcpu.refusals.at(-1) === noted) noteFault(hv, vcpu, VECTOR_PF, code, cr2);
  vcpu.virtualCr2 = cr2;
  setInfoCr2(hv, vcpu, cr2);
  deliverTrap(hv, vcpu, VECTOR_PF, code, currentContext(hv));
}
