/**
 * A vcpu's state as a vcpu_guest_context (boot.md section 9): what the toolstack saves of a suspended domain. The
 * opposite of applyContext() in vcpu-context.ts. The caller turns the frame numbers in it (GDT, CR3) into pfns.
 */
import { CPU_STATE_SIZE, EAX, EBP, EBX, ECX, EDI, EDX, ESI, ESP, FIELDS } from '../cpu/layout.ts';
import {
  EFLAGS_IOPL,
  VGCF_failsafe_disables_events,
  VGCF_I387_VALID,
  VGCF_IN_KERNEL,
  VGCF_online,
} from './abi/constants.ts';
import { writeStruct } from './abi/struct.ts';
import { cpu_user_regs, VCPU_CONTEXT_ARRAYS, vcpu_guest_context } from './abi/structs.ts';
import type { Hypervisor } from './hypervisor.ts';
import { guestCr3 } from './roots.ts';
import type { Vcpu } from './vcpu.ts';

const CR0_TS = 8;

/** The vcpu must not be running; it may still be the last on the processor. */
export function contextOf(hv: Hypervisor, vcpu: Vcpu): Uint8Array {
  const { domain } = vcpu;
  const state = new Uint8Array(CPU_STATE_SIZE);
  if (hv.current === vcpu) hv.cpu.saveState(state);
  else state.set(vcpu.saved);
  const cpu = new DataView(state.buffer);
  const reg = (index: number) => cpu.getUint32(FIELDS.gpr.offset + 4 * index, true);
  const selector = (segment: number) => cpu.getUint32(FIELDS.segSelector.offset + 4 * segment, true);

  const bytes = new Uint8Array(vcpu_guest_context.size);
  const view = new DataView(bytes.buffer);
  putFxsave(view, cpu);
  const word = (name: 'gdt_frames' | 'ctrlreg' | 'debugreg', index: number, value: number) =>
    view.setUint32(VCPU_CONTEXT_ARRAYS[name].offset + 4 * index, value, true);
  const cs = selector(1);
  writeStruct(vcpu_guest_context, view, {
    flags:
      VGCF_I387_VALID |
      ((cs & 3) === 3 ? 0 : VGCF_IN_KERNEL) |
      (vcpu.failsafeMasksEvents ? VGCF_failsafe_disables_events : 0) |
      (vcpu.down ? 0 : VGCF_online),
    ldt_base: vcpu.ldtBase,
    ldt_ents: vcpu.ldtEntries,
    gdt_ents: vcpu.gdtEntries,
    kernel_ss: vcpu.kernelSs,
    kernel_sp: vcpu.kernelEsp,
    event_callback_cs: vcpu.eventCallbackCs,
    event_callback_eip: vcpu.eventCallbackEip,
    failsafe_callback_cs: vcpu.failsafeCallbackCs,
    failsafe_callback_eip: vcpu.failsafeCallbackEip,
    vm_assist: vcpu.id === 0 ? domain.vmAssist : 0,
  });
  writeStruct(
    cpu_user_regs,
    view,
    {
      ebx: reg(EBX),
      ecx: reg(ECX),
      edx: reg(EDX),
      esi: reg(ESI),
      edi: reg(EDI),
      ebp: reg(EBP),
      eax: reg(EAX),
      esp: reg(ESP),
      eip: cpu.getUint32(FIELDS.eip.offset, true),
      eflags: (cpu.getUint32(FIELDS.eflags.offset, true) & ~EFLAGS_IOPL) | (vcpu.iopl << 12),
      es: selector(0),
      cs,
      ss: selector(2),
      ds: selector(3),
      fs: selector(4),
      gs: selector(5),
    },
    VCPU_CONTEXT_ARRAYS.user_regs.offset,
  );
  const traps = VCPU_CONTEXT_ARRAYS.trap_ctxt;
  for (let vector = 0; vector < traps.count; vector++) {
    const at = traps.offset + traps.size * vector;
    view.setUint8(at, vector);
    view.setUint8(at + 1, vcpu.trapFlags[vector]!);
    view.setUint16(at + 2, vcpu.trapCs[vector]!, true);
    view.setUint32(at + 4, vcpu.trapAddress[vector]!, true);
  }
  for (const [i, mfn] of vcpu.gdtFrames.entries()) word('gdt_frames', i, Math.max(mfn, 0));
  word('ctrlreg', 0, vcpu.virtualTs ? CR0_TS : 0);
  word('ctrlreg', 3, guestCr3(domain, vcpu.rootMfn));
  for (let i = 0; i < 8; i++) word('debugreg', i, vcpu.debugRegisters[i]!);
  return bytes;
}

/** The FXSAVE image: registers in stack order, tags as one bit each. */
function putFxsave(view: DataView, cpu: DataView): void {
  const fsw = cpu.getUint16(FIELDS.fsw.offset, true);
  const tags = cpu.getUint16(FIELDS.ftw.offset, true);
  const top = (fsw >> 11) & 7;
  view.setUint16(0, cpu.getUint16(FIELDS.fcw.offset, true), true);
  view.setUint16(2, fsw, true);
  view.setUint16(6, cpu.getUint16(FIELDS.fop.offset, true), true);
  view.setUint32(8, cpu.getUint32(FIELDS.fip.offset, true), true);
  view.setUint16(12, cpu.getUint32(FIELDS.fcs.offset, true), true);
  view.setUint32(16, cpu.getUint32(FIELDS.fdp.offset, true), true);
  view.setUint16(20, cpu.getUint32(FIELDS.fds.offset, true), true);
  view.setUint32(24, cpu.getUint32(FIELDS.mxcsr.offset, true), true);
  let abridged = 0;
  for (let physical = 0; physical < 8; physical++) {
    if (((tags >> (2 * physical)) & 3) !== 3) abridged |= 1 << physical;
    const from = FIELDS.fpr.offset + 16 * physical;
    const to = 32 + 16 * ((physical - top) & 7);
    for (let byte = 0; byte < 10; byte++) view.setUint8(to + byte, cpu.getUint8(from + byte));
  }
  view.setUint8(4, abridged);
  for (let byte = 0; byte < 128; byte++) view.setUint8(160 + byte, cpu.getUint8(FIELDS.xmm.offset + byte));
}
