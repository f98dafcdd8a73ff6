/**
 * Call gates of 4.17. A 64-bit processor knows no 32-bit call gate, so the hypervisor stores a guest's gates with
 * level 0, which no ring may use, and their own level in the selector (descriptor-rules.ts): a far CALL or JMP through
 * one is a #GP that names it, and is carried out here by the rules of the SDM (vol. 3A, Call Gates, Stack Switching).
 * One inner ring has a known stack, the kernel's: ring 1, with the SS and ESP of stack_switch.
 *
 *   the kernel's stack afterwards, from ESP up:   EIP CS parameters... ESP SS        from the same ring: EIP CS
 */
import { ACCESS_READ, ACCESS_WRITE } from '../cpu/cpu.ts';
import { decodeInstruction, type Instruction } from '../cpu/decode-instruction.ts';
import { CS, ESP, SS } from '../cpu/layout.ts';
import {
  checkStackLoad,
  DESC_CODE,
  DESC_EXPAND_DOWN,
  descriptorBase,
  descriptorDpl,
  descriptorLimit,
  descriptorType,
  faultOnSelector,
  gateOffset,
  gateParameters,
  isCode,
  isCodeOrData,
  isConforming,
  isNullSelector,
  isPresent,
  isWritableData,
  refusal,
  SYS_CALL_GATE32,
  selectorRpl,
  VECTOR_GP,
  VECTOR_NP,
  VECTOR_SS,
  VECTOR_TS,
} from '../cpu/rare/descriptors.ts';
import { FIRST_RESERVED_GDT_ENTRY } from './abi/constants.ts';
import { guestDescriptorAddress } from './descriptor-tables.ts';
import {
  EMULATED,
  EMULATION_PAGE_FAULT,
  emulationFault,
  fetchedInstruction,
  fetchInstruction,
  finishEmulation,
} from './emulate-privileged.ts';
import type { Hypervisor } from './hypervisor.ts';
import { memoryOperandAddress } from './store-emulation.ts';
import type { Vcpu } from './vcpu.ts';

const KERNEL_RING = 1;
const CODE_32_BIT = 0x40_0000;
const GDT_INDEX_TI = 4;
const WRITING = 2;

/** $ The descriptor that was read last. */
const $descriptor = { low: 0, high: 0 };

/** @returns whether the selector names a descriptor; it is then in $descriptor. */
function readDescriptor(hv: Hypervisor, vcpu: Vcpu, selector: number): boolean {
  if (isNullSelector(selector)) return false;
  const at = guestDescriptorAddress(hv, vcpu, selector);
  if (at < 0) return false;
  $descriptor.low = hv.memory.read32(at);
  $descriptor.high = hv.memory.read32(at + 4);
  return true;
}

/** $ A far transfer as it was encoded. */
const $transfer = { call: false, rpl: 0, length: 0, opcode: 0 };

/** Is the instruction at eip a far CALL or JMP with this selector? */
function decodeTransfer(hv: Hypervisor, selector: number): boolean {
  const { cpu } = hv;
  const length = fetchInstruction(hv);
  const bits = cpu.getSegmentAccess(CS) & CODE_32_BIT ? 32 : 16;
  const decoded = decodeInstruction(fetchedInstruction.subarray(0, length), cpu.eip, bits);
  if (!decoded.ok) return false;
  const { instruction } = decoded;
  const named = farSelector(hv, instruction);
  if (named < 0 || (named & ~3) !== selector) return false;
  const { opcode, modrm } = instruction;
  $transfer.call = opcode === 0x9a || (opcode === 0xff && ((modrm >> 3) & 7) === 3);
  $transfer.rpl = selectorRpl(named);
  $transfer.length = instruction.length;
  $transfer.opcode = opcode;
  return true;
}

/** The selector of a far pointer, immediate or in memory; -1: it is another instruction. */
function farSelector(hv: Hypervisor, { opcode, modrm, operands, operandSize }: Instruction): number {
  const operand = operands[0];
  if (operand?.kind === 'far') return operand.selector;
  const kind = (modrm >> 3) & 7;
  if (opcode !== 0xff || operand?.kind !== 'memory' || (kind !== 3 && kind !== 5)) return -1;
  // The processor has read it before it refused.
  const at = (memoryOperandAddress(hv, operand) + operandSize / 8) >>> 0;
  const low = hv.cpu.translate(at, ACCESS_READ);
  const high = hv.cpu.translate((at + 1) >>> 0, ACCESS_READ);
  return low < 0 || high < 0 ? -1 : hv.memory.read8(low) | (hv.memory.read8(high) << 8);
}

/**
 * After #GP(errorCode) at eip.
 * @returns EMULATED; EMULATION_PAGE_FAULT with emulationFault; or the fault that the guest gets, vector << 16 | code.
 */
export function emulateGate(hv: Hypervisor, vcpu: Vcpu, errorCode: number): number {
  const { cpu } = hv;
  const { cpl } = cpu;
  const asItWas = refusal(VECTOR_GP, errorCode);
  const selector = errorCode & 0xfffc;
  if (!(selector & GDT_INDEX_TI) && selector >>> 3 >= FIRST_RESERVED_GDT_ENTRY) return asItWas;
  if (!readDescriptor(hv, vcpu, selector)) return asItWas;
  const { low, high } = $descriptor;
  // A gate that was stored as such has level 0; its own level is in the selector.
  const level = (low >>> 16) & 3;
  const isGate = !isCodeOrData(high) && descriptorType(high) === SYS_CALL_GATE32 && descriptorDpl(high) === 0;
  if (!isGate || level < cpl) return asItWas;
  if (!isPresent(high)) return refusal(VECTOR_NP, errorCode);
  if (!decodeTransfer(hv, selector) || level < $transfer.rpl) return asItWas;

  const target = (low >>> 16) & 0xfffc;
  const offset = gateOffset(low, high);
  const parameters = gateParameters(high);
  if (!readDescriptor(hv, vcpu, target)) return faultOnSelector(VECTOR_GP, target);
  const code = $descriptor.high;
  const ring = descriptorDpl(code);
  const { call } = $transfer;
  const reachable = call || isConforming(code) ? ring <= cpl : ring === cpl;
  if (!isCode(code) || !reachable) return faultOnSelector(VECTOR_GP, target);
  if (!isPresent(code)) return faultOnSelector(VECTOR_NP, target);
  if (offset > descriptorLimit($descriptor.low, code)) return refusal(VECTOR_GP, 0);

  let newRing = cpl;
  $stack.ss = cpu.getSelector(SS);
  $stack.esp = cpu.getReg(ESP);
  if (call) {
    const inner = !isConforming(code) && ring < cpl;
    if (inner) newRing = ring;
    const refused = inner
      ? enterKernelStack(hv, vcpu, ring, parameters, asItWas)
      : staysOnStack(hv, vcpu, asItWas);
    if (refused !== 0) return refused;
    const returnTo = (cpu.eip + $transfer.length) >>> 0;
    if (!push(hv, (cpu.getSelector(CS) & 0xfffc) | cpl) || !push(hv, returnTo)) return EMULATION_PAGE_FAULT;
  }
  finishEmulation(hv, vcpu, $transfer.length, $transfer.opcode);
  cpu.cpl = 0; // inwards: the checks are done, what is loaded is the descriptor itself
  cpu.loadSegment(CS, target | newRing);
  cpu.cpl = newRing;
  if ($stack.ss !== cpu.getSelector(SS)) cpu.loadSegment(SS, $stack.ss);
  cpu.setReg(ESP, $stack.esp);
  cpu.eip = offset;
  return EMULATED;
}

/** $ The stack that the transfer leaves; `base` of its segment. */
const $stack = { ss: 0, esp: 0, base: 0 };

/** Can `bytes` be pushed at esp, by the descriptor's limit? */
function roomOnStack(low: number, high: number, esp: number, bytes: number): boolean {
  const first = (esp - bytes) >>> 0;
  const last = (esp - 1) >>> 0;
  if (first >= last) return false;
  const limit = descriptorLimit(low, high);
  return (high & (DESC_CODE | DESC_EXPAND_DOWN)) === DESC_EXPAND_DOWN ? first > limit : last <= limit;
}

function staysOnStack(hv: Hypervisor, vcpu: Vcpu, asItWas: number): number {
  const { ss, esp } = $stack;
  if (!readDescriptor(hv, vcpu, ss) || descriptorDpl($descriptor.high) !== hv.cpu.cpl) return asItWas;
  const { low, high } = $descriptor;
  if (!roomOnStack(low, high, esp, 8)) return refusal(VECTOR_SS, 0);
  $stack.base = descriptorBase(low, high);
  return hv.guest.inRange(vcpu.domain, ($stack.base + esp - 8) >>> 0, 8) ? 0 : asItWas;
}

/** Puts the caller's stack pointer and the gate's parameters on the kernel's stack. */
function enterKernelStack(
  hv: Hypervisor,
  vcpu: Vcpu,
  ring: number,
  parameters: number,
  asItWas: number,
): number {
  const { cpu } = hv;
  if (ring !== KERNEL_RING) return asItWas;
  const { ss: userSs, esp: userEsp } = $stack;
  const ss = vcpu.kernelSs & 0xffff;
  if (!readDescriptor(hv, vcpu, ss)) return faultOnSelector(VECTOR_TS, ss);
  const { low, high } = $descriptor;
  const refused = checkStackLoad(ss, high, ring, VECTOR_TS);
  if (refused !== 0) return refused;
  const bytes = 16 + 4 * parameters;
  if (!roomOnStack(low, high, vcpu.kernelEsp, bytes)) return faultOnSelector(VECTOR_SS, ss);
  $stack.ss = ss;
  $stack.esp = vcpu.kernelEsp;
  $stack.base = descriptorBase(low, high);
  if (!hv.guest.inRange(vcpu.domain, ($stack.base + vcpu.kernelEsp - bytes) >>> 0, bytes)) return asItWas;
  if (!push(hv, userSs) || !push(hv, userEsp)) return EMULATION_PAGE_FAULT;
  if (parameters === 0) return 0;

  const their = 4 * parameters;
  if (!readDescriptor(hv, vcpu, userSs)) return asItWas;
  const user = $descriptor;
  const usable = isWritableData(user.high) && descriptorDpl(user.high) === cpu.cpl;
  if (!usable || !roomOnStack(user.low, user.high, userEsp + their, their)) return asItWas;
  const from = (descriptorBase(user.low, user.high) + userEsp) >>> 0;
  if (!hv.guest.inRange(vcpu.domain, from, their)) return asItWas;
  for (let i = parameters - 1; i >= 0; i--) {
    if (!readWord(hv, (from + 4 * i) >>> 0) || !push(hv, $word.value)) return EMULATION_PAGE_FAULT;
  }
  return 0;
}

/** $ */
const $word = { value: 0 };

function readWord(hv: Hypervisor, linear: number): boolean {
  $word.value = 0;
  for (let byte = 0; byte < 4; byte++) {
    const maddr = translate(hv, (linear + byte) >>> 0, ACCESS_READ);
    if (maddr < 0) return false;
    $word.value = ($word.value | (hv.memory.read8(maddr) << (8 * byte))) >>> 0;
  }
  return true;
}

/** What was pushed before a fault stays in memory; ESP is as it was. */
function push(hv: Hypervisor, value: number): boolean {
  const esp = ($stack.esp - 4) >>> 0;
  const linear = ($stack.base + esp) >>> 0;
  for (let byte = 0; byte < 4; byte++) {
    const maddr = translate(hv, (linear + byte) >>> 0, ACCESS_WRITE);
    if (maddr < 0) return false;
    hv.memory.write8(maddr, (value >>> (8 * byte)) & 0xff);
  }
  $stack.esp = esp;
  return true;
}

/** By the hypervisor, whatever the ring. The guest is told of writing or reading only, not of a protection. */
function translate(hv: Hypervisor, linear: number, access: number): number {
  const maddr = hv.cpu.translate(linear, access);
  if (maddr < 0) {
    emulationFault.linear = linear;
    emulationFault.code = access === ACCESS_WRITE ? WRITING : 0;
  }
  return maddr;
}
