/** Descriptors as a way in: no segment, gate or selector of a guest ever reaches ring 0 or the hypervisor's range. */
import { beforeEach, describe, expect, it } from 'vitest';
import { EBUSY, EINVAL } from '../abi/errno.ts';
import { checkDescriptor, checked } from '../descriptor-rules.ts';
import { ldtDescriptorAddress } from '../descriptor-tables.ts';
import { setCallbacks, setTrapTable, stackSwitch } from '../hypercalls/cpu-state.ts';
import { SEGMENT_END } from '../personality.ts';
import { Attacker, COMBINATIONS } from '../testing/attacker.ts';
import { MemoryMachine, randomFrom } from '../testing/memory-machine.ts';

const P = 0x8000;
const S = 0x1000;
const SET_LDT = 13;
const CALL_GATE = 0x0c00;

describe.each(COMBINATIONS)('%s %s: descriptors', (abi, personality) => {
  let machine: MemoryMachine;
  let attacker: Attacker;
  const modern = personality !== '3.0.2';
  const refused = (errno: number) => (modern ? errno : EINVAL);

  beforeEach(() => {
    machine = new MemoryMachine();
    attacker = new Attacker(machine, abi, personality);
  });
  const stored = (name: string, index: number) =>
    machine.hv.memory.read32(attacker.mfn(name) * 4096 + index * 8 + 4);

  it('never have privilege level 0 once they are stored', () => {
    expect(attacker.setGdt(['gdt'], 512)).toBe(0);
    for (const high of [0x00cf_9a00, 0x00cf_9200, 0x00cf_9e00, 0x00cf_9600]) {
      expect(attacker.descriptor('gdt', 1, 0xffff, high & ~0x6000)).toBe(0);
      expect((stored('gdt', 1) >>> 13) & 3).toBe(1);
    }
  });

  it('are corrected in a page that the guest filled itself before', () => {
    const { memory } = machine.hv;
    memory.write32(attacker.mfn('gdt') * 4096 + 8, 0xffff);
    memory.write32(attacker.mfn('gdt') * 4096 + 12, 0x00cf_9a00);
    expect(attacker.setGdt(['gdt'], 2)).toBe(0);
    expect((stored('gdt', 1) >>> 13) & 3).toBe(1);
  });

  it('are no task gates, interrupt gates, TSSs or LDTs', () => {
    expect(attacker.setGdt(['gdt'], 512)).toBe(0);
    for (let type = 0; type < 16; type++) {
      for (let dpl = 0; dpl < 4; dpl++) {
        const high = P | (dpl << 13) | (type << 8);
        const answer = attacker.descriptor('gdt', 2, 0x0008_0000, high);
        if (type === 12) continue;
        if (type === 0 && modern) expect(answer, 'type 0').toBe(0);
        else expect(answer, `type ${type}`).toBe(EINVAL);
      }
    }
  });

  it('are call gates only into the guest’s own code', () => {
    expect(attacker.setGdt(['gdt'], 512)).toBe(0);
    const gate = (selector: number) =>
      attacker.descriptor('gdt', 3, (selector << 16) >>> 0, P | 0x6000 | CALL_GATE);
    for (const selector of [0xe008, 0xe010, 0xe01b, 0xe021, 0xe02b, 0xe033, 0xe100, 0xfff8, 0xe018 | 2]) {
      expect(gate(selector), selector.toString(16)).toBe(EINVAL);
    }
    expect(gate(0xe019)).toBe(0);
    expect(gate(0x0008)).toBe(0);
    // A selector of ring 0 becomes one of ring 1.
    const low = machine.hv.memory.read32(attacker.mfn('gdt') * 4096 + 24);
    if (!modern) expect((low >>> 16) & 3).toBe(1);
    else expect((stored('gdt', 3) >>> 13) & 3).toBe(0);
    // Bits that the processor wants clear.
    expect(attacker.descriptor('gdt', 3, 0x0008_0000, P | 0x6000 | CALL_GATE | 0x20)).toBe(EINVAL);
  });

  it('reach no address of the hypervisor', () => {
    const { domain } = attacker.guest;
    const random = randomFrom(99);
    const end = modern ? 0x1_0000_0000 : SEGMENT_END[abi];
    let accepted = 0;
    for (let i = 0; i < 20_000; i++) {
      const low = random();
      const high = (random() | P | S) >>> 0;
      if (checkDescriptor(domain, low, high) !== 0) continue;
      accepted++;
      const l = checked.low;
      const h = checked.high;
      expect((h >>> 13) & 3).toBeGreaterThan(0);
      if (modern) continue;
      const base = ((l >>> 16) | ((h & 0xff) << 16) | (h & 0xff00_0000)) >>> 0;
      const field = (l & 0xffff) | (h & 0xf_0000);
      const limit = h & 0x80_0000 ? field * 4096 + 4095 : field;
      const expandDown = (h & 0x0c00) === 0x0400;
      if (!expandDown)
        expect(base + limit + 1, `${h.toString(16)} ${l.toString(16)}`).toBeLessThanOrEqual(end);
      else {
        // Offsets limit+1 to 2^32-1 (or 2^16-1), added to the base modulo 2^32.
        const top = h & 0x40_0000 ? 0xffff_ffff : 0xffff;
        if (limit >= top) continue;
        const first = base + limit + 1;
        const last = base + top;
        const touches = (from: number, to: number) => first <= to && last >= from;
        const hit = touches(end, 0xffff_ffff) || touches(end + 0x1_0000_0000, 0x1_ffff_ffff);
        expect(hit, `expand-down ${h.toString(16)} ${l.toString(16)}`).toBe(false);
      }
    }
    expect(accepted).toBeGreaterThan(100);
  });

  it('are in frames that nobody can write', () => {
    expect(attacker.setGdt(['a'], 1)).toBe(EINVAL);
    expect(attacker.setGdt(['gdt', 'ldt'], 1024)).toBe(0);
    expect(attacker.remap(5, 'gdt rw')).toBe(refused(EBUSY));
    expect(attacker.remap(5, 'gdt')).toBe(0);
    expect(attacker.remap(5, 'gdt rw')).toBe(refused(EBUSY));
    expect(attacker.pin(1, 'ldt')).toBe(EINVAL);
    expect(attacker.setGdt(['t'], 1)).toBe(EINVAL);
    expect(attacker.descriptor('t', 5, 0xffff, 0x00cf_f200)).toBe(EINVAL);
    expect(attacker.descriptor('r', 5, 0xffff, 0x00cf_f200)).toBe(EINVAL);
  });

  it('stay in the old GDT when one of the new frames is refused', () => {
    expect(attacker.setGdt(['gdt', 'more'], 1024)).toBe(0);
    expect(attacker.setGdt(['fresh', 'fine', 'a'], 1536)).toBe(EINVAL);
    expect(attacker.guest.vcpu.gdtEntries).toBe(1024);
    expect(attacker.guest.books('gdt')).toContain('uses 1');
    for (const name of ['fresh', 'fine']) expect(machine.hv.frames.references[attacker.mfn(name)]).toBe(1);
    expect(attacker.setGdt(['gdt', 'gdt', 'gdt'], 1536)).toBe(0);
    expect(attacker.guest.books('gdt')).toContain('uses 3');
    expect(attacker.setGdt([], 7169)).toBe(EINVAL);
    expect(attacker.setGdt([], 0xffff_ffff)).toBe(EINVAL);
    expect(attacker.guest.books('gdt')).toContain('uses 3');
  });

  it('of an LDT come from no page that can be written', () => {
    const { vcpu } = attacker.guest;
    // Page 3 is `a`, writable; page 4 is `b`, read-only.
    expect(attacker.ext(SET_LDT, 0x3000, 512)).toBe(0);
    expect(ldtDescriptorAddress(machine.hv, vcpu, 8 | 4)).toBeLessThan(0);
    expect(attacker.ext(SET_LDT, 0x4000, 512)).toBe(0);
    expect(ldtDescriptorAddress(machine.hv, vcpu, 8 | 4)).toBe(attacker.mfn('b') * 4096 + 8);
    machine.check();
    expect(attacker.remap(3, 'b rw')).toBe(refused(EBUSY));
    // Once nothing maps it any more the page is an ordinary one.
    expect(attacker.remap(4, 'none')).toBe(0);
    expect(attacker.remap(3, 'b rw')).toBe(0);
    expect(ldtDescriptorAddress(machine.hv, vcpu, 8 | 4)).toBeLessThan(0);
    machine.check();
  });

  it('of an LDT are no page tables, and the LDT no address of the hypervisor', () => {
    const { vcpu, domain } = attacker.guest;
    expect(attacker.ext(SET_LDT, 0x2000, 512)).toBe(0);
    expect(ldtDescriptorAddress(machine.hv, vcpu, 8 | 4)).toBeLessThan(0);
    for (const [base, entries] of [
      [domain.holeStart, 1],
      [domain.holeStart - 4096, 513],
      [0xffff_f000, 512],
      [0x4001, 1],
      [0x4000, 8193],
      [0x4000, 0xffff_ffff],
    ] as const) {
      expect(attacker.ext(SET_LDT, base, entries), `${base.toString(16)} ${entries}`).toBe(EINVAL);
    }
  });

  it('with bad contents make no LDT page', () => {
    machine.hv.memory.write32(attacker.mfn('b') * 4096 + 0x100 + 4, P | 0x0900);
    expect(attacker.ext(SET_LDT, 0x4000, 512)).toBe(0);
    expect(ldtDescriptorAddress(machine.hv, attacker.guest.vcpu, 8 | 4)).toBeLessThan(0);
    machine.check();
  });

  it('for handlers and stacks are never of ring 0', () => {
    const { guest } = attacker;
    guest.call(setCallbacks, 0xe018, 1, 0xe018, 2);
    guest.call(stackSwitch, 0xe020, 0x2000);
    attacker.put(0x1400, [0xe018_0003, 0x1234, 0, 0]);
    guest.call(setTrapTable, 0x1400);
    const { vcpu } = guest;
    const selectors = [vcpu.eventCallbackCs, vcpu.failsafeCallbackCs, vcpu.kernelSs, vcpu.trapCs[3]!];
    for (const selector of selectors) expect(selector & 3).toBe(1);
  });
});
