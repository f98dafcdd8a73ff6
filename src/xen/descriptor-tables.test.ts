import { beforeEach, describe, expect, it } from 'vitest';
import { DESCRIPTOR_FAULT, DESCRIPTOR_OUTSIDE_TABLE } from '../cpu/trap-sink.ts';
import { EINVAL } from './abi/errno.ts';
import { checkDescriptor, checked } from './descriptor-rules.ts';
import {
  gdtDescriptorAddress,
  guestDescriptorAddress,
  ldtDescriptorAddress,
  setLdt,
} from './descriptor-tables.ts';
import type { Domain } from './domain.ts';
import { TYPE_l1, TYPE_l2, TYPE_l3 } from './frames.ts';
import { setGdtRow, updateDescriptorRow } from './hypercalls/descriptors.ts';
import { mmuUpdate } from './mmu-update.ts';
import { becomesWritable } from './page-types.ts';
import { pin } from './pinning.ts';
import { setRoot } from './roots.ts';
import { type Guest, MemoryMachine } from './testing/memory-machine.ts';

let machine: MemoryMachine;
let guest: Guest;

function boot(abi: 'x86_32' | 'x86_32p', personality: '3.0.2' | '4.17'): void {
  machine = new MemoryMachine();
  guest = machine.domain(abi, { personality });
  guest.write('L1 t: 1 -> args rw, 2 -> gdt, 3 -> ldt, 4 -> ldt2 rw');
  if (abi === 'x86_32') guest.write('L2 r: 0 -> t rw us');
  else guest.write('L2 d: 0 -> t rw us\n L3 r: 0 -> d, 3 -> top');
  if (pin(machine.hv, guest.domain, guest.mfn('r'), abi === 'x86_32' ? TYPE_l2 : TYPE_l3) !== 0)
    throw new Error();
  if (setRoot(machine.hv, guest.vcpu, guest.mfn('r')) !== 0) throw new Error();
  guest.run();
}

function check(domain: Domain, descriptor: string): string {
  const high = Number.parseInt(descriptor.slice(0, 8), 16);
  const low = Number.parseInt(descriptor.slice(8), 16);
  if (checkDescriptor(domain, low, high) !== 0) return 'refused';
  return [checked.high, checked.low].map((n) => n.toString(16).padStart(8, '0')).join('');
}

// Each row: descriptor, what 3.0.2 2-level, 3.0.2 PAE and 4.17 make of it.
describe.each([
  [
    'not present, whatever it is',
    'ffff7fffffffffff',
    'ffff7fffffffffff',
    'ffff7fffffffffff',
    'ffff7fffffffffff',
  ],
  ['null', '0000000000000000', '0000000000000000', '0000000000000000', '0000000000000000'],
  ['flat ring-1 code', '00cfba000000ffff', '00cfba000000c3ff', '00cfba00000067ff', '00cfba000000ffff'],
  [
    'flat ring-0 code: DPL becomes 1',
    '00cf9a000000ffff',
    '00cfba000000c3ff',
    '00cfba00000067ff',
    '00cfba000000ffff',
  ],
  ['flat ring-3 data', '00cff2000000ffff', '00cff2000000c3ff', '00cff200000067ff', '00cff2000000ffff'],
  [
    'a limit that fits 2-level; 4.17 extends it',
    '00cff2000000c3ff',
    '00cff2000000c3ff',
    '00cff200000067ff',
    '00cff2000000ffff',
  ],
  ['byte granular, small', '00409a0010000fff', '0040ba0010000fff', '0040ba0010000fff', '0040ba0010000fff'],
  ['TLS at b7f00000, 4 GiB', 'b7cff2f00000ffff', 'b7c4f2f0000044ff', 'b7c3f2f00000e8ff', 'b7cff2f00000ffff'],
  ['a base in the hypervisor part', 'fccff2400000ffff', 'refused', 'refused', 'fccff2400000ffff'],
  [
    'expand-down over negative offsets',
    '00cff6100000ffff',
    '00cff6100000ffff',
    '00cff6100000ffff',
    '00cff6100000ffff',
  ],
  [
    'expand-down from offset 0 on',
    '00c0f61000000000',
    '00cff6100000feff',
    '00cff6100000feff',
    '00c0f61000000000',
  ],
  ['64-bit code', '00afba000000ffff', '00afba000000c3ff', '00afba00000067ff', 'refused'],
  ['TSS', '0000890000000067', 'refused', 'refused', 'refused'],
  ['LDT', '0000820000000067', 'refused', 'refused', 'refused'],
  ['task gate', '0000850000180000', 'refused', 'refused', 'refused'],
  ['interrupt gate', '00008e0000180000', 'refused', 'refused', 'refused'],
  ['type 0', '0000800000000000', 'refused', 'refused', '0000a00000000000'],
  [
    'call gate to a guest selector',
    '1234ec0000185678',
    '1234ec0000195678',
    '1234ec0000195678',
    '12348c00001b5678',
  ],
  ['call gate to 0xE019', '1234ec00e0195678', '1234ec00e0195678', '1234ec00e0195678', '12348c00e01b5678'],
  ['call gate to ring 0', '1234ec00e0085678', 'refused', 'refused', 'refused'],
  ['call gate with reserved bits', '1234ece000185678', 'refused', 'refused', 'refused'],
])('descriptor: %s', (_, descriptor, twoLevel, pae, modern) => {
  it.each([
    ['x86_32', '3.0.2', twoLevel],
    ['x86_32p', '3.0.2', pae],
    ['x86_32p', '4.17', modern],
  ] as const)('%s %s', (abi, personality, expected) => {
    const { domain } = new MemoryMachine().domain(abi, { personality });
    expect(check(domain, descriptor)).toBe(expected);
  });
});

describe('set_gdt', () => {
  const setGdt = (names: string[], entries: number): number => {
    names.forEach((name, i) => {
      machine.hv.memory.write32(guest.mfn('args') * 4096 + i * 4, guest.mfn(name));
    });
    return guest.call(setGdtRow, 0x1000, entries);
  };
  beforeEach(() => boot('x86_32p', '4.17'));

  it('holds its frames, which are then not writable, and lets go of them', () => {
    expect(setGdt(['gdt'], 10)).toBe(0);
    expect(guest.books('gdt')).toBe('descriptor uses 1 refs 3');
    const { low } = guest.entry('gdt rw');
    expect(
      mmuUpdate(machine.hv, guest.domain, guest.domain, guest.domain.id, guest.at('t', 2), 0, low, 0),
    ).toBeLessThan(0);
    expect(setGdt([], 0)).toBe(0);
    expect(guest.books('gdt')).toBe('none refs 2');
  });
  it('keeps the old GDT when a frame is refused', () => {
    setGdt(['gdt'], 1);
    expect(setGdt(['g2', 'args'], 1024), 'args has a writable mapping').toBe(EINVAL);
    expect(guest.vcpu.gdtFrames[0]).toBe(guest.mfn('gdt'));
    expect(guest.books('g2')).toBe('none refs 1');
  });
  it('checks and rewrites every descriptor of the page, beyond the count too', () => {
    machine.hv.memory.write32(guest.mfn('gdt') * 4096 + 511 * 8 + 4, 0x00cf9a00);
    machine.hv.memory.write32(guest.mfn('gdt') * 4096 + 511 * 8, 0x0000ffff);
    expect(setGdt(['gdt'], 1)).toBe(0);
    expect(machine.hv.memory.read32(guest.mfn('gdt') * 4096 + 511 * 8 + 4)).toBe(0x00cfba00);
    machine.hv.memory.write32(guest.mfn('g2') * 4096 + 300 * 8 + 4, 0x00008900);
    expect(setGdt(['g2'], 1)).toBe(EINVAL);
    expect(guest.because()).toMatch(/descriptor 300 .* system descriptor of type 9/);
  });
  it('scans a page again after it could be written, not before', () => {
    setGdt(['gdt'], 1);
    setGdt([], 0);
    machine.cpu.cycles = 0;
    setGdt(['gdt'], 1);
    expect(machine.cpu.cycles, 'still marked as checked').toBe(0);
    setGdt([], 0);
    expect(becomesWritable(machine.hv.frames, guest.mfn('gdt'))).toBe(true);
    machine.hv.memory.write32(guest.mfn('gdt') * 4096 + 12, 0x00008900);
    expect(setGdt(['gdt'], 1)).toBe(EINVAL);
  });
  it('takes 14 pages at most', () => {
    expect(setGdt([], 7169)).toBe(EINVAL);
  });
  it('finds descriptors by selector: guest pages, absent pages, the hypervisor page', () => {
    setGdt(['gdt'], 1);
    const { hv } = machine;
    expect(gdtDescriptorAddress(hv, guest.vcpu, 0x60)).toBe(guest.mfn('gdt') * 4096 + 0x60);
    expect(gdtDescriptorAddress(hv, guest.vcpu, 0x1000)).toBe(DESCRIPTOR_OUTSIDE_TABLE);
    expect(gdtDescriptorAddress(hv, guest.vcpu, 0xf000)).toBe(DESCRIPTOR_OUTSIDE_TABLE);
    const flat = gdtDescriptorAddress(hv, guest.vcpu, 0xe019);
    expect([hv.memory.read32(flat + 4), hv.memory.read32(flat)]).toEqual([0x00cfbb00, 0x0000ffff]);
  });
});

describe('update_descriptor', () => {
  const update = (maddr: number, low: number, high: number) =>
    guest.call(updateDescriptorRow, maddr, 0, low, high);
  beforeEach(() => boot('x86_32', '3.0.2'));

  it('stores the fixed-up descriptor, in a plain frame as well', () => {
    expect(update(guest.mfn('gdt') * 4096 + 8, 0xffff, 0x00cf9a00)).toBe(0);
    expect(machine.hv.memory.read32(guest.mfn('gdt') * 4096 + 8)).toBe(0xc3ff);
    expect(machine.hv.memory.read32(guest.mfn('gdt') * 4096 + 12)).toBe(0x00cfba00);
    expect(guest.books('gdt')).toBe('none refs 2');
  });
  it('refuses misaligned addresses, foreign frames, page tables and bad descriptors', () => {
    const other = machine.domain('x86_32');
    expect(update(guest.mfn('gdt') * 4096 + 4, 0, 0)).toBe(EINVAL);
    expect(update(other.mfn('g') * 4096, 0, 0)).toBe(EINVAL);
    expect(update(guest.mfn('t') * 4096, 0, 0)).toBe(EINVAL);
    expect(update(guest.mfn('gdt') * 4096, 0, 0x8900)).toBe(EINVAL);
    expect(update(0xffff_fff8, 0, 0)).toBe(EINVAL);
  });
});

describe.each([
  ['x86_32', '3.0.2'],
  ['x86_32p', '3.0.2'],
  ['x86_32p', '4.17'],
] as const)('an LDT, %s %s', (abi, personality) => {
  beforeEach(() => boot(abi, personality));
  const address = (selector: number) => ldtDescriptorAddress(machine.hv, guest.vcpu, selector);
  const type = personality === '3.0.2' ? 'LDT' : 'descriptor';

  it('is looked up and held on first use (3.0.2: its first page at once)', () => {
    expect(setLdt(machine.hv, guest.vcpu, 0x3000, 8)).toBe(0);
    expect(guest.books('ldt')).toBe(personality === '3.0.2' ? 'LDT uses 1 refs 3' : 'none refs 2');
    expect(address(0x0f)).toBe(guest.mfn('ldt') * 4096 + 8);
    expect(guestDescriptorAddress(machine.hv, guest.vcpu, 0x0f)).toBe(guest.mfn('ldt') * 4096 + 8);
    expect(guest.books('ldt')).toBe(`${type} uses 1 refs 3`);
    machine.check();
  });
  it('ends at its count', () => {
    setLdt(machine.hv, guest.vcpu, 0x3000, 8);
    expect(address(0x47)).toBe(DESCRIPTOR_OUTSIDE_TABLE);
  });
  it('a page that is writable, or not there, is a fault at the address of the descriptor', () => {
    setLdt(machine.hv, guest.vcpu, 0x3000, 2048);
    expect(address(512 * 8 + 4)).toBe(DESCRIPTOR_FAULT);
    expect(machine.cpu.translateFault.linear).toBe(0x4000);
    expect(address(1024 * 8 + 4)).toBe(DESCRIPTOR_FAULT);
    expect(machine.cpu.translateFault.linear).toBe(0x5000);
    machine.check();
  });
  it('lets go of a page when its read-only mapping is removed', () => {
    setLdt(machine.hv, guest.vcpu, 0x3000, 8);
    address(0x0f);
    expect(
      mmuUpdate(machine.hv, guest.domain, guest.domain, guest.domain.id, guest.at('t', 3), 0, 0, 0),
    ).toBe(0);
    machine.check();
    expect(guest.books('ldt')).toBe('none refs 1');
    expect(address(0x0f)).toBe(DESCRIPTOR_FAULT);
  });
  it('lets go of its pages on a new LDT and on a new root', () => {
    setLdt(machine.hv, guest.vcpu, 0x3000, 8);
    address(0x0f);
    setLdt(machine.hv, guest.vcpu, 0, 0);
    expect(guest.books('ldt')).toBe('none refs 2');
    expect(pin(machine.hv, guest.domain, guest.mfn('ldt'), TYPE_l1)).toBe(0);
    machine.check();
  });
  it('must be page-aligned, below the hole, with 8192 entries at most', () => {
    expect(setLdt(machine.hv, guest.vcpu, 0x3008, 8)).toBe(EINVAL);
    expect(setLdt(machine.hv, guest.vcpu, 0x3000, 8193)).toBe(EINVAL);
    expect(setLdt(machine.hv, guest.vcpu, guest.domain.holeStart - 4096, 513)).toBe(EINVAL);
  });
});
