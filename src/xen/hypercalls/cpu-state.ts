/** Hypercalls about the calling vcpu's processor state: traps, callbacks, stack, FPU, debug registers, iret, NMI. */
import { EAX } from '../../cpu/layout.ts';
import { FLAT_KERNEL_CS } from '../abi/constants.ts';
import { EFAULT, EINVAL, ENOSYS } from '../abi/errno.ts';
import { callback_register, callback_unregister, xennmi_callback } from '../abi/structs.ts';
import { meetAgain, partIsOver } from '../continuation.ts';
import { getDebugRegister, setDebugRegister } from '../debug-registers.ts';
import { iret } from '../iret.ts';
import { portReasonLatched } from '../nmi.ts';
import { raiseRpl } from '../vcpu-context.ts';
import { setVirtualTs } from '../virtual-ts.ts';
import { type HypercallRow, plainSubOp, subOp } from './row.ts';

const TRAP_INFO_SIZE = 8;

export const setTrapTable: HypercallRow = {
  number: 0,
  name: 'set_trap_table',
  args: [{ name: 'table', as: 'pointer' }],
  doc: "Sets handlers for exceptions and software interrupts in the calling vcpu's virtual IDT; NULL clears all.",
  seed: 'set_trap_table(table)',
  vmi: 'VMI_SetIDT, VMI_WriteIDTEntry',
  run: ({ hv, domain, vcpu }, args) => {
    const from = args[0]!;
    if (from === 0) {
      vcpu.trapFlags.fill(0);
      vcpu.trapCs.fill(domain.personality === '3.0.2' ? FLAT_KERNEL_CS : 0);
      vcpu.trapAddress.fill(0);
      return 0;
    }
    for (let at = from; ; at += TRAP_INFO_SIZE) {
      if (at !== from && partIsOver(hv)) {
        args[0] = at;
        return meetAgain(hv);
      }
      const entry = hv.guest.read(domain, at, TRAP_INFO_SIZE);
      if (entry === null) return EFAULT;
      const address = entry.getUint32(4, true);
      if (address === 0) return 0;
      const vector = entry.getUint8(0);
      vcpu.trapFlags[vector] = entry.getUint8(1);
      vcpu.trapCs[vector] = raiseRpl(entry.getUint16(2, true));
      vcpu.trapAddress[vector] = address;
    }
  },
};

export const stackSwitch: HypercallRow = {
  number: 3,
  name: 'stack_switch',
  args: [
    { name: 'ss', as: 'hex' },
    { name: 'esp', as: 'va' },
  ],
  doc: 'Sets the ring-1 stack that is used when the kernel is entered from ring 2 or 3.',
  seed: 'stack_switch(ss, esp)',
  vmi: 'VMI_UpdateKernelStack',
  run: ({ vcpu }, args) => {
    vcpu.kernelSs = raiseRpl(args[0]!);
    vcpu.kernelEsp = args[1]!;
    return 0;
  },
};

export const setCallbacks: HypercallRow = {
  number: 4,
  name: 'set_callbacks',
  args: [
    { name: 'event_cs', as: 'hex' },
    { name: 'event_eip', as: 'va' },
    { name: 'failsafe_cs', as: 'hex' },
    { name: 'failsafe_eip', as: 'va' },
  ],
  doc: 'Sets the entry points for event upcalls and for the failsafe callback.',
  seed: 'set_callbacks',
  run: ({ vcpu }, args) => {
    vcpu.eventCallbackCs = raiseRpl(args[0]!);
    vcpu.eventCallbackEip = args[1]!;
    vcpu.failsafeCallbackCs = raiseRpl(args[2]!);
    vcpu.failsafeCallbackEip = args[3]!;
    vcpu.failsafeMasksEvents = false;
    return 0;
  },
};

export const fpuTaskswitch: HypercallRow = {
  number: 5,
  name: 'fpu_taskswitch',
  args: [{ name: 'set', as: 'dec' }],
  doc: "Sets or clears the guest's CR0.TS, the flag of lazy FPU switching.",
  seed: 'fpu_taskswitch(0), fpu_taskswitch(1)',
  vmi: 'VMI_CLTS, VMI_SetCR0*',
  run: ({ hv, vcpu }, args) => {
    setVirtualTs(hv, vcpu, args[0] !== 0);
    return 0;
  },
};

export const setDebugreg: HypercallRow = {
  number: 8,
  name: 'set_debugreg',
  args: [
    { name: 'reg', as: 'dec' },
    { name: 'value', as: 'hex' },
  ],
  doc: 'Writes a debug register of the calling vcpu.',
  seed: 'set_debugreg(reg, value)',
  vmi: 'VMI_SetDR',
  run: ({ hv, vcpu }, args) => setDebugRegister(hv, vcpu, args[0]!, args[1]!),
};

export const getDebugreg: HypercallRow = {
  number: 9,
  name: 'get_debugreg',
  args: [{ name: 'reg', as: 'dec' }],
  doc: 'Reads a debug register of the calling vcpu: the value itself is the result.',
  seed: 'get_debugreg(reg)',
  vmi: 'VMI_GetDR',
  run: ({ vcpu }, args) => getDebugRegister(vcpu, args[0]!) | 0,
};

export const iretRow: HypercallRow = {
  number: 23,
  name: 'iret',
  args: [],
  doc: 'Returns from a frame on the stack and sets the event mask from its IF, in one step.',
  seed: 'iret',
  vmi: 'VMI_IRET',
  run: ({ hv, vcpu }) => {
    iret(hv, vcpu);
    // What a multicall that it ends returns: the EAX of the frame.
    return hv.cpu.getReg(EAX) | 0;
  },
};

export const nmiOp: HypercallRow = {
  number: 28,
  name: 'nmi_op',
  args: [
    { name: 'cmd', as: 'cmd' },
    { name: 'arg', as: 'pointer' },
  ],
  doc: 'Registers the entry point for non-maskable interrupts.',
  subOpsBy: 'cmd',
  subOps: [
    subOp({
      number: 0,
      name: 'XENNMI_register_callback',
      arg: xennmi_callback,
      doc: 'Sets the NMI handler. 3.0.2: domain 0, vcpu 0 only.',
      seed: 'nmi_op(XENNMI_register_callback)',
      run: ({ hv, domain, vcpu }, { handler_address }) => {
        if (domain.personality === '3.0.2' && !(domain.id === 0 && vcpu.id === 0)) return EINVAL;
        vcpu.nmiHandler = handler_address;
        if (portReasonLatched(hv, domain)) vcpu.nmiPending = true;
        return 0;
      },
    }),
    plainSubOp({
      number: 1,
      name: 'XENNMI_unregister_callback',
      doc: 'Removes the NMI handler.',
      seed: 'nmi_op(XENNMI_unregister_callback)',
      run: ({ vcpu }) => {
        vcpu.nmiHandler = 0;
        return 0;
      },
    }),
  ],
};

const CALLBACKTYPE_event = 0;
const CALLBACKTYPE_failsafe = 1;
const CALLBACKTYPE_nmi = 4;
const CALLBACKTYPE_sysenter = 5;
const CALLBACKTYPE_syscall32 = 7;
const CALLBACKF_mask_events = 1;

export const callbackOp: HypercallRow = {
  number: 30,
  name: 'callback_op',
  args: [
    { name: 'cmd', as: 'cmd' },
    { name: 'arg', as: 'pointer' },
  ],
  doc: 'Registers one entry point at a time, with flags (4.17 form of set_callbacks).',
  subOpsBy: 'cmd',
  unknownSubOp: 'EINVAL',
  subOps: [
    subOp({
      number: 0,
      name: 'CALLBACKOP_register',
      arg: callback_register,
      doc: 'Registers the event, failsafe or NMI entry point. SYSENTER and SYSCALL are not available.',
      run: ({ vcpu }, { type, flags, cs, eip }) => {
        switch (type) {
          case CALLBACKTYPE_event:
            vcpu.eventCallbackCs = raiseRpl(cs);
            vcpu.eventCallbackEip = eip;
            return 0;
          case CALLBACKTYPE_failsafe:
            vcpu.failsafeCallbackCs = raiseRpl(cs);
            vcpu.failsafeCallbackEip = eip;
            vcpu.failsafeMasksEvents = (flags & CALLBACKF_mask_events) !== 0;
            return 0;
          case CALLBACKTYPE_nmi:
            vcpu.nmiHandler = eip;
            return 0;
          default:
            return ENOSYS;
        }
      },
    }),
    subOp({
      number: 1,
      name: 'CALLBACKOP_unregister',
      arg: callback_unregister,
      doc: 'Removes the NMI entry point; the others cannot be removed.',
      run: ({ vcpu }, { type }) => {
        switch (type) {
          case CALLBACKTYPE_nmi:
            vcpu.nmiHandler = 0;
            return 0;
          case CALLBACKTYPE_event:
          case CALLBACKTYPE_failsafe:
          case CALLBACKTYPE_sysenter:
          case CALLBACKTYPE_syscall32:
            return EINVAL;
          default:
            return ENOSYS;
        }
      },
    }),
  ],
};
