/**
 * Giving a vcpu its first state: from a vcpu_guest_context (VCPUOP_initialise, boot.md section 9) or, for the domain
 * builder, from a few registers (boot.md section 3).
 */
import { CPU_STATE_SIZE, EAX, EBP, EBX, ECX, EDI, EDX, ESI, ESP, FIELDS } from '../cpu/layout.ts';
import { EFER_LMA, EFER_LME, EFER_NXE } from '../cpu/paging.ts';
import {
  EFLAGS_FIXED,
  EFLAGS_IF,
  EFLAGS_IOPL,
  FLAT_KERNEL_CS,
  FLAT_KERNEL_DS,
  VGCF_failsafe_disables_events,
  VGCF_I387_VALID,
  VGCF_online,
  VMASST_TYPE_runstate_update_flag,
} from './abi/constants.ts';
import { EINVAL } from './abi/errno.ts';
import { readStruct } from './abi/struct.ts';
import { cpu_user_regs, VCPU_CONTEXT_ARRAYS, vcpu_guest_context } from './abi/structs.ts';
import { setDebugRegister } from './debug-registers.ts';
import { dropGdt, setGdt, setLdt } from './descriptor-tables.ts';
import type { Hypervisor } from './hypervisor.ts';
import { dropRoot, mfnOfCr3, setRoot } from './roots.ts';
import { RELOAD_all, type Vcpu } from './vcpu.ts';

/** A selector of the guest's may not ask for ring 0. */
export const raiseRpl = (selector: number): number => (selector & 3 ? selector : selector | 1) & 0xffff;

/** Registers of a vcpu that has not run yet; selectors are loaded when it first does. */
export interface FirstRegisters {
  eip: number;
  cs: number;
  ss: number;
  esp: number;
  eflags: number;
  ds: number;
  es: number;
  fs: number;
  gs: number;
  eax: number;
  ebx: number;
  ecx: number;
  edx: number;
  esi: number;
  edi: number;
  ebp: number;
}

/** A 4.17 is a 64-bit hypervisor: its guests' tables are part of long mode's. */
const EFER_417 = EFER_NXE | EFER_LMA | EFER_LME;

const parked = new Uint8Array(CPU_STATE_SIZE); // scratch

/** Makes vcpu.saved: hv.resetState with these registers. The processor's own state is kept. */
export function setFirstState(hv: Hypervisor, vcpu: Vcpu, registers: FirstRegisters): void {
  const cpu = hv.cpu;
  cpu.saveState(parked);
  cpu.loadState(hv.resetState);
  cpu.cr4 = (cpu.cr4 & ~0x20) | (vcpu.domain.abi === 'x86_32p' ? 0x20 : 0);
  cpu.efer = vcpu.domain.abi === 'x86_32' ? 0 : vcpu.domain.personality === '4.17' ? EFER_417 : EFER_NXE;
  const { eip, cs, ss, eflags } = registers;
  const gprs: [number, number][] = [
    [EAX, registers.eax],
    [ECX, registers.ecx],
    [EDX, registers.edx],
    [EBX, registers.ebx],
    [ESP, registers.esp],
    [EBP, registers.ebp],
    [ESI, registers.esi],
    [EDI, registers.edi],
  ];
  for (const [index, value] of gprs) cpu.setReg(index, value);
  // Selectors only: their descriptors are loaded in the vcpu's own tables, at its first entry.
  const selectors = [registers.es, cs, ss, registers.ds, registers.fs, registers.gs];
  for (const [segment, selector] of selectors.entries())
    cpu.setSegmentHidden(segment, selector & 0xffff, 0, 0);
  cpu.cpl = cs & 3;
  cpu.eip = eip;
  cpu.eflags = ((eflags & ~EFLAGS_IOPL) | EFLAGS_IF | EFLAGS_FIXED) >>> 0;
  cpu.saveState(vcpu.saved);
  cpu.loadState(parked);
  vcpu.iopl = (eflags & EFLAGS_IOPL) >> 12;
  vcpu.reloadSegments = RELOAD_all;
}

/** The builder's vcpu 0: flat selectors, ESI = start_info, everything else 0. Its root is set with setRoot(). */
export function setBootState(
  hv: Hypervisor,
  vcpu: Vcpu,
  entry: number,
  esp: number,
  startInfo: number,
): void {
  setFirstState(hv, vcpu, {
    eip: entry,
    cs: FLAT_KERNEL_CS,
    ss: FLAT_KERNEL_DS,
    esp,
    eflags: EFLAGS_IF | EFLAGS_FIXED,
    ds: FLAT_KERNEL_DS,
    es: FLAT_KERNEL_DS,
    fs: FLAT_KERNEL_DS,
    gs: FLAT_KERNEL_DS,
    eax: 0,
    ebx: 0,
    ecx: 0,
    edx: 0,
    esi: startInfo,
    edi: 0,
    ebp: 0,
  });
  vcpu.kernelSs = FLAT_KERNEL_DS;
  vcpu.kernelEsp = esp;
  vcpu.initialised = true;
  vcpu.down = false;
}

const KNOWN_ASSISTS = (1 << (VMASST_TYPE_runstate_update_flag + 1)) - 1;

/**
 * Applies a vcpu_guest_context to a vcpu that was never initialised. @returns 0 or an errno; nothing is changed then.
 * @param bytes vcpu_guest_context.size bytes.
 */
export function applyContext(hv: Hypervisor, vcpu: Vcpu, bytes: Uint8Array): number {
  const domain = vcpu.domain;
  const modern = domain.personality === '4.17';
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const context = readStruct(vcpu_guest_context, view);
  const word = (name: 'gdt_frames' | 'ctrlreg' | 'debugreg', index: number) =>
    view.getUint32(VCPU_CONTEXT_ARRAYS[name].offset + 4 * index, true);

  if (modern) {
    if (context.ldt_ents > 8192 || (context.ldt_ents > 0 && context.ldt_base % 4096 !== 0)) return EINVAL;
    if (vcpu.id === 0 && context.vm_assist & ~KNOWN_ASSISTS) return EINVAL;
  }
  const gdtFrames = Array.from({ length: 14 }, (_, index) => word('gdt_frames', index));
  const gdt = setGdt(hv, vcpu, gdtFrames, context.gdt_ents);
  if (gdt !== 0) return gdt;
  const root = setRoot(hv, vcpu, mfnOfCr3(domain, word('ctrlreg', 3)));
  if (root !== 0) {
    dropGdt(hv, vcpu);
    return modern ? root : EINVAL;
  }
  if (context.ldt_ents > 0) {
    const ldt = setLdt(hv, vcpu, context.ldt_base, context.ldt_ents);
    if (ldt !== 0) {
      dropRoot(hv, vcpu);
      dropGdt(hv, vcpu);
      return ldt;
    }
  }

  const traps = VCPU_CONTEXT_ARRAYS.trap_ctxt;
  for (let vector = 0; vector < traps.count; vector++) {
    const at = traps.offset + traps.size * vector;
    vcpu.trapFlags[vector] = view.getUint8(at + 1);
    const address = view.getUint32(at + 4, true);
    const cs = view.getUint16(at + 2, true);
    vcpu.trapCs[vector] = address === 0 && cs === 0 ? (modern ? 0 : FLAT_KERNEL_CS) : raiseRpl(cs);
    vcpu.trapAddress[vector] = address;
  }
  vcpu.eventCallbackCs = raiseRpl(context.event_callback_cs);
  vcpu.eventCallbackEip = context.event_callback_eip;
  vcpu.failsafeCallbackCs = raiseRpl(context.failsafe_callback_cs);
  vcpu.failsafeCallbackEip = context.failsafe_callback_eip;
  vcpu.failsafeMasksEvents = modern && (context.flags & VGCF_failsafe_disables_events) !== 0;
  vcpu.kernelSs = raiseRpl(context.kernel_ss);
  vcpu.kernelEsp = context.kernel_sp;
  vcpu.virtualTs = (word('ctrlreg', 0) & 8) !== 0;
  for (let index = 0; index < 8; index++) {
    if (index !== 4 && index !== 5) setDebugRegister(hv, vcpu, index, word('debugreg', index));
  }
  if (vcpu.id === 0) domain.vmAssist = context.vm_assist;

  const user = readStruct(cpu_user_regs, view, VCPU_CONTEXT_ARRAYS.user_regs.offset);
  setFirstState(hv, vcpu, { ...user, cs: raiseRpl(user.cs), ss: raiseRpl(user.ss) });
  if (context.flags & VGCF_I387_VALID) loadFxsave(vcpu.saved, view);
  vcpu.initialised = true;
  vcpu.down = !(modern && context.flags & VGCF_online);
  return 0;
}

/** Copies an FXSAVE image (offset 0 of the view) into a saved state. */
function loadFxsave(saved: Uint8Array, view: DataView): void {
  const state = new DataView(saved.buffer, saved.byteOffset, saved.byteLength);
  const fsw = view.getUint16(2, true);
  const top = (fsw >> 11) & 7;
  const abridged = view.getUint8(4);
  state.setUint16(FIELDS.fcw.offset, view.getUint16(0, true), true);
  state.setUint16(FIELDS.fsw.offset, fsw, true);
  state.setUint16(FIELDS.fop.offset, view.getUint16(6, true), true);
  state.setUint32(FIELDS.fip.offset, view.getUint32(8, true), true);
  state.setUint32(FIELDS.fcs.offset, view.getUint16(12, true), true);
  state.setUint32(FIELDS.fdp.offset, view.getUint32(16, true), true);
  state.setUint32(FIELDS.fds.offset, view.getUint16(20, true), true);
  state.setUint32(FIELDS.mxcsr.offset, view.getUint32(24, true) & 0xffbf, true);
  let tags = 0;
  for (let physical = 0; physical < 8; physical++) {
    // ST(i) of the image is physical register (TOP + i) mod 8.
    const from = 32 + 16 * ((physical - top) & 7);
    const to = FIELDS.fpr.offset + 16 * physical;
    for (let byte = 0; byte < 10; byte++) state.setUint8(to + byte, view.getUint8(from + byte));
    const empty = ((abridged >> physical) & 1) === 0;
    tags |= (empty ? 3 : tagOf(view, from)) << (2 * physical);
  }
  state.setUint16(FIELDS.ftw.offset, tags, true);
  for (let byte = 0; byte < 128; byte++) state.setUint8(FIELDS.xmm.offset + byte, view.getUint8(160 + byte));
}

/** x87 tag of an 80-bit value: 0 valid, 1 zero, 2 special. */
function tagOf(view: DataView, at: number): number {
  const exponent = view.getUint16(at + 8, true) & 0x7fff;
  const low = view.getUint32(at, true);
  const high = view.getUint32(at + 4, true);
  if (exponent === 0) return low === 0 && high === 0 ? 1 : 2;
  return exponent === 0x7fff || (high & 0x8000_0000) === 0 ? 2 : 0;
}
