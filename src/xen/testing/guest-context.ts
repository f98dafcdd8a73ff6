/** A vcpu_guest_context in a scripted guest's memory, as an SMP kernel fills one for its next cpu. */
import { writeStruct } from '../abi/struct.ts';
import { cpu_user_regs, VCPU_CONTEXT_ARRAYS, vcpu_guest_context } from '../abi/structs.ts';
import { EVENT_HANDLER, FAILSAFE_HANDLER, type ScriptedGuest } from './scripted-machine.ts';

const KERNEL_CS = 0xe019;
const KERNEL_DS = 0xe021;

/** @returns the context's address; `at` writes over an earlier one. */
export function guestContext(
  g: ScriptedGuest,
  wanted: { eip: number; esp: number; cr3: number },
  at = g.room(vcpu_guest_context.size),
): number {
  const bytes = new Uint8Array(vcpu_guest_context.size);
  const view = new DataView(bytes.buffer);
  writeStruct(vcpu_guest_context, view, {
    flags: 4,
    kernel_ss: KERNEL_DS,
    kernel_sp: wanted.esp,
    event_callback_cs: KERNEL_CS,
    event_callback_eip: EVENT_HANDLER,
    failsafe_callback_cs: KERNEL_CS,
    failsafe_callback_eip: FAILSAFE_HANDLER,
  });
  writeStruct(
    cpu_user_regs,
    view,
    {
      eip: wanted.eip,
      esp: wanted.esp,
      cs: KERNEL_CS,
      ss: KERNEL_DS,
      ds: KERNEL_DS,
      es: KERNEL_DS,
      eflags: 0x1002,
    },
    VCPU_CONTEXT_ARRAYS.user_regs.offset,
  );
  view.setUint32(VCPU_CONTEXT_ARRAYS.ctrlreg.offset + 12, wanted.cr3, true);
  for (let i = 0; i < bytes.length; i += 4) g.write32(at + i, view.getUint32(i, true));
  return at;
}
