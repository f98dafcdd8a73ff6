/**
 * The 75 interfaces of the 2006 comparison of Xen's guest interface with VMI, in its order, spelling and judgement, and
 * the errors that the ABI lists for each (hypercalls.md, per personality). What implements a row is found in the
 * hypercall table, whose rows name the seed by the same spelling; three rows are fields of shared memory.
 */
import type { HypercallRow, SubOpRow } from './hypercalls/row.ts';
import { HYPERCALLS } from './hypercalls/table.ts';

export interface SeedRow {
  number: number;
  /** As the comparison spells it, without HYPERVISOR_ and further arguments. */
  spelled: string;
  group: string;
  /** Its annotation: '' for empty brackets, null for none. */
  vmi: string | null;
  /** No asterisk, asterisk, or nothing in VMI. */
  match: '1:1' | 'high-level' | 'none';
  /** A field of shared memory: the name of its lines in the conformance test. */
  field?: string;
  /** Spellings of the hypercall table, where they are not the row's own. */
  links?: readonly string[];
  /** The calls that are meant, where a row of the table serves several rows of the seed. */
  use?: Use;
  /** Errors of both personalities, or of 3.0.2 where 4.17's follow. 'short': fewer extents done than asked. */
  errors?: string;
  errors417?: string;
  /** Errors that this machine cannot give, and why. */
  never?: Readonly<Record<string, string>>;
}

export type Use = 'suspend' | 'not-suspend' | 'arg0-zero' | 'arg0-set' | 'assist-0' | 'assist-1' | 'assist-2';

const SUSPEND = 2;

/** @param words of the trace: registers, or the struct's words where the sub-operation has one. */
export function isUse(use: Use, row: HypercallRow, sub: SubOpRow | null, words: Uint32Array): boolean {
  // The words are still the registers when the struct could not be read: then there is no reason.
  const reason = sub?.arg ? (words[1] === 0 ? words[0]! : 0) : words[1]!;
  switch (use) {
    case 'suspend':
      return (reason & 0xff) === SUSPEND;
    case 'not-suspend':
      return (reason & 0xff) !== SUSPEND;
    case 'arg0-zero':
      return words[0] === 0;
    case 'arg0-set':
      return words[0] !== 0;
    case 'assist-0':
    case 'assist-1':
    case 'assist-2':
      return words[1] === Number(use.slice(-1)) && row.args.length === 2;
  }
}

export interface Implementation {
  row: HypercallRow;
  sub: SubOpRow | null;
}

const spellings = (seed: string | undefined): string[] => (seed ?? '').split(/, (?![^(]*\))/);

/** The rows of the hypercall table that implement a row of the seed: one for each call form. */
export function implementations(seed: SeedRow): Implementation[] {
  if (seed.field !== undefined) return [];
  const wanted = seed.links ?? [seed.spelled];
  const found: Implementation[] = [];
  for (const row of HYPERCALLS) {
    const subs = (row.subOps ?? []).filter((sub) => spellings(sub.seed).some((s) => wanted.includes(s)));
    for (const sub of subs) found.push({ row, sub });
    if (subs.length === 0 && spellings(row.seed).some((s) => wanted.includes(s)))
      found.push({ row, sub: null });
  }
  return found;
}

export function errorsOf(seed: SeedRow, personality: '3.0.2' | '4.17'): string[] {
  const text = (personality === '4.17' ? seed.errors417 : undefined) ?? seed.errors ?? '';
  return text.split(' ').filter((name) => name !== '');
}

// biome-ignore format: one row a line
export const SEED_ROWS: readonly SeedRow[] = [
  { number: 1, spelled: 'shared_info->vcpu_info[]->evtchn_upcall_mask', group: 'processor state', vmi: 'VMI_DisableInterrupts, VMI_EnabledInterrupts, VMI_GetInterruptMask, VMI_SetInterruptMask', match: '1:1', field: 'evtchn_upcall_mask' },
  { number: 2, spelled: 'shared_info->vcpu_info[]->evtchn_upcall_pending', group: 'processor state', vmi: '', match: 'none', field: 'evtchn_upcall_pending' },
  { number: 3, spelled: 'force_evtchn_callback', group: 'processor state', vmi: 'VMI_DeliverInterrupts', match: '1:1' },
  { number: 4, spelled: 'event_channel_op(EVTCHNOP_alloc_unbound)', group: 'event channels', vmi: '', match: 'none', errors: 'EPERM ESRCH ENOSPC EFAULT' },
  { number: 5, spelled: 'event_channel_op(EVTCHNOP_bind_interdomain)', group: 'event channels', vmi: '', match: 'none', errors: 'ESRCH EINVAL ENOSPC EFAULT' },
  { number: 6, spelled: 'event_channel_op(EVTCHNOP_bind_virq)', group: 'event channels', vmi: '', match: 'none', errors: 'EINVAL ENOENT EEXIST ENOSPC EFAULT' },
  { number: 7, spelled: 'event_channel_op(EVTCHNOP_bind_pirq)', group: 'event channels', vmi: 'PIC programming*', match: 'high-level', errors: 'EINVAL EPERM EEXIST EBUSY ENOSPC EFAULT ENOMEM', never: {ENOMEM: 'a line costs no memory'} },
  { number: 8, spelled: 'event_channel_op(EVTCHNOP_bind_ipi)', group: 'event channels', vmi: '', match: 'none', errors: 'ENOENT ENOSPC EFAULT' },
  { number: 9, spelled: 'event_channel_op(EVTCHNOP_close)', group: 'event channels', vmi: '', match: 'none', errors: 'EINVAL EFAULT' },
  { number: 10, spelled: 'event_channel_op(EVTCHNOP_send)', group: 'event channels', vmi: '', match: 'none', errors: 'EINVAL EFAULT' },
  { number: 11, spelled: 'event_channel_op(EVTCHNOP_status)', group: 'event channels', vmi: '', match: 'none', errors: 'EPERM ESRCH EINVAL EFAULT' },
  { number: 12, spelled: 'event_channel_op(EVTCHNOP_bind_vcpu)', group: 'event channels', vmi: '', match: 'none', errors: 'ENOENT EINVAL EFAULT' },
  { number: 13, spelled: 'event_channel_op(EVTCHNOP_unmask)', group: 'event channels', vmi: '', match: 'none', errors: 'EINVAL EFAULT' },
  { number: 14, spelled: 'sched_op(SCHEDOP_yield)', group: 'scheduling', vmi: 'VMI_Pause', match: '1:1' },
  { number: 15, spelled: 'sched_op(SCHEDOP_block)', group: 'scheduling', vmi: 'VMI_Halt', match: '1:1' },
  { number: 16, spelled: 'sched_op(SCHEDOP_shutdown)', group: 'scheduling', vmi: 'VMI_Shutdown, VMI_Reboot', match: '1:1', use: 'not-suspend', errors: 'EFAULT' },
  { number: 17, spelled: 'sched_op(SCHEDOP_shutdown, SHUTDOWN_suspend)', group: 'scheduling', vmi: '', match: 'none', use: 'suspend' },
  { number: 18, spelled: 'sched_op_new(SCHEDOP_poll)', group: 'scheduling', vmi: '', match: 'none', errors: 'EINVAL EFAULT' },
  { number: 19, spelled: 'vcpu_op(VCPUOP_initialise)', group: 'vcpus', vmi: 'VMI_SetInitialAPState', match: '1:1', errors: 'EFAULT EEXIST EINVAL ENOENT ENOMEM', never: {ENOMEM: 'a vcpu costs no memory of the machine'} },
  { number: 20, spelled: 'vcpu_op(VCPUOP_up)', group: 'vcpus', vmi: '', match: 'none', errors: 'EINVAL ENOENT' },
  { number: 21, spelled: 'vcpu_op(VCPUOP_down)', group: 'vcpus', vmi: '', match: 'none', errors: 'EINVAL ENOENT', errors417: 'ENOENT' },
  { number: 22, spelled: 'vcpu_op(VCPUOP_is_up)', group: 'vcpus', vmi: '', match: 'none', errors: 'EINVAL ENOENT', errors417: 'ENOENT' },
  { number: 23, spelled: 'vcpu_op(VCPUOP_get_runstate_info)', group: 'vcpus', vmi: '', match: 'none', errors: 'EINVAL ENOENT EFAULT', errors417: 'ENOENT EFAULT' },
  { number: 24, spelled: 'vcpu_op(VCPUOP_register_runstate_memory_area)', group: 'vcpus', vmi: '', match: 'none', errors: 'EINVAL ENOENT EFAULT', errors417: 'ENOENT EFAULT' },
  { number: 25, spelled: 'set_gdt(frame_list, entries)', group: 'descriptors', vmi: 'VMI_SetGDT*', match: 'high-level', errors: 'EINVAL EFAULT' },
  { number: 26, spelled: 'set_trap_table(table)', group: 'descriptors', vmi: 'VMI_SetIDT, VMI_WriteIDTEntry', match: '1:1', errors: 'EFAULT' },
  { number: 27, spelled: 'mmuext_op(MMUEXT_SET_LDT)', group: 'descriptors', vmi: 'VMI_SetLDT*', match: 'high-level', errors: 'EINVAL', errors417: 'EINVAL EPERM' },
  { number: 28, spelled: 'update_descriptor(pa, desc)', group: 'descriptors', vmi: 'VMI_WriteGDTEntry*, VMI_WriteLDTEntry*', match: 'high-level', errors: 'EINVAL' },
  { number: 29, spelled: 'mmuext_op(MMUEXT_NEW_BASEPTR)', group: 'cpu control', vmi: 'VMI_SetCR3*', match: 'high-level', errors417: 'EINVAL EPERM' },
  { number: 30, spelled: 'shared_info->vcpu_info[]->arch->cr2', group: 'cpu control', vmi: 'VMI_GetCR2', match: '1:1', field: 'arch.cr2' },
  { number: 31, spelled: 'fpu_taskswitch(0)', group: 'cpu control', vmi: 'VMI_CLTS', match: '1:1', use: 'arg0-zero' },
  { number: 32, spelled: 'fpu_taskswitch(1)', group: 'cpu control', vmi: 'VMI_SetCR0*', match: 'high-level', use: 'arg0-set' },
  { number: 33, spelled: 'set_debugreg(reg, value)', group: 'cpu control', vmi: 'VMI_SetDR', match: '1:1', errors: 'EPERM EINVAL', errors417: 'EPERM ENODEV' },
  { number: 34, spelled: 'get_debugreg(reg)', group: 'cpu control', vmi: 'VMI_GetDR', match: '1:1', errors: 'EINVAL', errors417: 'ENODEV' },
  { number: 35, spelled: 'stack_switch(ss, esp)', group: 'stack', vmi: 'VMI_UpdateKernelStack', match: '1:1' },
  { number: 36, spelled: 'iret', group: 'stack', vmi: 'VMI_IRET', match: '1:1' },
  { number: 37, spelled: 'physdev_op(PHYSDEVOP_SET_IOPL)', group: 'i/o', vmi: 'VMI_SetIOPLMask', match: '1:1', errors: 'EINVAL' },
  { number: 38, spelled: 'mmuext_op(MMUEXT_FLUSH_CACHE)', group: 'i/o', vmi: 'VMI_WBINVD', match: '1:1', errors: 'EINVAL', errors417: 'EACCES' },
  { number: 39, spelled: 'physdev_op(PHYSDEVOP_IRQ_UNMASK_NOTIFY)', group: 'i/o', vmi: '', match: 'none' },
  { number: 40, spelled: 'physdev_op(PHYSDEVOP_IRQ_STATUS_QUERY)', group: 'i/o', vmi: '', match: 'none', errors: 'EINVAL' },
  { number: 41, spelled: 'physdev_op(PHYSDEVOP_SET_IOBITMAP)', group: 'i/o', vmi: '', match: 'none', errors: 'EINVAL' },
  { number: 42, spelled: 'physdev_op(PHYSDEVOP_APIC_READ)', group: 'i/o', vmi: '', match: 'none', errors: 'EPERM EINVAL' },
  { number: 43, spelled: 'physdev_op(PHYSDEVOP_APIC_WRITE)', group: 'i/o', vmi: '', match: 'none', errors: 'EPERM EINVAL' },
  { number: 44, spelled: 'physdev_op(PHYSDEVOP_ASSIGN_VECTOR)', group: 'i/o', vmi: '', match: 'none', errors: 'EPERM EINVAL' },
  { number: 45, spelled: 'set_timer_op', group: 'timer', vmi: null, match: 'none' },
  { number: 46, spelled: 'mmuext_op(MMUEXT_(UN)PIN_*_TABLE)', group: 'mmu', vmi: 'RegisterPageType*', match: 'high-level', links: ['mmuext_op(MMUEXT_PIN_L1_TABLE)', 'mmuext_op(MMUEXT_PIN_L2_TABLE)', 'mmuext_op(MMUEXT_PIN_L3_TABLE)', 'mmuext_op(MMUEXT_UNPIN_TABLE)'], errors: 'EINVAL', errors417: 'EINVAL EBUSY' },
  { number: 47, spelled: 'mmuext_op(MMUEXT_TLB_FLUSH_LOCAL)', group: 'mmu', vmi: 'VMI_FlushTLB', match: '1:1', errors417: 'EPERM' },
  { number: 48, spelled: 'mmuext_op(MMUEXT_INVLPG_LOCAL)', group: 'mmu', vmi: 'VMI_InvalPage', match: '1:1', errors417: 'EPERM' },
  { number: 49, spelled: 'mmuext_op(MMUEXT_TLB_FLUSH_MULTI)', group: 'mmu', vmi: null, match: 'none', errors: 'EINVAL' },
  { number: 50, spelled: 'mmuext_op(MMUEXT_INVLPG_MULTI)', group: 'mmu', vmi: null, match: 'none', errors: 'EINVAL' },
  { number: 51, spelled: 'mmuext_op(MMUEXT_TLB_FLUSH_ALL)', group: 'mmu', vmi: null, match: 'none', errors417: 'EPERM' },
  { number: 52, spelled: 'mmuext_op(MMUEXT_INVLPG_ALL)', group: 'mmu', vmi: null, match: 'none', errors417: 'EPERM' },
  { number: 53, spelled: 'update_va_mapping', group: 'mmu', vmi: '', match: 'none', errors: 'EINVAL EFAULT', errors417: 'EINVAL EPERM EBUSY EFAULT' },
  { number: 54, spelled: 'mmu_update(MMU_NORMAL_PT_UPDATE)', group: 'mmu', vmi: 'VMI_SetPte*', match: 'high-level', errors: 'EINVAL EFAULT ESRCH', errors417: 'EINVAL EPERM EBUSY EFAULT ESRCH' },
  { number: 55, spelled: 'mmu_update(MMU_MACHPHYS_UPDATE)', group: 'mmu', vmi: 'no machine -> phys in VMI', match: 'none', errors: 'EINVAL' },
  { number: 56, spelled: 'memory_op(XENMEM_increase_reservation)', group: 'memory', vmi: '', match: 'none', errors: 'EFAULT EINVAL EPERM ESRCH ENOMEM short', errors417: 'short' },
  { number: 57, spelled: 'memory_op(XENMEM_decrease_reservation)', group: 'memory', vmi: '', match: 'none', errors: 'EFAULT EINVAL EPERM ESRCH ENOMEM short', errors417: 'short' },
  { number: 58, spelled: 'memory_op(XENMEM_populate_physmap)', group: 'memory', vmi: '', match: 'none', errors: 'EFAULT EINVAL EPERM ESRCH ENOMEM short', errors417: 'short' },
  { number: 59, spelled: 'memory_op(XENMEM_maximum_ram_page)', group: 'memory', vmi: '', match: 'none' },
  { number: 60, spelled: 'memory_op(XENMEM_current_reservation)', group: 'memory', vmi: '', match: 'none', errors: 'EFAULT EPERM ESRCH', errors417: 'EFAULT ESRCH' },
  { number: 61, spelled: 'memory_op(XENMEM_maximum_reservation)', group: 'memory', vmi: '', match: 'none', errors: 'EFAULT EPERM ESRCH', errors417: 'EFAULT ESRCH' },
  { number: 62, spelled: 'console_io()', group: 'misc', vmi: null, match: 'none', errors: 'EFAULT ENOSYS', errors417: 'EPERM EFAULT ENOSYS' },
  { number: 63, spelled: 'xen_version(XENVER_version)', group: 'misc', vmi: null, match: 'none' },
  { number: 64, spelled: 'xen_version(XENVER_extraversion)', group: 'misc', vmi: null, match: 'none', errors: 'EFAULT' },
  { number: 65, spelled: 'xen_version(XENVER_compile_info)', group: 'misc', vmi: null, match: 'none', errors: 'EFAULT' },
  { number: 66, spelled: 'xen_version(XENVER_capabilities)', group: 'misc', vmi: null, match: 'none', errors: 'EFAULT' },
  { number: 67, spelled: 'xen_version(XENVER_platform_parameters)', group: 'misc', vmi: null, match: 'none', errors: 'EFAULT' },
  { number: 68, spelled: 'xen_version(XENVER_get_features)', group: 'misc', vmi: null, match: 'none', errors: 'EFAULT EINVAL' },
  { number: 69, spelled: 'set_callbacks', group: 'misc', vmi: null, match: 'none' },
  { number: 70, spelled: 'vm_assist(VMASST_TYPE_4gb_segments)', group: 'misc', vmi: null, match: 'none', use: 'assist-0' },
  { number: 71, spelled: 'vm_assist(VMASST_TYPE_4gb_segments_notify)', group: 'misc', vmi: null, match: 'none', use: 'assist-1' },
  { number: 72, spelled: 'vm_assist(VMASST_TYPE_writable_pagetables)', group: 'misc', vmi: null, match: 'none', use: 'assist-2' },
  { number: 73, spelled: 'nmi_op(XENNMI_register_callback)', group: 'misc', vmi: null, match: 'none', errors: 'EINVAL EFAULT', errors417: 'EFAULT' },
  { number: 74, spelled: 'nmi_op(XENNMI_unregister_callback)', group: 'misc', vmi: null, match: 'none' },
  { number: 75, spelled: 'multicall', group: 'misc', vmi: 'VMI_SetDeferredMode*, VMI_FlushDeferredCalls*', match: 'high-level', errors: 'EFAULT' },
];
