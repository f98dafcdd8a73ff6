/** The registers and tables of vcpu 0 when a domain begins, as a vcpu_guest_context. boot.md section 3. */
import { EFLAGS_FIXED, EFLAGS_IF, VGCF_IN_KERNEL } from '../abi/constants.ts';
import { writeStruct } from '../abi/struct.ts';
import { cpu_user_regs, VCPU_CONTEXT_ARRAYS, vcpu_guest_context } from '../abi/structs.ts';
import type { Domain } from '../domain.ts';
import { guestCr3 } from '../roots.ts';

const FLAT_KERNEL_CS = 0xe019;
const FLAT_KERNEL_DS = 0xe021;
/** vm_assist type 3: root tables may lie above 4 GiB. */
const ASSIST_PAE_EXTENDED_CR3 = 1 << 3;

export interface FirstContext {
  entry: number;
  /** End of the boot stack page. */
  stackTop: number;
  startInfo: number;
  rootMfn: number;
  extendedCr3: boolean;
}

export function firstContext(domain: Domain, first: FirstContext): DataView {
  const modern = domain.personality !== '3.0.2';
  const view = new DataView(new ArrayBuffer(vcpu_guest_context.size));
  writeStruct(vcpu_guest_context, view, {
    flags: VGCF_IN_KERNEL,
    kernel_ss: FLAT_KERNEL_DS,
    kernel_sp: first.stackTop,
    vm_assist: modern && first.extendedCr3 ? ASSIST_PAE_EXTENDED_CR3 : 0,
  });
  writeStruct(
    cpu_user_regs,
    view,
    {
      eip: first.entry,
      cs: FLAT_KERNEL_CS,
      esp: first.stackTop,
      ss: FLAT_KERNEL_DS,
      ds: FLAT_KERNEL_DS,
      es: FLAT_KERNEL_DS,
      fs: FLAT_KERNEL_DS,
      gs: FLAT_KERNEL_DS,
      esi: first.startInfo,
      eflags: EFLAGS_IF | EFLAGS_FIXED,
    },
    VCPU_CONTEXT_ARRAYS.user_regs.offset,
  );
  const { trap_ctxt, ctrlreg, debugreg } = VCPU_CONTEXT_ARRAYS;
  // An empty virtual IDT: 3.0.2 fills in its flat code selector, 4.17 leaves 0.
  if (!modern) {
    for (let i = 0; i < trap_ctxt.count; i++) {
      view.setUint8(trap_ctxt.offset + i * 8, i);
      view.setUint16(trap_ctxt.offset + i * 8 + 2, FLAT_KERNEL_CS, true);
    }
  }
  view.setUint32(ctrlreg.offset + 3 * 4, guestCr3(domain, first.rootMfn), true);
  if (modern) {
    view.setUint32(debugreg.offset + 6 * 4, 0xffff_0ff0, true);
    view.setUint32(debugreg.offset + 7 * 4, 0x400, true);
  }
  return view;
}
