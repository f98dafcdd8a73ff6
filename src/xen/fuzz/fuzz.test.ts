/**
 * Random hypercalls, an audit of all books after each: a first look. The
 * long runs are those of src/cli/fuzz.test.ts and of `npm run fuzz`.
 */
import { describe, expect, it } from 'vitest';
import { FUZZ_FRAMES, Fuzzer } from './fuzzer.ts';

const CALLS = 10_000;
/** Calls that must have succeeded at least this often in every run: a fuzzer that is always refused tests nothing. */
const OFTEN = 2;
const MUST_SUCCEED = [
  'mmu_update MMU_NORMAL_PT_UPDATE',
  'mmu_update MMU_MACHPHYS_UPDATE',
  'mmu_update MMU_PT_UPDATE_PRESERVE_AD',
  'update_va_mapping',
  'update_va_mapping_otherdomain',
  'mmuext_op MMUEXT_PIN_L1_TABLE',
  'mmuext_op MMUEXT_PIN_L2_TABLE',
  'mmuext_op MMUEXT_PIN_L3_TABLE',
  'mmuext_op MMUEXT_UNPIN_TABLE',
  'mmuext_op MMUEXT_NEW_BASEPTR',
  'mmuext_op MMUEXT_SET_LDT',
  'mmuext_op MMUEXT_COPY_PAGE',
  'set_gdt',
  'update_descriptor',
  'memory_op XENMEM_increase_reservation',
  'memory_op XENMEM_decrease_reservation',
  'memory_op XENMEM_populate_physmap',
  'grant_table_op GNTTABOP_map_grant_ref',
  'grant_table_op GNTTABOP_unmap_grant_ref',
  'grant_table_op GNTTABOP_transfer',
  'grant_table_op GNTTABOP_copy',
  'multicall',
  'event_channel_op EVTCHNOP_bind_interdomain',
  'event_channel_op EVTCHNOP_close',
  'event_channel_op_compat EVTCHNOP_send',
  'vcpu_op VCPUOP_initialise',
  'sched_op SCHEDOP_poll',
  'iret',
];

describe('random hypercalls', () => {
  it('all books agree after each call', { timeout: 300_000 }, () => {
    const seed = 1;
    const fuzzer = new Fuzzer({ seed, auditEvery: 1, auditRefusals: false });
    expect(fuzzer.hv.frames.total).toBe(FUZZ_FRAMES);
    fuzzer.run(CALLS);
    expect(fuzzer.audits).toBeGreaterThan(CALLS);
    const succeeded = new Map(fuzzer.shares().map((share) => [share.name, share.succeeded]));
    for (const name of MUST_SUCCEED) expect(succeeded.get(name), name).toBeGreaterThan(OFTEN);
  });

  it('is the same run for the same seed', () => {
    const run = () => {
      const fuzzer = new Fuzzer({ seed: 9, auditEvery: 64, auditRefusals: false });
      fuzzer.run(2000);
      return `${fuzzer.last} ${fuzzer.refusals} ${fuzzer.stores} ${fuzzer.hv.now()} ${fuzzer.hv.randomState}`;
    };
    expect(run()).toBe(run());
  });

  it('finds a disagreement, and says after which call', () => {
    const fuzzer = new Fuzzer({ seed: 9, auditEvery: 1, auditRefusals: false });
    fuzzer.run(100);
    const { frames } = fuzzer.hv;
    const mfn = frames.owner.indexOf(1, 256);
    frames.references[mfn]!++;
    expect(() => fuzzer.run(10)).toThrow(/references, counted[\s\S]*after call 101/);
  });
});
