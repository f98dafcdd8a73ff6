/** Hypercalls 2 and 10: set_gdt and update_descriptor. */
import { EFAULT, EINVAL } from '../abi/errno.ts';
import { deny, refuseDenied } from '../denial.ts';
import { gdtPages, MAX_GDT_ENTRIES, setGdt, updateDescriptor } from '../descriptor-tables.ts';
import type { HypercallRow } from './row.ts';

/** SCRATCH: the frame list of one call. */
const frames = new Uint32Array(gdtPages(MAX_GDT_ENTRIES));

export const setGdtRow: HypercallRow = {
  number: 2,
  name: 'set_gdt',
  args: [
    { name: 'frame_list', as: 'pointer' },
    { name: 'entries', as: 'dec' },
  ],
  doc:
    "Makes frames of descriptors the guest's part of the GDT (selectors below 0xE000). Every descriptor of the " +
    'frames is checked. On failure the old GDT stays.',
  seed: 'set_gdt(frame_list, entries)',
  vmi: 'VMI_SetGDT*',
  run: ({ hv, domain, vcpu }, args) => {
    const entries = args[1]!;
    if (entries > MAX_GDT_ENTRIES) {
      deny(EINVAL, 'gdt-size', `a GDT of ${entries} entries`, `${MAX_GDT_ENTRIES} entries at most`);
      return refuseDenied(hv, vcpu, 'set_gdt', EINVAL);
    }
    const pages = gdtPages(entries);
    const list = hv.guest.read(domain, args[0]!, pages * 4);
    if (list === null) return EFAULT;
    for (let i = 0; i < pages; i++) frames[i] = list.getUint32(i * 4, true);
    const errno = setGdt(hv, vcpu, frames, entries);
    return errno === 0 ? 0 : refuseDenied(hv, vcpu, 'set_gdt', errno);
  },
};

export const updateDescriptorRow: HypercallRow = {
  number: 10,
  name: 'update_descriptor',
  args: [
    { name: 'maddr', as: 'u64' },
    { name: 'desc', as: 'u64' },
  ],
  doc: 'Stores one checked descriptor at a machine address.',
  seed: 'update_descriptor(pa, desc)',
  vmi: 'VMI_WriteGDTEntry*, VMI_WriteLDTEntry*',
  run: ({ hv, domain, vcpu }, args) => {
    const maddr = args[1]! * 0x1_0000_0000 + args[0]!;
    const errno = updateDescriptor(hv, domain, maddr, args[2]!, args[3]!);
    return errno === 0 ? 0 : refuseDenied(hv, vcpu, 'update_descriptor', errno, args[2]!, args[3]!);
  },
};
