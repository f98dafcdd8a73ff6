/*
 * Prints size and field offsets of the ABI structs that structs.ts describes, as gcc -m32 lays out the public headers.
 *   gcc -m32 -o /tmp/offsets offsets.c && /tmp/offsets > offsets.txt      (headers: Debian's libxen-dev)
 * Lines: struct NAME SIZE, then one line per field: NAME OFFSET SIZE.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#define __XEN_INTERFACE_VERSION__ 0x00040e00
#include <xen/xen.h>
#include <xen/callback.h>
#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/nmi.h>
#include <xen/physdev.h>
#include <xen/platform.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>

#define S(type, name) { typedef type t_; printf("struct %s %u\n", name, (unsigned)sizeof(t_)); }
#define F(type, name, member) printf("%s %u %u\n", name, (unsigned)offsetof(type, member), (unsigned)sizeof(((type *)0)->member))

int main(void) {
#define T struct vcpu_time_info
  S(T, "vcpu_time_info");
  F(T, "version", version); F(T, "tsc_timestamp", tsc_timestamp); F(T, "system_time", system_time);
  F(T, "tsc_to_system_mul", tsc_to_system_mul); F(T, "tsc_shift", tsc_shift); F(T, "flags", flags);
#undef T
#define T struct vcpu_info
  S(T, "vcpu_info");
  F(T, "evtchn_upcall_pending", evtchn_upcall_pending); F(T, "evtchn_upcall_mask", evtchn_upcall_mask);
  F(T, "evtchn_pending_sel", evtchn_pending_sel); F(T, "arch_cr2", arch.cr2); F(T, "=VCPU_INFO_TIME", time);
#undef T
#define T struct shared_info
  S(T, "shared_info");
  F(T, "=SHARED_EVTCHN_PENDING", evtchn_pending); F(T, "=SHARED_EVTCHN_MASK", evtchn_mask);
  F(T, "wc_version", wc_version); F(T, "wc_sec", wc_sec); F(T, "wc_nsec", wc_nsec);
  F(T, "arch_max_pfn", arch.max_pfn); F(T, "arch_pfn_to_mfn_frame_list_list", arch.pfn_to_mfn_frame_list_list);
  F(T, "arch_nmi_reason", arch.nmi_reason); F(T, "arch_p2m_cr3", arch.p2m_cr3);
  F(T, "arch_p2m_vaddr", arch.p2m_vaddr); F(T, "arch_p2m_generation", arch.p2m_generation);
  F(T, "arch_wc_sec_hi", arch.wc_sec_hi);
#undef T
#define T struct start_info
  S(T, "start_info");
  F(T, "nr_pages", nr_pages); F(T, "shared_info", shared_info); F(T, "flags", flags); F(T, "store_mfn", store_mfn);
  F(T, "store_evtchn", store_evtchn); F(T, "console_mfn", console.domU.mfn); F(T, "console_evtchn", console.domU.evtchn);
  F(T, "pt_base", pt_base); F(T, "nr_pt_frames", nr_pt_frames); F(T, "mfn_list", mfn_list);
  F(T, "mod_start", mod_start); F(T, "mod_len", mod_len); F(T, "first_p2m_pfn", first_p2m_pfn);
  F(T, "nr_p2m_frames", nr_p2m_frames); F(T, "=cmd_line", cmd_line);
#undef T
#define T struct trap_info
  S(T, "trap_info"); F(T, "vector", vector); F(T, "flags", flags); F(T, "cs", cs); F(T, "address", address);
#undef T
#define T struct cpu_user_regs
  S(T, "cpu_user_regs");
  F(T, "ebx", ebx); F(T, "ecx", ecx); F(T, "edx", edx); F(T, "esi", esi); F(T, "edi", edi); F(T, "ebp", ebp);
  F(T, "eax", eax); F(T, "error_code", error_code); F(T, "entry_vector", entry_vector); F(T, "eip", eip);
  F(T, "cs", cs); F(T, "saved_upcall_mask", saved_upcall_mask); F(T, "eflags", eflags); F(T, "esp", esp);
  F(T, "ss", ss); F(T, "es", es); F(T, "ds", ds); F(T, "fs", fs); F(T, "gs", gs);
#undef T
#define T struct vcpu_guest_context
  S(T, "vcpu_guest_context");
  F(T, "flags", flags); F(T, "ldt_base", ldt_base); F(T, "ldt_ents", ldt_ents); F(T, "gdt_ents", gdt_ents);
  F(T, "kernel_ss", kernel_ss); F(T, "kernel_sp", kernel_sp); F(T, "event_callback_cs", event_callback_cs);
  F(T, "event_callback_eip", event_callback_eip); F(T, "failsafe_callback_cs", failsafe_callback_cs);
  F(T, "failsafe_callback_eip", failsafe_callback_eip); F(T, "vm_assist", vm_assist);
  F(T, "[fpu_ctxt", fpu_ctxt); F(T, "[user_regs", user_regs); F(T, "[trap_ctxt", trap_ctxt);
  F(T, "[gdt_frames", gdt_frames); F(T, "[ctrlreg", ctrlreg); F(T, "[debugreg", debugreg);
#undef T
#define T struct callback_register
  S(T, "callback_register"); F(T, "type", type); F(T, "flags", flags); F(T, "cs", address.cs); F(T, "eip", address.eip);
#undef T
#define T struct callback_unregister
  S(T, "callback_unregister"); F(T, "type", type);
#undef T
#define T struct xennmi_callback
  S(T, "xennmi_callback"); F(T, "handler_address", handler_address);
#undef T
#define T struct sched_shutdown
  S(T, "sched_shutdown"); F(T, "reason", reason);
#undef T
#define T struct sched_poll
  S(T, "sched_poll"); F(T, "ports", ports); F(T, "nr_ports", nr_ports); F(T, "timeout", timeout);
#undef T
#define T struct sched_remote_shutdown
  S(T, "sched_remote_shutdown"); F(T, "domain_id", domain_id); F(T, "reason", reason);
#undef T
#define T struct sched_watchdog
  S(T, "sched_watchdog"); F(T, "id", id); F(T, "timeout", timeout);
#undef T
#define T struct vcpu_runstate_info
  S(T, "vcpu_runstate_info"); F(T, "state", state); F(T, "state_entry_time", state_entry_time);
#undef T
#define T struct vcpu_register_runstate_memory_area
  S(T, "vcpu_register_runstate_memory_area"); F(T, "addr", addr.v);
#undef T
#define T struct vcpu_register_time_memory_area
  S(T, "vcpu_register_time_memory_area"); F(T, "addr", addr.v);
#undef T
#define T struct vcpu_set_periodic_timer
  S(T, "vcpu_set_periodic_timer"); F(T, "period_ns", period_ns);
#undef T
#define T struct vcpu_set_singleshot_timer
  S(T, "vcpu_set_singleshot_timer"); F(T, "timeout_abs_ns", timeout_abs_ns); F(T, "flags", flags);
#undef T
#define T struct vcpu_register_vcpu_info
  S(T, "vcpu_register_vcpu_info"); F(T, "mfn", mfn); F(T, "offset", offset); F(T, "rsvd", rsvd);
#undef T
#define T struct vcpu_get_physid
  S(T, "vcpu_get_physid"); F(T, "phys_id", phys_id);
#undef T
#define T struct evtchn_bind_interdomain
  S(T, "evtchn_bind_interdomain"); F(T, "remote_dom", remote_dom); F(T, "remote_port", remote_port); F(T, "local_port", local_port);
#undef T
#define T struct evtchn_bind_virq
  S(T, "evtchn_bind_virq"); F(T, "virq", virq); F(T, "vcpu", vcpu); F(T, "port", port);
#undef T
#define T struct evtchn_bind_pirq
  S(T, "evtchn_bind_pirq"); F(T, "pirq", pirq); F(T, "flags", flags); F(T, "port", port);
#undef T
#define T struct evtchn_close
  S(T, "evtchn_close"); F(T, "port", port);
#undef T
#define T struct evtchn_send
  S(T, "evtchn_send"); F(T, "port", port);
#undef T
#define T struct evtchn_status
  S(T, "evtchn_status"); F(T, "dom", dom); F(T, "port", port); F(T, "status", status); F(T, "vcpu", vcpu);
  F(T, "u0", u.virq); F(T, "u1", u.interdomain.port);
#undef T
#define T struct evtchn_alloc_unbound
  S(T, "evtchn_alloc_unbound"); F(T, "dom", dom); F(T, "remote_dom", remote_dom); F(T, "port", port);
#undef T
#define T struct evtchn_bind_ipi
  S(T, "evtchn_bind_ipi"); F(T, "vcpu", vcpu); F(T, "port", port);
#undef T
#define T struct evtchn_bind_vcpu
  S(T, "evtchn_bind_vcpu"); F(T, "port", port); F(T, "vcpu", vcpu);
#undef T
#define T struct evtchn_unmask
  S(T, "evtchn_unmask"); F(T, "port", port);
#undef T
#define T struct evtchn_reset
  S(T, "evtchn_reset"); F(T, "dom", dom);
#undef T
#define T struct physdev_irq_status_query
  S(T, "physdev_irq_status_query"); F(T, "irq", irq); F(T, "flags", flags);
#undef T
#define T struct physdev_set_iopl
  S(T, "physdev_set_iopl"); F(T, "iopl", iopl);
#undef T
#define T struct physdev_set_iobitmap
  S(T, "physdev_set_iobitmap"); F(T, "bitmap", bitmap); F(T, "nr_ports", nr_ports);
#undef T
#define T struct physdev_apic
  S(T, "physdev_apic"); F(T, "apic_physbase", apic_physbase); F(T, "reg", reg); F(T, "value", value);
#undef T
#define T struct physdev_irq
  S(T, "physdev_irq"); F(T, "irq", irq); F(T, "vector", vector);
#undef T
#define T struct physdev_eoi
  S(T, "physdev_eoi"); F(T, "irq", irq);
#undef T
#define T struct physdev_map_pirq
  S(T, "physdev_map_pirq"); F(T, "domid", domid); F(T, "type", type); F(T, "index", index); F(T, "pirq", pirq);
  F(T, "bus", bus); F(T, "devfn", devfn); F(T, "entry_nr", entry_nr); F(T, "table_base", table_base);
#undef T
#define T struct physdev_unmap_pirq
  S(T, "physdev_unmap_pirq"); F(T, "domid", domid); F(T, "pirq", pirq);
#undef T
#define T struct physdev_pirq_eoi_gmfn
  S(T, "physdev_pirq_eoi_gmfn"); F(T, "gmfn", gmfn);
#undef T
#define T struct xen_platform_parameters
  S(T, "xen_platform_parameters"); F(T, "virt_start", virt_start);
#undef T
#define T struct xen_feature_info
  S(T, "xen_feature_info"); F(T, "submap_idx", submap_idx); F(T, "submap", submap);
#undef T
#define T struct mmu_update
  S(T, "mmu_update"); F(T, "ptr", ptr); F(T, "val", val);
#undef T
#define T struct mmuext_op
  S(T, "mmuext_op"); F(T, "cmd", cmd); F(T, "arg1", arg1); F(T, "arg2", arg2);
#undef T
#define T struct xenpf_pcpuinfo
  S(T, "xenpf_pcpuinfo"); F(T, "xen_cpuid", xen_cpuid); F(T, "max_present", max_present); F(T, "flags", flags);
  F(T, "apic_id", apic_id); F(T, "acpi_id", acpi_id); F(struct xen_platform_op, "=PLATFORM_OP_BODY", u);
  printf("=PLATFORM_OP_SIZE 0 %u\n", (unsigned)sizeof(struct xen_platform_op));
#undef T
#define T struct xenpf_cpu_ol
  S(T, "xenpf_cpu_ol"); F(T, "cpuid", cpuid);
#undef T
#define T struct multicall_entry
  S(T, "multicall_entry"); F(T, "op", op); F(T, "result", result); F(T, "arg0", args[0]); F(T, "arg1", args[1]);
  F(T, "arg2", args[2]); F(T, "arg3", args[3]); F(T, "arg4", args[4]); F(T, "arg5", args[5]);
#undef T
#define T struct xen_memory_reservation
  S(T, "xen_memory_reservation"); F(T, "extent_start", extent_start); F(T, "nr_extents", nr_extents);
  F(T, "extent_order", extent_order); F(T, "mem_flags", mem_flags); F(T, "domid", domid);
#undef T
#define T struct xen_machphys_mfn_list
  S(T, "xen_machphys_mfn_list"); F(T, "max_extents", max_extents); F(T, "extent_start", extent_start); F(T, "nr_extents", nr_extents);
#undef T
#define T struct xen_machphys_mapping
  S(T, "xen_machphys_mapping"); F(T, "v_start", v_start); F(T, "v_end", v_end); F(T, "max_mfn", max_mfn);
#undef T
#define T struct xen_memory_map
  S(T, "xen_memory_map"); F(T, "nr_entries", nr_entries); F(T, "buffer", buffer);
#undef T
#define T struct gnttab_map_grant_ref
  S(T, "gnttab_map_grant_ref"); F(T, "host_addr", host_addr); F(T, "flags", flags); F(T, "ref", ref); F(T, "dom", dom);
  F(T, "status", status); F(T, "handle", handle); F(T, "dev_bus_addr", dev_bus_addr);
#undef T
#define T struct gnttab_unmap_grant_ref
  S(T, "gnttab_unmap_grant_ref"); F(T, "host_addr", host_addr); F(T, "dev_bus_addr", dev_bus_addr); F(T, "handle", handle); F(T, "status", status);
#undef T
#define T struct gnttab_setup_table
  S(T, "gnttab_setup_table"); F(T, "dom", dom); F(T, "nr_frames", nr_frames); F(T, "status", status); F(T, "frame_list", frame_list);
#undef T
#define T struct gnttab_query_size
  S(T, "gnttab_query_size"); F(T, "dom", dom); F(T, "nr_frames", nr_frames); F(T, "max_nr_frames", max_nr_frames); F(T, "status", status);
#undef T
#define T struct gnttab_copy
  S(T, "gnttab_copy"); F(T, "source_u", source.u.ref); F(T, "source_domid", source.domid); F(T, "source_offset", source.offset);
  F(T, "dest_u", dest.u.ref); F(T, "dest_domid", dest.domid); F(T, "dest_offset", dest.offset);
  F(T, "len", len); F(T, "flags", flags); F(T, "status", status);
#undef T
  return 0;
}
