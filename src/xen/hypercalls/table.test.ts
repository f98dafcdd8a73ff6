import { describe, expect, it } from 'vitest';
import { HYPERCALLS } from './table.ts';

/** Every interface of the 2006 comparison that is a hypercall, as it is spelled there. */
const SEED = `
  event_channel_op: EVTCHNOP_alloc_unbound EVTCHNOP_bind_interdomain EVTCHNOP_bind_virq EVTCHNOP_bind_pirq
    EVTCHNOP_bind_ipi EVTCHNOP_close EVTCHNOP_send EVTCHNOP_status EVTCHNOP_bind_vcpu EVTCHNOP_unmask
  sched_op: SCHEDOP_yield SCHEDOP_block SCHEDOP_shutdown SHUTDOWN_suspend
  sched_op_new: SCHEDOP_poll
  vcpu_op: VCPUOP_initialise VCPUOP_up VCPUOP_down VCPUOP_is_up VCPUOP_get_runstate_info
    VCPUOP_register_runstate_memory_area
  set_gdt: set_trap_table: stack_switch: iret: set_timer_op: update_va_mapping: update_descriptor: set_callbacks:
  console_io: multicall: set_debugreg: get_debugreg: fpu_taskswitch: force_evtchn_callback:
  mmuext_op: MMUEXT_SET_LDT MMUEXT_NEW_BASEPTR MMUEXT_FLUSH_CACHE MMUEXT_PIN_L1_TABLE MMUEXT_PIN_L2_TABLE
    MMUEXT_PIN_L3_TABLE MMUEXT_UNPIN_TABLE MMUEXT_TLB_FLUSH_LOCAL MMUEXT_INVLPG_LOCAL MMUEXT_TLB_FLUSH_MULTI
    MMUEXT_INVLPG_MULTI MMUEXT_TLB_FLUSH_ALL MMUEXT_INVLPG_ALL
  mmu_update: MMU_NORMAL_PT_UPDATE MMU_MACHPHYS_UPDATE
  physdev_op: PHYSDEVOP_SET_IOPL PHYSDEVOP_IRQ_UNMASK_NOTIFY PHYSDEVOP_IRQ_STATUS_QUERY PHYSDEVOP_SET_IOBITMAP
    PHYSDEVOP_APIC_READ PHYSDEVOP_APIC_WRITE PHYSDEVOP_ASSIGN_VECTOR
  memory_op: XENMEM_increase_reservation XENMEM_decrease_reservation XENMEM_populate_physmap
    XENMEM_maximum_ram_page XENMEM_current_reservation XENMEM_maximum_reservation
  xen_version: XENVER_version XENVER_extraversion XENVER_compile_info XENVER_capabilities
    XENVER_platform_parameters XENVER_get_features
  vm_assist: VMASST_TYPE_4gb_segments VMASST_TYPE_4gb_segments_notify VMASST_TYPE_writable_pagetables
  nmi_op: XENNMI_register_callback XENNMI_unregister_callback
`;
const words = SEED.trim()
  .split(/\s+/)
  .map((word) => word.replace(':', ''));

describe('the hypercall table', () => {
  const rows = HYPERCALLS.flatMap((row) => [row, ...(row.subOps ?? [])]);
  it.each(words)('has a row for %s of the seed', (word) => {
    const spelled = rows.filter((row) => new RegExp(`\\b${word}\\b`).test(row.seed ?? ''));
    expect(spelled.length).toBeGreaterThan(0);
    for (const row of spelled) if ('notOffered' in row) expect(row.notOffered).toBeUndefined();
  });
  it('documents every row, and every row can be called or says why not', () => {
    for (const row of HYPERCALLS) {
      expect(row.doc).toMatch(/[.]$/);
      const served = row.run !== undefined || row.subOps !== undefined;
      expect([row.name, served || row.notOffered !== undefined]).toEqual([row.name, true]);
      for (const sub of row.subOps ?? []) {
        expect(sub.doc).toMatch(/[.]$/);
        const here = sub.run !== undefined || sub.notOffered !== undefined || row.run !== undefined;
        expect([sub.name, here]).toEqual([sub.name, true]);
      }
    }
  });
  it('has no sub-operation twice', () => {
    for (const row of HYPERCALLS) {
      const numbers = (row.subOps ?? []).map((sub) => sub.number);
      expect([row.name, new Set(numbers).size]).toEqual([row.name, numbers.length]);
    }
  });
});
