/**
 * Delivering exceptions, software interrupts, upcalls and NMIs to a guest: the exact stack frames of
 * cpu-and-events.md section 2, and the ways in which a domain dies of a delivery that cannot be made.
 *
 *   lowest address first      from ring 1                      from ring 2, 3
 *   event, no code            EIP CS+mask EFLAGS               EIP CS+mask EFLAGS ESP SS
 *   with error code           CODE EIP CS+mask EFLAGS          CODE EIP CS+mask EFLAGS ESP SS
 *   failsafe                  DS ES FS GS EIP CS+mask EFLAGS   DS ES FS GS EIP CS+mask EFLAGS ESP SS
 */
import { ACCESS_WRITE } from '../cpu/cpu.ts';
import { CS, DS, ES, ESP, FS, GS, SS } from '../cpu/layout.ts';
import {
  EFLAGS_IF,
  EFLAGS_IOPL,
  EFLAGS_NT,
  EFLAGS_RF,
  EFLAGS_TF,
  EFLAGS_VM,
  FLAT_KERNEL_CS,
  FLAT_KERNEL_SS,
  TI_MASK_EVENTS,
  VMASST_TYPE_architectural_iopl,
} from './abi/constants.ts';
import { charge } from './charge.ts';
import { crashDomain } from './domain-lifecycle.ts';
import { vectorName } from './explain.ts';
import { BREAK_ON_DELIVERY, type Hypervisor } from './hypervisor.ts';
import { TRACE_exception, TRACE_upcall } from './trace.ts';
import { RELOAD_all, RELOAD_none, type Vcpu } from './vcpu.ts';
import { setUpcallMask, upcallMask, upcallPending } from './vcpu-info.ts';

/** Where the guest was, or was about to return to, when something has to be delivered. */
export interface InterruptedContext {
  eip: number;
  cs: number;
  eflags: number;
  esp: number;
  ss: number;
}

const interrupted: InterruptedContext = { eip: 0, cs: 0, eflags: 0, esp: 0, ss: 0 }; // scratch

/** The processor's own state as an interrupted context. Reused: valid until the next call. */
export function currentContext(hv: Hypervisor): InterruptedContext {
  const cpu = hv.cpu;
  interrupted.eip = cpu.eip;
  interrupted.cs = (cpu.getSelector(CS) & ~3) | cpu.cpl;
  interrupted.eflags = cpu.eflags;
  interrupted.esp = cpu.getReg(ESP);
  interrupted.ss = cpu.getSelector(SS);
  return interrupted;
}

const words = new Uint32Array(10); // scratch: the frame, highest address first

/** Pushes words[0..count) below SS:ESP of the loaded stack. @returns false when a store fails. */
function pushWords(hv: Hypervisor, count: number): boolean {
  const cpu = hv.cpu;
  const limit = cpu.getSegmentLimit(SS);
  const access = cpu.getSegmentAccess(SS);
  const expandDown = (access & 0xc00) === 0x400;
  const base = cpu.getSegmentBase(SS);
  let esp = cpu.getReg(ESP);
  for (let i = 0; i < count; i++) {
    esp = (esp - 4) >>> 0;
    const inside = expandDown ? esp > limit && esp <= 0xffff_fffc : esp + 3 <= limit;
    if (!inside) return false;
    const linear = (base + esp) >>> 0;
    if ((linear & 4095) <= 4092) {
      const maddr = cpu.translate(linear, ACCESS_WRITE);
      if (maddr < 0) return false;
      hv.memory.write32(maddr, words[i]!);
    } else {
      for (let byte = 0; byte < 4; byte++) {
        const maddr = cpu.translate((linear + byte) >>> 0, ACCESS_WRITE);
        if (maddr < 0) return false;
        hv.memory.write8(maddr, words[i]! >>> (8 * byte));
      }
    }
  }
  cpu.setReg(ESP, esp);
  return true;
}

/** Loads CS:EIP and SS of a ring-1 entry. @returns null, or what cannot be loaded. */
function enterRing1(hv: Hypervisor, cs: number, ss: number): string | null {
  const cpu = hv.cpu;
  if ((cs & 3) !== 1 || (ss & 3) !== 1)
    return `the selectors ${cs.toString(16)} and ${ss.toString(16)} are not of ring 1`;
  // A return to an outer ring is always possible from here; the checks are those of the descriptor itself.
  cpu.cpl = 0;
  if (cpu.loadSegment(CS, cs) !== 0) return `code selector ${cs.toString(16)} cannot be loaded`;
  cpu.cpl = 1;
  if (cpu.loadSegment(SS, ss) !== 0) return `stack selector ${ss.toString(16)} cannot be loaded`;
  return null;
}

export interface Bounce {
  what: string;
  cs: number;
  eip: number;
  /** -1: none. */
  errorCode: number;
  maskEvents: boolean;
  failsafe: boolean;
  /** 3.0.2's direct 0x80 gate: the processor's own frame, without the mask byte. */
  direct: boolean;
}
const bounceScratch: Bounce = {
  what: '',
  cs: 0,
  eip: 0,
  errorCode: -1,
  maskEvents: false,
  failsafe: false,
  direct: false,
};

/**
 * Builds the frame and enters the guest's handler; the domain dies if that fails.
 * @returns whether the handler was entered.
 */
export function bounce(hv: Hypervisor, vcpu: Vcpu, context: InterruptedContext, to: Bounce): boolean {
  const cpu = hv.cpu;
  const modern = vcpu.domain.personality === '4.17';
  const fromRing1 = (context.cs & 3) === 1;
  const { eip, cs, eflags, esp, ss } = context;
  const missing = modern ? (to.cs & 0xfffc) === 0 : to.eip === 0;
  if (missing) {
    crashDomain(hv, vcpu, {
      operation: to.what,
      rule: 'no-handler',
      eip,
      because: `the guest has not registered a handler for ${to.what}`,
      legal: 'set_trap_table, set_callbacks or callback_op registers handlers',
    });
    return false;
  }
  const mask = upcallMask(hv, vcpu);
  let count = 0;
  if (!fromRing1) {
    words[count++] = ss;
    words[count++] = esp;
  }
  if (to.direct) {
    words[count++] = eflags | EFLAGS_IF;
    words[count++] = cs;
  } else {
    let image = (eflags & ~(EFLAGS_IF | EFLAGS_IOPL)) | (mask === 0 ? EFLAGS_IF : 0);
    if (vcpu.domain.vmAssist & (1 << VMASST_TYPE_architectural_iopl)) image |= vcpu.iopl << 12;
    words[count++] = image;
    words[count++] = cs | (mask << 16);
  }
  words[count++] = eip;
  if (to.errorCode >= 0) words[count++] = to.errorCode;
  if (to.failsafe) {
    words[count++] = cpu.getSelector(GS);
    words[count++] = cpu.getSelector(FS);
    words[count++] = cpu.getSelector(ES);
    words[count++] = cpu.getSelector(DS);
  }
  const stackSs = fromRing1 ? ss : vcpu.kernelSs;
  const problem = enterRing1(hv, to.cs, stackSs);
  if (problem === null) {
    cpu.setReg(ESP, fromRing1 ? esp : vcpu.kernelEsp);
    if (pushWords(hv, count)) {
      if (to.maskEvents) setUpcallMask(hv, vcpu, mask | 1);
      cpu.eip = to.eip;
      cpu.eflags = (eflags & ~(EFLAGS_TF | EFLAGS_NT | EFLAGS_RF | EFLAGS_VM | EFLAGS_IOPL)) | EFLAGS_IF;
      charge(hv, hv.costs.bounce);
      if (hv.breakOn & BREAK_ON_DELIVERY) stopHere(hv);
      return true;
    }
  }
  cpu.cpl = context.cs & 3; // what the panels show is where it was
  crashDomain(hv, vcpu, {
    operation: to.what,
    rule: problem === null ? 'bad-kernel-stack' : 'bad-handler-selector',
    eip,
    va: fromRing1 ? esp : vcpu.kernelEsp,
    because: `${to.what} could not be delivered: ${problem ?? `the frame cannot be stored on the stack ${stackSs.toString(16)}:${(fromRing1 ? esp : vcpu.kernelEsp).toString(16)}`}`,
    legal: 'the kernel stack (stack_switch) must be mapped and writable in every address space',
  });
  return false;
}

function stopHere(hv: Hypervisor): void {
  hv.stopRequested = true;
  if (hv.running) hv.cpu.requestExit();
}

function fill(cs: number, eip: number, errorCode: number, maskEvents: boolean): Bounce {
  bounceScratch.cs = cs;
  bounceScratch.eip = eip;
  bounceScratch.errorCode = errorCode;
  bounceScratch.maskEvents = maskEvents;
  bounceScratch.failsafe = false;
  bounceScratch.direct = false;
  return bounceScratch;
}

/** Delivers exception or software interrupt `vector` to the guest's virtual IDT. */
export function deliverTrap(
  hv: Hypervisor,
  vcpu: Vcpu,
  vector: number,
  errorCode: number,
  context: InterruptedContext,
): boolean {
  hv.trace.exceptions[vector]!++;
  hv.trace.record(
    hv.now(),
    TRACE_exception,
    vcpu.domain.id,
    vcpu.id,
    vector,
    context.cs & 3,
    errorCode,
    context.eip,
  );
  const to = fill(
    vcpu.trapCs[vector]!,
    vcpu.trapAddress[vector]!,
    errorCode,
    (vcpu.trapFlags[vector]! & TI_MASK_EVENTS) !== 0,
  );
  to.what = vectorName(vector);
  return bounce(hv, vcpu, context, to);
}

/** `int 0x80` through the gate that 3.0.2 puts into the real IDT. */
export function deliverDirect80(hv: Hypervisor, vcpu: Vcpu): boolean {
  const context = currentContext(hv);
  hv.trace.exceptions[0x80]!++;
  hv.trace.record(hv.now(), TRACE_exception, vcpu.domain.id, vcpu.id, 0x80, context.cs & 3, -1, context.eip);
  const to = fill(vcpu.trapCs[0x80]!, vcpu.trapAddress[0x80]!, -1, false);
  to.what = vectorName(0x80);
  to.direct = true;
  return bounce(hv, vcpu, context, to);
}

const DATA_SEGMENTS: readonly number[] = [DS, ES, FS, GS];

/** The failsafe callback: a selector of the state to return to cannot be loaded. */
export function deliverFailsafe(
  hv: Hypervisor,
  vcpu: Vcpu,
  context: InterruptedContext,
  failing: readonly number[] = DATA_SEGMENTS,
): boolean {
  const cpu = hv.cpu;
  const modern = vcpu.domain.personality === '4.17';
  const to = fill(
    modern && vcpu.failsafeCallbackEip !== 0 ? FLAT_KERNEL_CS : vcpu.failsafeCallbackCs,
    vcpu.failsafeCallbackEip,
    -1,
    modern && vcpu.failsafeMasksEvents,
  );
  to.what = 'the failsafe callback';
  to.failsafe = true;
  if (modern && (context.cs & 3) === 1) context.ss = FLAT_KERNEL_SS;
  if (!bounce(hv, vcpu, context, to)) return false;
  // The bad values are on the stack; the handler starts with null selectors. In 4.17 only what failed is null.
  for (const segment of modern ? failing : DATA_SEGMENTS) cpu.setSegmentHidden(segment, 0, 0, 0);
  return true;
}

/** The event upcall. The guest clears pending and selector itself. */
export function deliverUpcall(hv: Hypervisor, vcpu: Vcpu): boolean {
  const context = currentContext(hv);
  hv.trace.upcalls++;
  hv.trace.record(hv.now(), TRACE_upcall, vcpu.domain.id, vcpu.id, 0, context.cs & 3, 0, context.eip);
  const to = fill(vcpu.eventCallbackCs, vcpu.eventCallbackEip, -1, true);
  to.what = 'the event callback';
  return bounce(hv, vcpu, context, to);
}

function deliverNmi(hv: Hypervisor, vcpu: Vcpu): boolean {
  vcpu.nmiPending = false;
  vcpu.nmiMasked = true;
  const to = fill(FLAT_KERNEL_CS, vcpu.nmiHandler, -1, true);
  to.what = 'NMI';
  return bounce(hv, vcpu, currentContext(hv), to);
}

/** Loads the data segments again from their selectors; what cannot be loaded goes to the failsafe callback. */
function reloadDataSegments(hv: Hypervisor, vcpu: Vcpu): boolean {
  const cpu = hv.cpu;
  const failing: number[] = [];
  for (const segment of DATA_SEGMENTS) {
    const selector = cpu.getSelector(segment);
    if ((selector & ~3) === 0) cpu.setSegmentHidden(segment, selector, 0, 0);
    else if (cpu.loadSegment(segment, selector) !== 0) failing.push(segment);
  }
  return failing.length > 0 ? deliverFailsafe(hv, vcpu, currentContext(hv), failing) : true;
}

/** CS and SS of the state to return to, as the hypervisor's IRET loads them. @returns whether it can go on. */
function reloadCodeAndStack(hv: Hypervisor, vcpu: Vcpu): boolean {
  const cpu = hv.cpu;
  const context = currentContext(hv);
  cpu.cpl = 0;
  let fault = cpu.loadSegment(CS, context.cs);
  cpu.cpl = context.cs & 3;
  if (fault === 0) fault = cpu.loadSegment(SS, context.ss);
  return fault === 0 || deliverBadReturn(hv, vcpu, context, fault);
}

/** The state to return to is not loadable: failsafe in 3.0.2; 4.17 gives the guest the fault of the IRET. */
export function deliverBadReturn(
  hv: Hypervisor,
  vcpu: Vcpu,
  context: InterruptedContext,
  fault: number,
): boolean {
  if (vcpu.domain.personality === '3.0.2') return deliverFailsafe(hv, vcpu, context);
  return deliverTrap(hv, vcpu, fault >>> 16, fault & 0xffff, context);
}

/**
 * Everything that is due before the current vcpu goes on in guest mode (section 2.1), in order: selectors, NMI,
 * upcall; again after each delivery. The domain may die here. Scheduling has been done by the caller.
 */
export function returnToGuest(hv: Hypervisor, vcpu: Vcpu): void {
  hv.returnPathDue = false;
  while (vcpu.domain.end === null) {
    if (vcpu.reloadSegments !== RELOAD_none) {
      const all = vcpu.reloadSegments === RELOAD_all;
      vcpu.reloadSegments = RELOAD_none;
      if (!reloadCodeAndStack(hv, vcpu)) return;
      if (all && !reloadDataSegments(hv, vcpu)) return;
    } else if (vcpu.nmiPending && vcpu.nmiHandler !== 0 && !vcpu.nmiMasked) {
      if (!deliverNmi(hv, vcpu)) return;
    } else if (upcallPending(hv, vcpu) !== 0 && upcallMask(hv, vcpu) === 0) {
      if (!deliverUpcall(hv, vcpu)) return;
    } else {
      return;
    }
  }
}
