/**
 * The structs of the 32-bit x86 ABI, described once: size and i386 offset of every field (public headers; u64 is
 * 4-byte aligned). structs.test.ts compares every size and offset with what gcc -m32 says about the headers.
 */
import { inout, out, s16, s32, struct, u8, u16, u32, u64 } from './struct.ts';

// --- shared memory
export const vcpu_time_info = struct('vcpu_time_info', 32, {
  version: u32(0, 'dec'),
  tsc_timestamp: u64(8, 'dec'),
  system_time: u64(16, 'ns'),
  tsc_to_system_mul: u32(24),
  tsc_shift: u8(28, 'dec'),
  flags: u8(29),
});
export const vcpu_info = struct('vcpu_info', 64, {
  evtchn_upcall_pending: u8(0),
  evtchn_upcall_mask: u8(1),
  evtchn_pending_sel: u32(4),
  arch_cr2: u32(8, 'va'),
});
export const shared_info = struct('shared_info', 2344, {
  wc_version: u32(2304, 'dec'),
  wc_sec: u32(2308, 'dec'),
  wc_nsec: u32(2312, 'dec'),
  arch_max_pfn: u32(2316),
  arch_pfn_to_mfn_frame_list_list: u32(2320, 'mfn'),
  arch_nmi_reason: u32(2324),
  arch_p2m_cr3: u32(2328),
  arch_p2m_vaddr: u32(2332),
  arch_p2m_generation: u32(2336),
  arch_wc_sec_hi: u32(2340),
});
export const start_info = struct('start_info', 1112, {
  nr_pages: u32(32, 'dec'),
  shared_info: u32(36, 'maddr'),
  flags: u32(40),
  store_mfn: u32(44, 'mfn'),
  store_evtchn: u32(48, 'port'),
  console_mfn: u32(52, 'mfn'),
  console_evtchn: u32(56, 'port'),
  pt_base: u32(60, 'va'),
  nr_pt_frames: u32(64, 'dec'),
  mfn_list: u32(68, 'va'),
  mod_start: u32(72, 'va'),
  mod_len: u32(76, 'dec'),
  first_p2m_pfn: u32(1104),
  nr_p2m_frames: u32(1108),
});
/** Bytes of start_info.magic and start_info.cmd_line. */
export const START_INFO_MAGIC = { offset: 0, size: 32 };
export const START_INFO_CMD_LINE = { offset: 80, size: 1024 };

// --- traps and vcpus
export const trap_info = struct('trap_info', 8, {
  vector: u8(0, 'dec'),
  flags: u8(1),
  cs: u16(2),
  address: u32(4, 'va'),
});
export const cpu_user_regs = struct('cpu_user_regs', 68, {
  ebx: u32(0),
  ecx: u32(4),
  edx: u32(8),
  esi: u32(12),
  edi: u32(16),
  ebp: u32(20),
  eax: u32(24),
  error_code: u16(28),
  entry_vector: u16(30),
  eip: u32(32),
  cs: u16(36),
  saved_upcall_mask: u8(38),
  eflags: u32(40),
  esp: u32(44),
  ss: u16(48),
  es: u16(52),
  ds: u16(56),
  fs: u16(60),
  gs: u16(64),
});
export const vcpu_guest_context = struct('vcpu_guest_context', 2800, {
  flags: u32(512),
  ldt_base: u32(2632, 'va'),
  ldt_ents: u32(2636, 'dec'),
  gdt_ents: u32(2704, 'dec'),
  kernel_ss: u32(2708),
  kernel_sp: u32(2712, 'va'),
  event_callback_cs: u32(2780),
  event_callback_eip: u32(2784, 'va'),
  failsafe_callback_cs: u32(2788),
  failsafe_callback_eip: u32(2792, 'va'),
  vm_assist: u32(2796),
});
/** Arrays of vcpu_guest_context: byte offset, element size, element count. */
export const VCPU_CONTEXT_ARRAYS = {
  fpu_ctxt: { offset: 0, size: 1, count: 512 },
  user_regs: { offset: 516, size: 68, count: 1 },
  trap_ctxt: { offset: 584, size: 8, count: 256 },
  gdt_frames: { offset: 2640, size: 4, count: 16 },
  ctrlreg: { offset: 2716, size: 4, count: 8 },
  debugreg: { offset: 2748, size: 4, count: 8 },
} as const;
export const callback_register = struct('callback_register', 12, {
  type: u16(0, 'dec'),
  flags: u16(2),
  cs: u32(4),
  eip: u32(8, 'va'),
});
export const callback_unregister = struct('callback_unregister', 4, { type: u16(0, 'dec') });
export const xennmi_callback = struct('xennmi_callback', 8, { handler_address: u32(0, 'va') });

// --- scheduling, vcpus, time
export const sched_shutdown = struct('sched_shutdown', 4, { reason: u32(0, 'dec') });
export const sched_poll = struct('sched_poll', 16, {
  ports: u32(0, 'va'),
  nr_ports: u32(4, 'dec'),
  timeout: u64(8, 'ns'),
});
export const sched_remote_shutdown = struct('sched_remote_shutdown', 8, {
  domain_id: u16(0, 'domid'),
  reason: u32(4, 'dec'),
});
export const sched_watchdog = struct('sched_watchdog', 8, { id: u32(0, 'dec'), timeout: u32(4, 'dec') });
export const vcpu_runstate_info = struct('vcpu_runstate_info', 44, {
  state: s32(0, 'dec'),
  state_entry_time: u64(4, 'ns'),
});
/** vcpu_runstate_info.time[4]: one u64 per runstate. */
export const RUNSTATE_TIME = { offset: 12, size: 8, count: 4 };
export const vcpu_register_runstate_memory_area = struct('vcpu_register_runstate_memory_area', 8, {
  addr: u32(0, 'va'),
});
export const vcpu_register_time_memory_area = struct('vcpu_register_time_memory_area', 8, {
  addr: u32(0, 'va'),
});
export const vcpu_set_periodic_timer = struct('vcpu_set_periodic_timer', 8, { period_ns: u64(0, 'ns') });
export const vcpu_set_singleshot_timer = struct('vcpu_set_singleshot_timer', 12, {
  timeout_abs_ns: u64(0, 'ns'),
  flags: u32(8),
});
export const vcpu_register_vcpu_info = struct('vcpu_register_vcpu_info', 16, {
  mfn: u64(0, 'mfn'),
  offset: u32(8),
  rsvd: u32(12),
});
export const vcpu_get_physid = struct('vcpu_get_physid', 8, { phys_id: out(u64(0)) });

// --- event channels
export const evtchn_bind_interdomain = struct('evtchn_bind_interdomain', 12, {
  remote_dom: u16(0, 'domid'),
  remote_port: u32(4, 'port'),
  local_port: out(u32(8, 'port')),
});
export const evtchn_bind_virq = struct('evtchn_bind_virq', 12, {
  virq: u32(0, 'dec'),
  vcpu: u32(4, 'dec'),
  port: out(u32(8, 'port')),
});
export const evtchn_bind_pirq = struct('evtchn_bind_pirq', 12, {
  pirq: u32(0, 'dec'),
  flags: u32(4),
  port: out(u32(8, 'port')),
});
export const evtchn_close = struct('evtchn_close', 4, { port: u32(0, 'port') });
export const evtchn_send = struct('evtchn_send', 4, { port: u32(0, 'port') });
export const evtchn_status = struct('evtchn_status', 24, {
  dom: u16(0, 'domid'),
  port: u32(4, 'port'),
  status: out(u32(8, 'dec')),
  vcpu: out(u32(12, 'dec')),
  /** interdomain: u16 dom; unbound: u16 dom; pirq, virq: the number. */
  u0: out(u32(16)),
  /** interdomain: remote port. */
  u1: out(u32(20)),
});
export const evtchn_alloc_unbound = struct('evtchn_alloc_unbound', 8, {
  dom: u16(0, 'domid'),
  remote_dom: u16(2, 'domid'),
  port: out(u32(4, 'port')),
});
export const evtchn_bind_ipi = struct('evtchn_bind_ipi', 8, {
  vcpu: u32(0, 'dec'),
  port: out(u32(4, 'port')),
});
export const evtchn_bind_vcpu = struct('evtchn_bind_vcpu', 8, { port: u32(0, 'port'), vcpu: u32(4, 'dec') });
export const evtchn_unmask = struct('evtchn_unmask', 4, { port: u32(0, 'port') });
export const evtchn_reset = struct('evtchn_reset', 2, { dom: u16(0, 'domid') });
/** Bytes of the whole 3.0.2 struct: u32 cmd, then the union. */
export const EVTCHN_OP_SIZE = 28;

// --- physical devices
export const physdev_irq_status_query = struct('physdev_irq_status_query', 8, {
  irq: u32(0, 'dec'),
  flags: out(u32(4)),
});
export const physdev_set_iopl = struct('physdev_set_iopl', 4, { iopl: u32(0, 'dec') });
export const physdev_set_iobitmap = struct('physdev_set_iobitmap', 8, {
  bitmap: u32(0, 'va'),
  nr_ports: u32(4, 'dec'),
});
export const physdev_apic = struct('physdev_apic', 12, {
  apic_physbase: u32(0, 'maddr'),
  reg: u32(4),
  value: inout(u32(8)),
});
export const physdev_irq = struct('physdev_irq', 8, { irq: u32(0, 'dec'), vector: out(u32(4)) });
export const physdev_eoi = struct('physdev_eoi', 4, { irq: u32(0, 'dec') });
export const physdev_map_pirq = struct('physdev_map_pirq', 36, {
  domid: u16(0, 'domid'),
  type: s32(4, 'dec'),
  index: s32(8, 'dec'),
  pirq: inout(s32(12, 'dec')),
  bus: s32(16, 'dec'),
  devfn: s32(20),
  entry_nr: s32(24, 'dec'),
  table_base: u64(28, 'maddr'),
});
export const physdev_unmap_pirq = struct('physdev_unmap_pirq', 8, {
  domid: u16(0, 'domid'),
  pirq: s32(4, 'dec'),
});
export const physdev_pirq_eoi_gmfn = struct('physdev_pirq_eoi_gmfn', 4, { gmfn: u32(0, 'mfn') });
/** Bytes of the whole 3.0.2 struct: u32 cmd, then the union. */
export const PHYSDEV_OP_SIZE = 16;

// --- the platform
export const xenpf_pcpuinfo = struct('xenpf_pcpuinfo', 20, {
  xen_cpuid: u32(0, 'dec'),
  max_present: out(u32(4, 'dec')),
  flags: out(u32(8)),
  apic_id: out(u32(12, 'dec')),
  acpi_id: out(u32(16, 'dec')),
});
export const xenpf_cpu_ol = struct('xenpf_cpu_ol', 4, { cpuid: u32(0, 'dec') });
/** Bytes of the whole struct: u32 cmd, u32 interface_version, then the union. */
export const PLATFORM_OP_SIZE = 136;

// --- version
export const xen_platform_parameters = struct('xen_platform_parameters', 4, {
  virt_start: out(u32(0, 'va')),
});
export const xen_feature_info = struct('xen_feature_info', 8, {
  submap_idx: u32(0, 'dec'),
  submap: out(u32(4)),
});

// --- memory
export const mmu_update = struct('mmu_update', 16, { ptr: u64(0, 'maddr'), val: u64(8) });
export const mmuext_op = struct('mmuext_op', 12, { cmd: u32(0, 'dec'), arg1: u32(4), arg2: u32(8) });
export const multicall_entry = struct('multicall_entry', 32, {
  op: u32(0, 'dec'),
  result: s32(4, 'dec'),
  arg0: u32(8),
  arg1: u32(12),
  arg2: u32(16),
  arg3: u32(20),
  arg4: u32(24),
  arg5: u32(28),
});
export const xen_memory_reservation = struct('xen_memory_reservation', 20, {
  extent_start: u32(0, 'va'),
  nr_extents: u32(4, 'dec'),
  extent_order: u32(8, 'dec'),
  mem_flags: u32(12),
  domid: u16(16, 'domid'),
});
export const xen_machphys_mfn_list = struct('xen_machphys_mfn_list', 12, {
  max_extents: u32(0, 'dec'),
  extent_start: u32(4, 'va'),
  nr_extents: out(u32(8, 'dec')),
});
export const xen_machphys_mapping = struct('xen_machphys_mapping', 12, {
  v_start: out(u32(0, 'va')),
  v_end: out(u32(4, 'va')),
  max_mfn: out(u32(8, 'mfn')),
});
export const xen_memory_map = struct('xen_memory_map', 8, {
  nr_entries: inout(u32(0, 'dec')),
  buffer: u32(4, 'va'),
});

// --- grants
export const gnttab_map_grant_ref = struct('gnttab_map_grant_ref', 32, {
  host_addr: u64(0, 'va'),
  flags: u32(8),
  ref: u32(12, 'dec'),
  dom: u16(16, 'domid'),
  status: out(s16(18, 'dec')),
  handle: out(u32(20, 'dec')),
  dev_bus_addr: out(u64(24, 'maddr')),
});
export const gnttab_unmap_grant_ref = struct('gnttab_unmap_grant_ref', 24, {
  host_addr: u64(0, 'va'),
  dev_bus_addr: u64(8, 'maddr'),
  handle: u32(16, 'dec'),
  status: out(s16(20, 'dec')),
});
export const gnttab_setup_table = struct('gnttab_setup_table', 16, {
  dom: u16(0, 'domid'),
  nr_frames: u32(4, 'dec'),
  status: out(s16(8, 'dec')),
  frame_list: u32(12, 'va'),
});
export const gnttab_query_size = struct('gnttab_query_size', 16, {
  dom: u16(0, 'domid'),
  nr_frames: out(u32(4, 'dec')),
  max_nr_frames: out(u32(8, 'dec')),
  status: out(s16(12, 'dec')),
});
export const gnttab_copy = struct('gnttab_copy', 24, {
  source_u: u32(0),
  source_domid: u16(4, 'domid'),
  source_offset: u16(6),
  dest_u: u32(8),
  dest_domid: u16(12, 'domid'),
  dest_offset: u16(14),
  len: u16(16, 'dec'),
  flags: u16(18),
  status: out(s16(20, 'dec')),
});
