/** Numbers of the ABI that more than one file needs, in the ABI's spelling (public/xen.h, sched.h, event_channel.h). */

// --- selectors of the reserved part of every GDT (public/arch-x86/xen-x86_32.h)
export const FLAT_KERNEL_CS = 0xe019;
export const FLAT_KERNEL_DS = 0xe021;
export const FLAT_KERNEL_SS = 0xe021;
export const FLAT_USER_CS = 0xe02b;
export const FLAT_USER_DS = 0xe033;
export const FIRST_RESERVED_GDT_PAGE = 14;
export const FIRST_RESERVED_GDT_ENTRY = 7168;
/** Limit of the GDT register, whatever set_gdt was told. */
export const GDT_LIMIT = 0xefff;

// --- shared_info (byte offsets in the page)
export const SHARED_VCPU_INFO_SIZE = 64;
export const SHARED_MAX_VCPUS = 32;
export const SHARED_EVTCHN_PENDING = 2048;
export const SHARED_EVTCHN_MASK = 2176;
export const SHARED_WC_VERSION = 2304;
export const SHARED_WC_SEC = 2308;
export const SHARED_WC_NSEC = 2312;
export const SHARED_MAX_PFN = 2316;
export const SHARED_FRAME_LIST_LIST = 2320;
export const SHARED_NMI_REASON = 2324;
/** A bit of arch.nmi_reason: an NMI without a source that could say why. */
export const NMIREASON_unknown = 4;
export const SHARED_WC_SEC_HI = 2340;

// --- vcpu_info (byte offsets)
export const VCPU_INFO_UPCALL_PENDING = 0;
export const VCPU_INFO_UPCALL_MASK = 1;
export const VCPU_INFO_PENDING_SEL = 4;
export const VCPU_INFO_CR2 = 8;
export const VCPU_INFO_TIME = 32;

// --- vcpu_time_info (byte offsets)
export const TIME_VERSION = 0;
export const TIME_TSC_TIMESTAMP = 8;
export const TIME_SYSTEM_TIME = 16;
export const TIME_MUL = 24;
export const TIME_SHIFT = 28;
export const TIME_FLAGS = 29;
export const TIME_INFO_SIZE = 32;

// --- vm_assist types
export const VMASST_TYPE_4gb_segments = 0;
export const VMASST_TYPE_4gb_segments_notify = 1;
export const VMASST_TYPE_writable_pagetables = 2;
export const VMASST_TYPE_pae_extended_cr3 = 3;
export const VMASST_TYPE_architectural_iopl = 4;
export const VMASST_TYPE_runstate_update_flag = 5;

// --- event channels
export const EVTCHNSTAT_closed = 0;
export const EVTCHNSTAT_unbound = 1;
export const EVTCHNSTAT_interdomain = 2;
export const EVTCHNSTAT_pirq = 3;
export const EVTCHNSTAT_virq = 4;
export const EVTCHNSTAT_ipi = 5;

export const VIRQ_TIMER = 0;
export const VIRQ_DEBUG = 1;
export const VIRQ_CONSOLE = 2;
export const VIRQ_DOM_EXC = 3;
export const VIRQ_CON_RING = 8;
export const VIRQ_PCPU_STATE = 9;
export const VIRQ_NAMES: readonly (string | undefined)[] = [
  'TIMER',
  'DEBUG',
  'CONSOLE',
  'DOM_EXC',
  'TBUF',
  undefined,
  'DEBUGGER',
  'XENOPROF',
  'CON_RING',
  'PCPU_STATE',
  'MEM_EVENT',
  'ARGO',
  'ENOMEM',
  'XENPMU',
];
/** VIRQs that can be bound but never fire here, and why. */
export const VIRQ_NEVER_RAISED: Readonly<Record<number, string>> = {
  4: 'there is no trace buffer',
  6: 'there is no debugger connection',
  7: 'there is no profiler',
  10: 'there is no memory event channel',
  11: 'Argo is not offered',
  12: 'the hypervisor keeps its own heap apart',
  13: 'there are no performance counters',
  16: 'there are no machine checks',
  ...Object.fromEntries(
    [5, 14, 15, 17, 18, 19, 20, 21, 22, 23].map((n) => [n, 'the ABI gives it no meaning']),
  ),
};
/** Physical interrupt numbers are below this. */
export const NR_PIRQS = 256;
export const NR_VIRQS_302 = 8;
export const NR_VIRQS_417 = 24;
/** VIRQs that exist once per vcpu; all others are global (4.17). */
export const PER_VCPU_VIRQS: readonly number[] = [0, 1, 7, 13];

// --- scheduling
export const SHUTDOWN_poweroff = 0;
export const SHUTDOWN_reboot = 1;
export const SHUTDOWN_suspend = 2;
export const SHUTDOWN_crash = 3;
export const SHUTDOWN_watchdog = 4;
export const SHUTDOWN_soft_reset = 5;

// --- trap_info.flags
export const TI_DPL_MASK = 3;
/** Events are masked when the handler is entered. */
export const TI_MASK_EVENTS = 4;

// --- vcpu_guest_context.flags
export const VGCF_I387_VALID = 1;
export const VGCF_IN_KERNEL = 4;
export const VGCF_failsafe_disables_events = 8;
export const VGCF_online = 32;

// --- EFLAGS
export const EFLAGS_CF = 0x1;
export const EFLAGS_TF = 0x100;
export const EFLAGS_IF = 0x200;
export const EFLAGS_DF = 0x400;
export const EFLAGS_IOPL = 0x3000;
export const EFLAGS_NT = 0x4000;
export const EFLAGS_RF = 0x1_0000;
export const EFLAGS_VM = 0x2_0000;
export const EFLAGS_FIXED = 0x2;
