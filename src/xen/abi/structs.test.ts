import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { platformOp } from '../hypercalls/platform-op.ts';
import * as constants from './constants.ts';
import type { ScalarType, StructType } from './struct.ts';
import * as structs from './structs.ts';

// What gcc -m32 says about the public headers: made by testdata/offsets.c.
interface Layout {
  size: number;
  fields: Map<string, { offset: number; size: number }>;
}
const LAYOUTS = new Map<string, Layout>();
let layout: Layout | undefined;
for (const line of readFileSync(new URL('./testdata/offsets.txt', import.meta.url), 'utf8')
  .trim()
  .split('\n')) {
  const [name, first, second] = line.split(' ') as [string, string, string];
  if (name === 'struct') {
    layout = { size: Number(second), fields: new Map() };
    LAYOUTS.set(first, layout);
  } else layout!.fields.set(name, { offset: Number(first), size: Number(second) });
}

const BYTES: Record<ScalarType, number> = { u8: 1, u16: 2, s16: 2, u32: 4, s32: 4, u64: 8 };
const exported: unknown[] = Object.values(structs);
const described = exported.filter(
  (value): value is StructType => typeof value === 'object' && value !== null && 'fields' in value,
);

describe('the ABI structs, against gcc -m32 on the public headers', () => {
  it('describes every struct that the headers were asked for', () => {
    expect(described.map((type) => type.name).sort()).toEqual([...LAYOUTS.keys()].sort());
  });
  it.each(described.map((type) => [type.name, type] as const))('%s', (name, type) => {
    const real = LAYOUTS.get(name)!;
    expect(type.size).toBe(real.size);
    const named = [...real.fields.keys()].filter((field) => !/^[=[]/.test(field));
    expect(Object.keys(type.fields).sort()).toEqual(named.sort());
    for (const [field, spec] of Object.entries(type.fields)) {
      const at = real.fields.get(field)!;
      expect([field, spec.offset]).toEqual([field, at.offset]);
      expect([field, BYTES[spec.type]]).toEqual([field, at.size]);
    }
  });
  it('has the arrays of vcpu_guest_context where they are', () => {
    for (const [name, array] of Object.entries(structs.VCPU_CONTEXT_ARRAYS)) {
      const real = LAYOUTS.get('vcpu_guest_context')!.fields.get(`[${name}`)!;
      expect([name, array.offset, array.size * array.count]).toEqual([name, real.offset, real.size]);
    }
  });
  it('has the struct of platform_op, which holds the others', () => {
    const { fields } = LAYOUTS.get('xenpf_pcpuinfo')!;
    expect(structs.PLATFORM_OP_SIZE).toBe(fields.get('=PLATFORM_OP_SIZE')!.size);
    expect(platformOp.structBodyAt).toBe(fields.get('=PLATFORM_OP_BODY')!.offset);
  });
  it('has the byte offsets of shared memory that constants.ts names', () => {
    const shared = LAYOUTS.get('shared_info')!.fields;
    expect(constants.SHARED_EVTCHN_PENDING).toBe(shared.get('=SHARED_EVTCHN_PENDING')!.offset);
    expect(constants.SHARED_EVTCHN_MASK).toBe(shared.get('=SHARED_EVTCHN_MASK')!.offset);
    expect(constants.SHARED_WC_VERSION).toBe(shared.get('wc_version')!.offset);
    expect(constants.SHARED_WC_SEC).toBe(shared.get('wc_sec')!.offset);
    expect(constants.SHARED_WC_NSEC).toBe(shared.get('wc_nsec')!.offset);
    expect(constants.SHARED_WC_SEC_HI).toBe(shared.get('arch_wc_sec_hi')!.offset);
    expect(constants.SHARED_NMI_REASON).toBe(shared.get('arch_nmi_reason')!.offset);
    const info = LAYOUTS.get('vcpu_info')!.fields;
    expect(constants.VCPU_INFO_UPCALL_PENDING).toBe(info.get('evtchn_upcall_pending')!.offset);
    expect(constants.VCPU_INFO_UPCALL_MASK).toBe(info.get('evtchn_upcall_mask')!.offset);
    expect(constants.VCPU_INFO_PENDING_SEL).toBe(info.get('evtchn_pending_sel')!.offset);
    expect(constants.VCPU_INFO_CR2).toBe(info.get('arch_cr2')!.offset);
    expect(constants.VCPU_INFO_TIME).toBe(info.get('=VCPU_INFO_TIME')!.offset);
    const time = LAYOUTS.get('vcpu_time_info')!.fields;
    expect(constants.TIME_TSC_TIMESTAMP).toBe(time.get('tsc_timestamp')!.offset);
    expect(constants.TIME_SYSTEM_TIME).toBe(time.get('system_time')!.offset);
    expect(constants.TIME_MUL).toBe(time.get('tsc_to_system_mul')!.offset);
    expect(constants.TIME_SHIFT).toBe(time.get('tsc_shift')!.offset);
    expect(constants.TIME_FLAGS).toBe(time.get('flags')!.offset);
  });
});
