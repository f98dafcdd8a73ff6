/**
 * Far JMP and CALL, direct and through call gates, and far RET. Intel SDM vol. 2, JMP, CALL, RET; vol. 3A,
 * "Privilege Level Checking When Transferring Program Control Between Code Segments".
 *
 * This processor has no task switches: a TSS or task gate, and any other system descriptor, is refused with
 * #GP(selector) like a descriptor of the wrong type (after the gate's own privilege and present checks, which come
 * first in either case). Nothing is changed by a transfer that is refused.
 */
import { ACCESS_USER, type Processor } from '../cpu.ts';
import { addressOf, CS, DS, ES, ESP, FS, GS, SS } from '../layout.ts';
import { DESCRIPTOR_FAULT } from '../trap-sink.ts';
import {
  $pushes,
  $stack,
  currentStack,
  espAfter,
  load,
  peekStack,
  pushAll,
  setStackPointer,
} from './checked-access.ts';
import {
  $descriptor,
  commitDescriptor,
  fetchDescriptor,
  markAccessed,
  takeSinkFault,
} from './descriptor-fetch.ts';
import {
  checkDirectTransfer,
  checkReturnTransfer,
  checkStackLoad,
  DESC_ACCESS_MASK,
  DESC_ACCESSED,
  DESC_BIG,
  descriptorBase,
  descriptorDpl,
  descriptorLimit,
  descriptorType,
  faultOnSelector,
  gateOffset,
  gateParameters,
  gateSelector,
  isCode,
  isCodeOrData,
  isConforming,
  isNullSelector,
  isPresent,
  isTooPrivileged,
  refusal,
  SYS_CALL_GATE16,
  SYS_CALL_GATE32,
  selectorRpl,
  stackMask,
  VECTOR_GP,
  VECTOR_NP,
  VECTOR_SS,
  VECTOR_TS,
} from './descriptors.ts';
import { finish } from './finish.ts';
import {
  RARE_JUMP,
  type RareFunction,
  type RareMachine,
  type RareOperands,
  type RareStatus,
} from './rare.ts';
import { afterOffset } from './segments.ts';

/** $ A far pointer: where to. */
const $target = { selector: 0, offset: 0 };

function readPointer(m: RareMachine, insn: RareOperands): number {
  const size = insn.operandSize >>> 3;
  if (!insn.isMemory) {
    $target.selector = insn.immediate2 & 0xffff;
    $target.offset = size === 4 ? insn.immediate >>> 0 : insn.immediate & 0xffff;
    return 0;
  }
  const offset = load(m.cpu, insn.segment, insn.offset, size);
  if (offset < 0) return -offset;
  const selector = load(m.cpu, insn.segment, afterOffset(insn, size), 2);
  if (selector < 0) return -selector;
  $target.selector = selector;
  $target.offset = offset;
  return 0;
}

const outsideLimit = (offset: number): boolean => offset > descriptorLimit($descriptor.low, $descriptor.high);

/** Loads CS with the fetched descriptor at privilege level `cpl`, and EIP. */
function enterCode(cpu: Processor, selector: number, offset: number, cpl: number): void {
  commitDescriptor(cpu, CS, (selector & 0xfffc) | cpl);
  cpu.cpl = cpl;
  cpu.eip = offset;
}

/** $ What checkGate found; the gate's target code segment is then in $descriptor. */
const $gate = { selector: 0, offset: 0, size: 4, parameters: 0 };

/** The call gate in $descriptor, named by `selector`: its own checks, then fetches its code segment. */
function openGate(cpu: Processor, selector: number): number {
  const { low, high } = $descriptor;
  const type = descriptorType(high);
  const isGate = type === SYS_CALL_GATE16 || type === SYS_CALL_GATE32;
  const dpl = descriptorDpl(high);
  if (!isGate || dpl < cpu.cpl || dpl < selectorRpl(selector)) return faultOnSelector(VECTOR_GP, selector);
  if (!isPresent(high)) return faultOnSelector(VECTOR_NP, selector);
  $gate.size = type === SYS_CALL_GATE32 ? 4 : 2;
  $gate.selector = gateSelector(low);
  $gate.offset = type === SYS_CALL_GATE32 ? gateOffset(low, high) : low & 0xffff;
  $gate.parameters = gateParameters(high);
  if (isNullSelector($gate.selector)) return refusal(VECTOR_GP, 0);
  return fetchDescriptor(cpu, $gate.selector);
}

function jumpFar(cpu: Processor, selector: number, offset: number): number {
  if (isNullSelector(selector)) return refusal(VECTOR_GP, 0);
  let refused = fetchDescriptor(cpu, selector);
  if (refused !== 0) return refused;
  if (isCodeOrData($descriptor.high)) {
    refused = checkDirectTransfer(selector, $descriptor.high, cpu.cpl);
  } else {
    refused = openGate(cpu, selector);
    if (refused !== 0) return refused;
    selector = $gate.selector & 0xfffc;
    offset = $gate.offset;
    // RPL 0: the RPL in a gate's selector plays no part.
    refused = checkDirectTransfer(selector, $descriptor.high, cpu.cpl);
  }
  if (refused !== 0) return refused;
  if (outsideLimit(offset)) return refusal(VECTOR_GP, 0);
  enterCode(cpu, selector, offset, cpu.cpl);
  return 0;
}

function callFar(cpu: Processor, selector: number, offset: number, size: number, nextEip: number): number {
  if (isNullSelector(selector)) return refusal(VECTOR_GP, 0);
  let refused = fetchDescriptor(cpu, selector);
  if (refused !== 0) return refused;
  if (isCodeOrData($descriptor.high)) {
    refused = checkDirectTransfer(selector, $descriptor.high, cpu.cpl);
    return refused !== 0 ? refused : callSameRing(cpu, selector, offset, size, nextEip);
  }
  refused = openGate(cpu, selector);
  if (refused !== 0) return refused;
  const target = $gate.selector;
  const { high } = $descriptor;
  const dpl = descriptorDpl(high);
  if (!isCode(high) || dpl > cpu.cpl) return faultOnSelector(VECTOR_GP, target);
  if (!isPresent(high)) return faultOnSelector(VECTOR_NP, target);
  if (!isConforming(high) && dpl < cpu.cpl) return callInnerRing(cpu, dpl, nextEip);
  return callSameRing(cpu, target, $gate.offset, $gate.size, nextEip);
}

/** Pushes the return address on the current stack and enters the code segment in $descriptor. */
function callSameRing(
  cpu: Processor,
  selector: number,
  offset: number,
  size: number,
  nextEip: number,
): number {
  if (outsideLimit(offset)) return refusal(VECTOR_GP, 0);
  const stack = currentStack(cpu);
  $pushes[0] = cpu.getSelector(CS);
  $pushes[1] = nextEip;
  const refused = pushAll(cpu, stack, 2, size);
  if (refused !== 0) return refused;
  cpu.setReg(ESP, espAfter(stack, 2 * size));
  enterCode(cpu, selector, offset, cpu.cpl);
  return 0;
}

/**
 * Through a gate to more privileged code: the stack comes from the TSS, and the gate's parameters are copied to it.
 *   new stack, from the top: SS ESP parameters (in their old order) CS EIP
 */
function callInnerRing(cpu: Processor, ring: number, nextEip: number): number {
  const { selector, offset, size, parameters } = $gate;
  const codeLow = $descriptor.low;
  const codeHigh = $descriptor.high;
  const codeAt = $descriptor.maddr;

  const { ss, esp } = cpu.sink.kernelStack(ring);
  if (ss === DESCRIPTOR_FAULT) return takeSinkFault(cpu);
  if (ss < 0) return faultOnSelector(VECTOR_TS, taskSelector(cpu));
  if (isNullSelector(ss)) return refusal(VECTOR_TS, 0);
  let refused = fetchDescriptor(cpu, ss, VECTOR_TS);
  if (refused !== 0) return refused;
  const { low, high, maddr } = $descriptor;
  refused = checkStackLoad(ss, high, ring, VECTOR_TS);
  if (refused !== 0) return refused;
  if (offset > descriptorLimit(codeLow, codeHigh)) return refusal(VECTOR_GP, 0);

  let count = 0;
  $pushes[count++] = cpu.getSelector(SS);
  $pushes[count++] = cpu.getReg(ESP);
  for (let i = parameters - 1; i >= 0; i--) {
    const parameter = peekStack(cpu, i * size, size);
    if (parameter < 0) return -parameter;
    $pushes[count++] = parameter;
  }
  $pushes[count++] = cpu.getSelector(CS);
  $pushes[count++] = nextEip;
  $stack.access = high & DESC_ACCESS_MASK;
  $stack.base = descriptorBase(low, high);
  $stack.limit = descriptorLimit(low, high);
  $stack.esp = esp;
  $stack.user = ring === 3 ? ACCESS_USER : 0;
  $stack.fault = faultOnSelector(VECTOR_SS, ss);
  refused = pushAll(cpu, $stack, count, size);
  if (refused !== 0) return refused;

  markAccessed(cpu, maddr, high);
  cpu.setSegmentHidden(SS, ss, low, high | DESC_ACCESSED);
  cpu.setReg(ESP, espAfter($stack, count * size));
  markAccessed(cpu, codeAt, codeHigh);
  cpu.setSegmentHidden(CS, (selector & 0xfffc) | ring, codeLow, codeHigh | DESC_ACCESSED);
  cpu.cpl = ring;
  cpu.eip = offset;
  return 0;
}

const TR_SELECTOR = addressOf('tr') >>> 2;
/** The selector that #TS names when the TSS itself is too short. */
const taskSelector = (cpu: Processor): number => cpu.memory.u32[TR_SELECTOR]!;

/**
 * The part that RETF and IRET share once CS:EIP are popped: `popped` bytes of the stack are used up by then, and for
 * an outer ring ESP and SS follow. `release` bytes of parameters are dropped from both stacks.
 * `commitFlags` is called when nothing can fault any more and before CPL changes.
 */
export function returnFar(
  cpu: Processor,
  selector: number,
  offset: number,
  size: number,
  popped: number,
  release: number,
  commitFlags: (() => void) | null,
): number {
  if (isNullSelector(selector)) return refusal(VECTOR_GP, 0);
  const cpl = cpu.cpl;
  const rpl = selectorRpl(selector);
  let refused = fetchDescriptor(cpu, selector);
  if (refused !== 0) return refused;
  refused = checkReturnTransfer(selector, $descriptor.high, cpl);
  if (refused !== 0) return refused;

  if (rpl === cpl) {
    if (outsideLimit(offset)) return refusal(VECTOR_GP, 0);
    commitFlags?.();
    setStackPointer(cpu, cpu.getReg(ESP) + popped + release);
    enterCode(cpu, selector, offset, cpl);
    return 0;
  }

  const codeLow = $descriptor.low;
  const codeHigh = $descriptor.high;
  const codeAt = $descriptor.maddr;
  const esp = peekStack(cpu, popped + release, size);
  if (esp < 0) return -esp;
  const poppedSs = peekStack(cpu, popped + release + size, size);
  if (poppedSs < 0) return -poppedSs;
  const ss = poppedSs & 0xffff;
  if (isNullSelector(ss)) return refusal(VECTOR_GP, 0);
  refused = fetchDescriptor(cpu, ss);
  if (refused !== 0) return refused;
  refused = checkStackLoad(ss, $descriptor.high, rpl);
  if (refused !== 0) return refused;
  if (offset > descriptorLimit(codeLow, codeHigh)) return refusal(VECTOR_GP, 0);

  commitFlags?.();
  commitDescriptor(cpu, SS, ss);
  // A return to a 16-bit stack writes SP alone: the upper half of ESP stays the inner ring's.
  const mask = stackMask($descriptor.high & DESC_BIG);
  cpu.setReg(ESP, ((cpu.getReg(ESP) & ~mask) | ((esp + release) & mask)) >>> 0);
  markAccessed(cpu, codeAt, codeHigh);
  cpu.setSegmentHidden(CS, selector, codeLow, codeHigh | DESC_ACCESSED);
  cpu.cpl = rpl;
  cpu.eip = offset;
  nullPrivilegedSegments(cpu);
  return 0;
}

function nullPrivilegedSegments(cpu: Processor): void {
  for (const segment of DATA_SEGMENTS)
    if (isTooPrivileged(cpu.getSegmentAccess(segment), cpu.cpl)) cpu.setSegmentHidden(segment, 0, 0, 0);
}
const DATA_SEGMENTS = [ES, FS, GS, DS] as const;

/** JMP ptr16:16/32 and m16:16/32. */
export const jmpFar: RareFunction = (m, insn) => {
  const refused = readPointer(m, insn);
  return finish(m, refused !== 0 ? refused : jumpFar(m.cpu, $target.selector, $target.offset), RARE_JUMP);
};

/** CALL ptr16:16/32 and m16:16/32. */
export const callFarInstruction: RareFunction = (m, insn) => {
  let refused = readPointer(m, insn);
  if (refused === 0)
    refused = callFar(m.cpu, $target.selector, $target.offset, insn.operandSize >>> 3, insn.nextEip);
  return finish(m, refused, RARE_JUMP);
};

function retf(m: RareMachine, insn: RareOperands, release: number): RareStatus {
  const size = insn.operandSize >>> 3;
  const offset = peekStack(m.cpu, 0, size);
  if (offset < 0) return finish(m, -offset);
  const selector = peekStack(m.cpu, size, size);
  if (selector < 0) return finish(m, -selector);
  return finish(m, returnFar(m.cpu, selector & 0xffff, offset, size, 2 * size, release, null), RARE_JUMP);
}
export const retFar: RareFunction = (m, insn) => retf(m, insn, 0);
/** RETF imm16. */
export const retFarRelease: RareFunction = (m, insn) => retf(m, insn, insn.immediate);
