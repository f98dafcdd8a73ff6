/**
 * One event through the IDT: gate, target code segment, stack of the inner ring if there is a change of ring, frame.
 * Intel SDM vol. 3A, "Exception- or Interrupt-Handler Procedures"; vol. 2, INT n. Nothing is changed unless all of
 * it succeeds.
 *
 *   same ring      higher addresses        inner ring      SS
 *                  EFLAGS                                  ESP
 *                  CS                                      EFLAGS
 *                  EIP                                     CS
 *                  error code (some)                       EIP
 *                                                          error code (some)
 *
 * Task gates are refused like any other type that is no interrupt or trap gate: this processor has no task switch.
 */
import type { Processor } from '../cpu.ts';
import { IF, NT, RF, TF } from '../flags.ts';
import { CS, ESP, SS } from '../layout.ts';
import { $pushes, $stack, currentStack, espAfter, pageFault, pushAll } from '../rare/checked-access.ts';
import { markAccessed } from '../rare/descriptor-fetch.ts';
import {
  checkStackLoad,
  DESC_ACCESS_MASK,
  DESC_ACCESSED,
  descriptorBase,
  descriptorDpl,
  descriptorLimit,
  descriptorType,
  gateOffset,
  gateSelector,
  isCode,
  isConforming,
  isNullSelector,
  isPresent,
  refusal,
  SYS_INTERRUPT_GATE16,
  SYS_INTERRUPT_GATE32,
  SYS_TRAP_GATE16,
  SYS_TRAP_GATE32,
  VECTOR_GP,
  VECTOR_NP,
  VECTOR_SS,
  VECTOR_TS,
} from '../rare/descriptors.ts';
import { VM } from '../rare/flag-rules.ts';
import { DESCRIPTOR_FAULT } from '../trap-sink.ts';
import { gateDescriptor, segmentDescriptor, stackOfRing, taskSelector } from './tables.ts';

/** Who raised the event: `int n` honours the gate's DPL; everything else is external to the program (EXT). */
export const SOFTWARE = 0;
export const EXTERNAL = 1;
export type Origin = typeof SOFTWARE | typeof EXTERNAL;

/** The descriptor's machine address, or a negated refusal. */
function codeDescriptor(cpu: Processor, selector: number, ext: number): number {
  const maddr = segmentDescriptor(cpu, selector);
  if (maddr >= 0) return maddr;
  return -(maddr === DESCRIPTOR_FAULT ? pageFault(cpu) : refusal(VECTOR_GP, (selector & 0xfffc) | ext));
}

/**
 * Delivers `vector` with `returnEip` as the saved EIP.
 * @param errorCode -1: none is pushed.
 * @param rf sets RF in the saved EFLAGS: fault-class exceptions, so that their restart ignores breakpoints.
 * @returns 0, or the refusal of the exception that came up on the way.
 */
export function deliverThroughIdt(
  cpu: Processor,
  vector: number,
  errorCode: number,
  origin: Origin,
  returnEip: number,
  rf: boolean,
): number {
  const memory = cpu.memory;
  const ext = origin;
  const gateCode = vector * 8 + 2 + ext;
  const gateAt = gateDescriptor(cpu, vector);
  if (gateAt < 0) return gateAt === DESCRIPTOR_FAULT ? pageFault(cpu) : refusal(VECTOR_GP, gateCode);
  const gateLow = memory.read32(gateAt);
  const gateHigh = memory.read32(gateAt + 4);
  const type = (gateHigh & 0x1000) !== 0 ? -1 : descriptorType(gateHigh);
  const is32 = type === SYS_INTERRUPT_GATE32 || type === SYS_TRAP_GATE32;
  if (!is32 && type !== SYS_INTERRUPT_GATE16 && type !== SYS_TRAP_GATE16) return refusal(VECTOR_GP, gateCode);
  const cpl = cpu.cpl;
  if (origin === SOFTWARE && cpl > descriptorDpl(gateHigh)) return refusal(VECTOR_GP, gateCode);
  if (!isPresent(gateHigh)) return refusal(VECTOR_NP, gateCode);

  const selector = gateSelector(gateLow);
  if (isNullSelector(selector)) return refusal(VECTOR_GP, ext);
  const codeAt = codeDescriptor(cpu, selector, ext);
  if (codeAt < 0) return -codeAt;
  const codeLow = memory.read32(codeAt);
  const codeHigh = memory.read32(codeAt + 4);
  const dpl = descriptorDpl(codeHigh);
  if (!isCode(codeHigh) || dpl > cpl) return refusal(VECTOR_GP, (selector & 0xfffc) | ext);
  if (!isPresent(codeHigh)) return refusal(VECTOR_NP, (selector & 0xfffc) | ext);

  const offset = is32 ? gateOffset(gateLow, gateHigh) : gateLow & 0xffff;
  const size = is32 ? 4 : 2;
  const inner = !isConforming(codeHigh) && dpl < cpl;
  const ring = inner ? dpl : cpl;
  const flags = cpu.eflags;
  let count = 0;
  let ss = 0;
  let stackAt = 0;
  let ssLow = 0;
  let ssHigh = 0;
  currentStack(cpu);
  $stack.fault = refusal(VECTOR_SS, ext);

  if (inner) {
    const stack = stackOfRing(cpu, ring);
    if (stack.ss < 0)
      return stack.ss === DESCRIPTOR_FAULT
        ? pageFault(cpu)
        : refusal(VECTOR_TS, (taskSelector(cpu) & 0xfffc) | ext);
    ss = stack.ss;
    if (isNullSelector(ss)) return refusal(VECTOR_TS, ext);
    stackAt = segmentDescriptor(cpu, ss);
    if (stackAt < 0)
      return stackAt === DESCRIPTOR_FAULT ? pageFault(cpu) : refusal(VECTOR_TS, (ss & 0xfffc) | ext);
    ssLow = memory.read32(stackAt);
    ssHigh = memory.read32(stackAt + 4);
    const refused = checkStackLoad(ss, ssHigh, ring, VECTOR_TS);
    if (refused !== 0) return refused | ext;
    $pushes[count++] = cpu.getSelector(SS);
    $pushes[count++] = $stack.esp;
    $stack.access = ssHigh & DESC_ACCESS_MASK;
    $stack.base = descriptorBase(ssLow, ssHigh);
    $stack.limit = descriptorLimit(ssLow, ssHigh);
    $stack.esp = stack.esp;
    $stack.user = 0;
    $stack.fault = refusal(VECTOR_SS, (ss & 0xfffc) | ext);
  }
  // INT n itself is done, and RF with it; an interrupt finds RF as it is.
  $pushes[count++] = rf ? flags | RF : origin === SOFTWARE ? flags & ~RF : flags;
  $pushes[count++] = cpu.getSelector(CS);
  $pushes[count++] = returnEip;
  if (errorCode >= 0) $pushes[count++] = errorCode;

  if (offset > descriptorLimit(codeLow, codeHigh)) return refusal(VECTOR_GP, ext);
  const pushed = pushAll(cpu, $stack, count, size);
  if (pushed !== 0) return pushed;

  // Nothing can fail from here on.
  if (inner) {
    markAccessed(cpu, stackAt, ssHigh);
    cpu.setSegmentHidden(SS, ss, ssLow, ssHigh | DESC_ACCESSED);
  }
  markAccessed(cpu, codeAt, codeHigh);
  cpu.setSegmentHidden(CS, (selector & 0xfffc) | ring, codeLow, codeHigh | DESC_ACCESSED);
  cpu.cpl = ring;
  cpu.setReg(ESP, espAfter($stack, count * size));
  cpu.eip = offset;
  let cleared = TF | NT | RF | VM;
  if (type === SYS_INTERRUPT_GATE32 || type === SYS_INTERRUPT_GATE16) cleared |= IF;
  cpu.eflags = flags & ~cleared;
  return 0;
}
