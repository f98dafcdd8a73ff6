/*
 * xen.h: the part of Xen's i386 PV interface that our guests use, written from the ABI description.
 *
 * XEN_PAE   page tables of three levels and 8-byte entries (xen-3.0-x86_32p); otherwise two levels, 4-byte entries.
 * XEN_302   speak the hypercall forms of Xen 3.0.2 (2006): one struct for event_channel_op, the old sched_op.
 */
#ifndef LIB_XEN_H
#define LIB_XEN_H
#include "types.h"

/* ---- hypercall numbers */
#define HYPERCALL_set_trap_table 0
#define HYPERCALL_mmu_update 1
#define HYPERCALL_set_gdt 2
#define HYPERCALL_stack_switch 3
#define HYPERCALL_set_callbacks 4
#define HYPERCALL_fpu_taskswitch 5
#define HYPERCALL_sched_op_compat 6
#define HYPERCALL_update_descriptor 10
#define HYPERCALL_memory_op 12
#define HYPERCALL_multicall 13
#define HYPERCALL_update_va_mapping 14
#define HYPERCALL_set_timer_op 15
#define HYPERCALL_event_channel_op_compat 16
#define HYPERCALL_xen_version 17
#define HYPERCALL_console_io 18
#define HYPERCALL_grant_table_op 20
#define HYPERCALL_vm_assist 21
#define HYPERCALL_iret 23
#define HYPERCALL_vcpu_op 24
#define HYPERCALL_mmuext_op 26
#define HYPERCALL_sched_op 29
#define HYPERCALL_event_channel_op 32

/* ---- errno, as hypercalls return it, negated */
#define EPERM 1
#define ENOENT 2
#define ESRCH 3
#define EFAULT 14
#define EBUSY 16
#define EEXIST 17
#define EINVAL 22
#define ENOSPC 28
#define ENOSYS 38

#define DOMID_SELF 0x7FF0u
#define DOMID_IO 0x7FF1u
#define DOMID_XEN 0x7FF2u

/* ---- page tables */
#ifdef XEN_PAE
typedef u64 pte_t;
#define PT_LEVELS 3
#define L1_ENTRIES 512u
#define L2_SHIFT 21
#define HYPERVISOR_VIRT_START 0xF5800000u
#define GUEST_ABI "x86_32p"
#define MMUEXT_PIN_ROOT MMUEXT_PIN_L3_TABLE
#else
typedef u32 pte_t;
#define PT_LEVELS 2
#define L1_ENTRIES 1024u
#define L2_SHIFT 22
#define HYPERVISOR_VIRT_START 0xFC000000u
#define GUEST_ABI "x86_32"
#define MMUEXT_PIN_ROOT MMUEXT_PIN_L2_TABLE
#endif
#define PTE_P 0x001u /* present */
#define PTE_W 0x002u /* writable */
#define PTE_U 0x004u /* user: ring 3 may use it */
#define PTE_A 0x020u /* accessed */
#define PTE_D 0x040u /* dirty */
#define PTE_COW 0x200u /* the first of the bits left to software: copy on write */

/* mmu_update: the low bits of ptr are the command */
#define MMU_NORMAL_PT_UPDATE 0
#define MMU_MACHPHYS_UPDATE 1
struct mmu_update {
	u64 ptr; /* machine address of the entry, plus the command */
	u64 val;
};

#define MMUEXT_PIN_L1_TABLE 0
#define MMUEXT_PIN_L2_TABLE 1
#define MMUEXT_PIN_L3_TABLE 2
#define MMUEXT_UNPIN_TABLE 4
#define MMUEXT_NEW_BASEPTR 5
#define MMUEXT_TLB_FLUSH_LOCAL 6
#define MMUEXT_INVLPG_LOCAL 7
#define MMUEXT_TLB_FLUSH_MULTI 8
#define MMUEXT_INVLPG_MULTI 9
#define MMUEXT_TLB_FLUSH_ALL 10
#define MMUEXT_INVLPG_ALL 11
#define MMUEXT_SET_LDT 13
struct mmuext_op {
	u32 cmd;
	u32 arg1; /* mfn or linear address */
	u32 arg2; /* number of entries, or pointer to a vcpu mask */
};

#define UVMF_NONE 0
#define UVMF_TLB_FLUSH 1
#define UVMF_INVLPG 2
#define UVMF_ALL 4 /* on every vcpu; or the address of a vcpu mask, aligned to 4 */

/* ---- traps */
#define TRAP_MASK_EVENTS 4 /* flags bit 2: enter with events masked */
struct trap_info {
	u8 vector;
	u8 flags; /* bits 0-1: DPL for int n */
	u16 cs;
	u32 address;
};
#define FLAT_KERNEL_CS 0xE019
#define FLAT_KERNEL_DS 0xE021
#define FLAT_USER_CS 0xE02B
#define FLAT_USER_DS 0xE033

/* ---- events */
#define EVTCHNOP_bind_interdomain 0
#define EVTCHNOP_bind_virq 1
#define EVTCHNOP_close 3
#define EVTCHNOP_send 4
#define EVTCHNOP_status 5
#define EVTCHNOP_alloc_unbound 6
#define EVTCHNOP_bind_ipi 7
#define EVTCHNOP_unmask 9
struct evtchn_bind_interdomain { u16 remote_dom; u32 remote_port; u32 local_port; };
struct evtchn_bind_virq { u32 virq; u32 vcpu; u32 port; };
struct evtchn_port { u32 port; };
struct evtchn_alloc_unbound { u16 dom; u16 remote_dom; u32 port; };
struct evtchn_bind_ipi { u32 vcpu; u32 port; };
struct evtchn_status {
	u16 dom;
	u32 port;
	u32 status;
	u32 vcpu;
	u32 detail[2]; /* by status: remote domain (and port), pirq, virq */
};
#define EVTCHNSTAT_closed 0
#define EVTCHNSTAT_unbound 1
#define EVTCHNSTAT_interdomain 2
#define EVTCHNSTAT_pirq 3
#define EVTCHNSTAT_virq 4
#define EVTCHNSTAT_ipi 5
#define VIRQ_TIMER 0
#define VIRQ_DEBUG 1
#define VIRQ_CONSOLE 2

/* ---- scheduling, vcpus */
#define SCHEDOP_yield 0
#define SCHEDOP_block 1
#define SCHEDOP_shutdown 2
#define SCHEDOP_poll 3
#define SHUTDOWN_poweroff 0
#define SHUTDOWN_reboot 1
#define SHUTDOWN_suspend 2
#define SHUTDOWN_crash 3
struct sched_poll { u32 *ports; u32 nr_ports; u64 timeout; };

#define VCPUOP_initialise 0
#define VCPUOP_up 1
#define VCPUOP_down 2
#define VCPUOP_is_up 3
#define VCPUOP_get_runstate_info 4
#define VCPUOP_register_runstate_memory_area 5
#define VCPUOP_stop_periodic_timer 7
#define RUNSTATE_offline 3
struct runstate_info {
	s32 state;
	u64 state_entry_time;
	u64 time[4]; /* running, runnable, blocked, offline */
};

/* ---- misc */
#define XENVER_version 0
#define XENVER_extraversion 1
#define XENVER_capabilities 3
#define XENVER_platform_parameters 5
#define XENVER_get_features 6
#define CONSOLEIO_write 0
#define CONSOLEIO_read 1
#define VMASST_CMD_enable 0
#define VMASST_CMD_disable 1
#define VMASST_TYPE_writable_pagetables 2
struct multicall_entry { u32 op, result, args[6]; };

/* ---- memory_op */
#define XENMEM_increase_reservation 0
#define XENMEM_decrease_reservation 1
#define XENMEM_maximum_ram_page 2
#define XENMEM_current_reservation 3
#define XENMEM_maximum_reservation 4
#define XENMEM_populate_physmap 6
struct xen_memory_reservation {
	u32 *extent_start;
	u32 nr_extents;
	u32 extent_order;
	u32 address_bits;
	u16 domid;
};

/* ---- shared_info */
struct vcpu_time_info {
	u32 version; /* odd while being written */
	u32 pad0;
	u64 tsc_timestamp;
	u64 system_time; /* ns at tsc_timestamp */
	u32 tsc_to_system_mul;
	signed char tsc_shift;
	u8 flags;
	u8 pad1[2];
};
struct vcpu_info {
	u8 evtchn_upcall_pending;
	u8 evtchn_upcall_mask;
	u16 pad0;
	u32 evtchn_pending_sel;
	u32 cr2; /* arch.cr2: address of the last page fault */
	u32 pad1[5];
	struct vcpu_time_info time;
};
struct shared_info {
	struct vcpu_info vcpu_info[32];
	u32 evtchn_pending[32];
	u32 evtchn_mask[32];
	u32 wc_version, wc_sec, wc_nsec;
	u32 max_pfn, pfn_to_mfn_frame_list_list, nmi_reason;
};

/* ---- start_info */
#define SIF_PRIVILEGED 1
#define SIF_INITDOMAIN 2
struct start_info {
	char magic[32];
	u32 nr_pages;
	u32 shared_info; /* machine address */
	u32 flags;
	u32 store_mfn, store_evtchn;
	u32 console_mfn, console_evtchn; /* absent in the initial domain */
	u32 pt_base;
	u32 nr_pt_frames;
	u32 mfn_list; /* the p2m */
	u32 mod_start, mod_len;
	char cmd_line[1024];
};

/* ---- rings */
struct console_ring {
	char in[1024];
	char out[2048];
	u32 in_cons, in_prod, out_cons, out_prod;
};
struct store_ring {
	char req[1024];
	char rsp[1024];
	u32 req_cons, req_prod, rsp_cons, rsp_prod;
};

#endif
