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
import { ACCESS_USER, ACCESS_WRITE, type Processor } from '../cpu.ts';
import { CS, ESP, SS } from '../layout.ts';
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
  offsetAllowed,
  refusal,
  SYS_INTERRUPT_GATE16,
  SYS_INTERRUPT_GATE32,
  SYS_TRAP_GATE16,
  SYS_TRAP_GATE32,
  stackMask,
  VECTOR_GP,
  VECTOR_NP,
  VECTOR_PF,
  VECTOR_SS,
  VECTOR_TS,
} from '../rare/descriptors.ts';
import { DESCRIPTOR_FAULT } from '../trap-sink.ts';
import { gateDescriptor, segmentDescriptor, stackOfRing, taskSelector } from './tables.ts';

const FLAG_TF = 0x100;
const FLAG_IF = 0x200;
const FLAG_NT = 0x4000;
const FLAG_RF = 0x10000;
const FLAG_VM = 0x20000;

/** Who raised the event: `int n` honours the gate's DPL; everything else is external to the program (EXT). */
export const SOFTWARE = 0;
export const EXTERNAL = 1;
export type Origin = typeof SOFTWARE | typeof EXTERNAL;

/** $ Words of the frame in push order. */
const $frame = new Uint32Array(6);

/** A page fault while delivering: cr2 is set as for any page fault. */
function pageFault(cpu: Processor): number {
  cpu.cr2 = cpu.translateFault.linear;
  return refusal(VECTOR_PF, cpu.translateFault.code);
}

/** The descriptor's machine address, or a negated refusal. */
function codeDescriptor(cpu: Processor, selector: number, ext: number): number {
  const maddr = segmentDescriptor(cpu, selector);
  if (maddr >= 0) return maddr;
  return -(maddr === DESCRIPTOR_FAULT ? pageFault(cpu) : refusal(VECTOR_GP, (selector & 0xfffc) | ext));
}

/** @returns the linear address behind a checked, writable frame of `count` words; or a negated refusal. */
function probeStack(
  cpu: Processor,
  access: number,
  limit: number,
  base: number,
  esp: number,
  count: number,
  size: number,
  user: number,
  stackFault: number,
): number {
  const mask = stackMask(access);
  for (let i = 1; i <= count; i++) {
    const offset = ((esp - i * size) & mask) >>> 0;
    if (!offsetAllowed(access, limit, offset, size)) return -stackFault;
    const linear = (base + offset) >>> 0;
    if (cpu.translate(linear, ACCESS_WRITE | user) < 0) return -pageFault(cpu);
    if ((linear & 0xfff) > 4096 - size && cpu.translate((linear + size - 1) >>> 0, ACCESS_WRITE | user) < 0)
      return -pageFault(cpu);
  }
  return 0;
}

function writeFrame(
  cpu: Processor,
  access: number,
  base: number,
  esp: number,
  count: number,
  size: number,
  user: number,
) {
  const mask = stackMask(access);
  for (let i = 1; i <= count; i++) {
    const linear = (base + (((esp - i * size) & mask) >>> 0)) >>> 0;
    const value = $frame[i - 1]!;
    const maddr = cpu.translate(linear, ACCESS_WRITE | user);
    if ((linear & 0xfff) <= 4096 - size) {
      if (size === 4) cpu.memory.write32(maddr, value);
      else cpu.memory.write16(maddr, value & 0xffff);
    } else {
      for (let b = 0; b < size; b++)
        cpu.memory.write8(cpu.translate((linear + b) >>> 0, ACCESS_WRITE | user), (value >>> (8 * b)) & 0xff);
    }
  }
}

function markAccessed(cpu: Processor, maddr: number, high: number): void {
  if ((high & DESC_ACCESSED) === 0) cpu.memory.write8(maddr + 5, ((high >>> 8) & 0xff) | 1);
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
  const user = ring === 3 ? ACCESS_USER : 0;
  const flags = cpu.eflags;
  let count = 0;
  let stackAt = 0;
  let ss = cpu.getSelector(SS);
  let esp = cpu.getReg(ESP);
  let ssLow = 0;
  let ssHigh = 0;
  let access = cpu.getSegmentAccess(SS);
  let base = cpu.getSegmentBase(SS);
  let limit = cpu.getSegmentLimit(SS);
  let stackFault = refusal(VECTOR_SS, ext);

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
    access = ssHigh & DESC_ACCESS_MASK;
    base = descriptorBase(ssLow, ssHigh);
    limit = descriptorLimit(ssLow, ssHigh);
    stackFault = refusal(VECTOR_SS, (ss & 0xfffc) | ext);
    $frame[count++] = cpu.getSelector(SS);
    $frame[count++] = esp;
    esp = stack.esp;
  }
  $frame[count++] = rf ? flags | FLAG_RF : flags;
  $frame[count++] = cpu.getSelector(CS);
  $frame[count++] = returnEip;
  if (errorCode >= 0) $frame[count++] = errorCode;

  const probed = probeStack(cpu, access, limit, base, esp, count, size, user, stackFault);
  if (probed < 0) return -probed;
  if (offset > descriptorLimit(codeLow, codeHigh)) return refusal(VECTOR_GP, ext);

  // Nothing can fail from here on.
  writeFrame(cpu, access, base, esp, count, size, user);
  if (inner) {
    markAccessed(cpu, stackAt, ssHigh);
    cpu.setSegmentHidden(SS, ss, ssLow, ssHigh | DESC_ACCESSED);
  }
  markAccessed(cpu, codeAt, codeHigh);
  cpu.setSegmentHidden(CS, (selector & 0xfffc) | ring, codeLow, codeHigh | DESC_ACCESSED);
  cpu.cpl = ring;
  const mask = stackMask(access);
  cpu.setReg(ESP, ((esp & ~mask) | ((esp - count * size) & mask)) >>> 0);
  cpu.eip = offset;
  let cleared = FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM;
  if (type === SYS_INTERRUPT_GATE32 || type === SYS_INTERRUPT_GATE16) cleared |= FLAG_IF;
  cpu.eflags = flags & ~cleared;
  return 0;
}
