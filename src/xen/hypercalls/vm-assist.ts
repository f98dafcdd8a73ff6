/** Hypercall 21, vm_assist: per-domain switches (hypercalls.md 3.11). */
import { EINVAL, ENOSYS } from '../abi/errno.ts';
import { deny, refuseDenied } from '../denial.ts';
import type { HypercallRow } from './row.ts';

const ENABLE = 0;
const DISABLE = 1;
/** Types of 3.0.2: segments, their notification, writable page tables. 4.17 adds three. */
const LAST_TYPE = { '3.0.2': 2, '4.17': 5 } as const;

export const vmAssistRow: HypercallRow = {
  number: 21,
  name: 'vm_assist',
  args: [
    { name: 'cmd', as: 'cmd' },
    { name: 'type', as: 'dec' },
  ],
  doc:
    'Switches an assist of the domain on or off: 0 4gb_segments, 1 4gb_segments_notify, 2 writable_pagetables; ' +
    '4.17: 3 pae_extended_cr3, 4 architectural_iopl, 5 runstate_update_flag.',
  seed:
    'vm_assist(VMASST_TYPE_4gb_segments), vm_assist(VMASST_TYPE_4gb_segments_notify), ' +
    'vm_assist(VMASST_TYPE_writable_pagetables)',
  run: ({ hv, domain, vcpu }, args) => {
    const cmd = args[0]!;
    const type = args[1]!;
    if (type > LAST_TYPE[domain.personality]) {
      deny(
        EINVAL,
        'assist-type',
        `there is no assist ${type}`,
        `types 0 to ${LAST_TYPE[domain.personality]}`,
      );
      return refuseDenied(hv, vcpu, 'vm_assist', EINVAL, type);
    }
    if (cmd === ENABLE) domain.vmAssist |= 1 << type;
    else if (cmd === DISABLE) domain.vmAssist &= ~(1 << type);
    else return ENOSYS;
    return 0;
  },
};
