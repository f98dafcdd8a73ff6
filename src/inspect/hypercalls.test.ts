import { describe, expect, it } from 'vitest';
import { bootOne, guestFile } from '../machine/testing/boot.ts';
import { HYPERCALLS } from '../xen/hypercalls/table.ts';
import { hypercallsView } from './hypercalls.ts';

const session = bootOne(guestFile('conformance-x86_32p-4.17-later.elf'), [], {
  commandLine: 'only=mmu,memory,grants',
});
session.run({ maxInstructions: 20_000_000 });
const { hv } = session.machine;
const { rows } = hypercallsView(hv);
const row = (sub: string) => rows.find((r) => r.sub === sub)!;

describe('the hypercalls of a run', () => {
  it('list every sub-operation of the table, called or not', () => {
    for (const { number, subOps } of HYPERCALLS)
      for (const { name } of subOps ?? [])
        expect(rows.some((r) => r.number === number && r.sub === name)).toBe(true);
  });
  it('count each entry of the batched calls, and the calls themselves', () => {
    expect(row('MMUEXT_PIN_L1_TABLE')).toMatchObject({
      seed: 'mmuext_op(MMUEXT_PIN_L1_TABLE)',
      vmi: 'RegisterPageType*',
    });
    expect(row('MMUEXT_PIN_L1_TABLE').calls).toBeGreaterThan(row('MMUEXT_PIN_L1_TABLE').refused);
    expect(row('MMUEXT_PIN_L1_TABLE').refused).toBeGreaterThan(0);
    expect(rows.find((r) => r.number === 26 && r.sub === null)?.calls).toBe(hv.trace.calls[26]);
    expect(row('MMU_NORMAL_PT_UPDATE').refused).toBeGreaterThan(0);
    expect(row('XENMEM_populate_physmap').calls).toBeGreaterThan(0);
    expect(row('GNTTABOP_setup_table').calls).toBeGreaterThan(0);
  });
  it('count every call once, by sub-operation or outside them', () => {
    const xenVersion = rows.filter((r) => r.number === 17);
    expect(xenVersion.reduce((sum, r) => sum + r.calls, 0)).toBe(hv.trace.calls[17]);
  });
  it('name the arguments', () => {
    expect(row('EVTCHNOP_bind_interdomain').args).toBe('remote_dom, remote_port, out local_port');
    expect(rows.find((r) => r.name === 'set_gdt')?.args).toBe('frame_list, entries');
  });
  it('say why a call of the ABI is not offered', () => {
    expect(rows.find((r) => r.name === 'hvm_op')?.notOffered).toBe('only paravirtual guests');
    expect(row('EVTCHNOP_init_control').notOffered).toBe('only 2-level channels');
    expect(row('EVTCHNOP_send').notOffered).toBeNull();
  });
});
