import { beforeEach, describe, expect, it } from 'vitest';
import { EAX, EBX, ECX, EDI, EDX, ESI } from '../cpu/layout.ts';
import { TYPE_l2, TYPE_l3 } from './frames.ts';
import { pin } from './pinning.ts';
import { setRoot } from './roots.ts';
import { type Guest, MemoryMachine } from './testing/memory-machine.ts';
import { tryWritablePageTable } from './writable-page-tables.ts';

let machine: MemoryMachine;
let guest: Guest;

/** Page 1 is code, page 2 the L1 table itself (read-only), page 3 data, page 6 the root (read-only). */
const CODE = 0x1000;
const TABLE = 0x2000;

function boot(
  abi: 'x86_32' | 'x86_32p',
  personality: '3.0.2' | '4.17' = abi === 'x86_32' ? '3.0.2' : '4.17',
) {
  machine = new MemoryMachine();
  guest = machine.domain(abi, { personality });
  guest.write('L1 t: 1 -> code, 2 -> t, 3 -> a rw, 4 -> b, 6 -> r');
  if (abi === 'x86_32') guest.write('L2 r: 0 -> t rw us');
  else guest.write('L2 d: 0 -> t rw us\n L3 r: 0 -> d, 3 -> top');
  if (pin(machine.hv, guest.domain, guest.mfn('r'), abi === 'x86_32' ? TYPE_l2 : TYPE_l3) !== 0)
    throw new Error();
  if (setRoot(machine.hv, guest.vcpu, guest.mfn('r')) !== 0) throw new Error();
  guest.domain.vmAssist = 4;
  guest.run();
}

/** Runs one instruction that stores at `va` and faults. @returns whether the assist carried it out. */
function store(bytes: number[], va: number, registers: Partial<Record<number, number>> = {}): boolean {
  machine.hv.memory.writeBytes(guest.mfn('code') * 4096, Uint8Array.from(bytes));
  for (const [index, value] of Object.entries(registers)) machine.cpu.setReg(Number(index), value!);
  machine.cpu.eip = CODE;
  const done = tryWritablePageTable(machine.hv, va);
  machine.check();
  expect(machine.cpu.eip).toBe(done ? CODE + bytes.length : CODE);
  return done;
}
const low = (index: number) => machine.hv.memory.read32(guest.at('t', index));
const high = (index: number) => machine.hv.memory.read32(guest.at('t', index) + 4);
const at = (index: number, byte = 0) => TABLE + index * guest.domain.entryBytes + byte;

// Encodings with the address in EDI: mov [edi],eax and so on.
const MOV_EDI_EAX = [0x89, 0x07];
const MOV_EDI_0 = [0xc7, 0x07, 0, 0, 0, 0];
const LOCK_CMPXCHG8B = [0xf0, 0x0f, 0xc7, 0x0f];

describe('2-level', () => {
  beforeEach(() => boot('x86_32'));

  it('a 4-byte store becomes a checked update', () => {
    const { low: entry } = guest.entry('c rw us');
    expect(store(MOV_EDI_EAX, at(5), { [EDI]: at(5), [EAX]: entry })).toBe(true);
    expect(low(5)).toBe(entry);
    expect(guest.books('c')).toBe('writable uses 1 refs 2');
    expect(machine.cpu.retired).toBe(1);
  });
  it('is off until enabled', () => {
    guest.domain.vmAssist = 0;
    expect(store(MOV_EDI_0, at(3), { [EDI]: at(3) })).toBe(false);
    expect(guest.books('a')).toBe('writable uses 1 refs 2');
  });
  it('a refused entry is a fault, nothing is stored, and the reason is kept', () => {
    const { low: entry } = guest.entry('r rw');
    expect(store(MOV_EDI_EAX, at(5), { [EDI]: at(5), [EAX]: entry })).toBe(false);
    expect(low(5)).toBe(0);
    expect(machine.cpu.getReg(EAX)).toBe(entry);
    expect(guest.because()).toMatch(/in use as an L2 table/);
    expect(guest.vcpu.refusals.at(-1)?.outcome).toEqual({ vector: 14, code: 3 });
  });
  it('never assists a store to an L2 table', () => {
    expect(store(MOV_EDI_0, 0x6000, { [EDI]: 0x6000 })).toBe(false);
    expect(guest.books('t')).toBe('L1 uses 1 refs 3');
  });
  it('byte AND 0xFD write-protects, with flags as the processor leaves them', () => {
    expect(store([0x80, 0x27, 0xfd], at(3), { [EDI]: at(3) })).toBe(true);
    expect(low(3) & 2).toBe(0);
    expect(guest.books('a')).toBe('none refs 2');
    expect(machine.cpu.eflags & 0xc5).toBe(0);
  });
  it('a byte store into the frame number is checked as a whole entry', () => {
    expect(store([0x88, 0x07], at(3, 1), { [EDI]: at(3, 1), [EAX]: 0xff }), 'mov [edi], al').toBe(false);
    expect(guest.books('a')).toBe('writable uses 1 refs 2');
  });
  it.each([
    ['xchg [edi], ecx', [0x87, 0x0f], { [ECX]: 0 }, 0],
    ['btr dword [edi], 1', [0x0f, 0xba, 0x37, 1], {}, 'a'],
    ['lock btr [edi], ecx', [0xf0, 0x0f, 0xb3, 0x0f], { [ECX]: 1 }, 'a'],
    ['and dword [edi], -3', [0x83, 0x27, 0xfd], {}, 'a'],
    ['or dword [edi], 0x40', [0x83, 0x0f, 0x40], {}, 'a rw d'],
    ['xor dword [edi], 2', [0x83, 0x37, 2], {}, 'a'],
    ['sub dword [edi], 2', [0x83, 0x2f, 2], {}, 'a'],
    ['add dword [edi], 0x20', [0x83, 0x07, 0x20], {}, 'a rw a'],
    ['inc dword [edi] (would not be the frame)', [0xff, 0x07], {}, null],
  ] as const)('%s', (_, bytes, registers, expected) => {
    const before = low(3);
    const done = store([...bytes], at(3), { [EDI]: at(3), ...registers });
    if (expected === null) {
      // P (bit 0) and RW (bit 1) set: one more is US alone, not present. The entry goes.
      expect(done).toBe(true);
      expect(guest.books('a')).toBe('none refs 1');
      return;
    }
    expect(done).toBe(true);
    expect(low(3)).toBe(expected === 0 ? 0 : guest.entry(expected).low);
    if (bytes[0] === 0x87) expect(machine.cpu.getReg(ECX)).toBe(before);
  });
  it('CMPXCHG stores when EAX matches and only loads EAX when not', () => {
    const before = low(3);
    expect(store([0xf0, 0x0f, 0xb1, 0x0f], at(3), { [EDI]: at(3), [EAX]: before, [ECX]: 0 })).toBe(true);
    expect(low(3)).toBe(0);
    expect(machine.cpu.eflags & 0x40).toBe(0x40);
    expect(store([0x0f, 0xb1, 0x0f], at(4), { [EDI]: at(4), [EAX]: 1, [ECX]: 0 })).toBe(true);
    expect(machine.cpu.getReg(EAX)).toBe(low(4));
    expect(machine.cpu.eflags & 0x40).toBe(0);
  });
  it('a misaligned store is left to the guest', () => {
    expect(store(MOV_EDI_0, at(3, 2), { [EDI]: at(3, 2) })).toBe(false);
  });
  it('REP STOS and MOVS go element by element', () => {
    machine.hv.memory.write32(guest.mfn('code') * 4096, 0xabf3);
    machine.cpu.eip = CODE;
    for (const [index, value] of [
      [EDI, at(3)],
      [ECX, 2],
      [EAX, 0],
    ] as const) {
      machine.cpu.setReg(index, value);
    }
    expect(tryWritablePageTable(machine.hv, at(3))).toBe(true);
    expect([machine.cpu.eip, machine.cpu.getReg(ECX), machine.cpu.getReg(EDI)]).toEqual([CODE, 1, at(4)]);
    expect(tryWritablePageTable(machine.hv, at(4))).toBe(true);
    expect([machine.cpu.eip, machine.cpu.getReg(ECX), low(3), low(4)]).toEqual([CODE + 2, 0, 0, 0]);
    machine.hv.memory.write32(guest.mfn('b') * 4096, guest.entry('a rw').low);
    guest.write('L1 t: 4 -> b');
    machine.hv.frames.references[guest.mfn('b')]!++;
    expect(store([0xa5], at(7), { [EDI]: at(7), [ESI]: 0x4000 })).toBe(true);
    expect(low(7)).toBe(guest.entry('a rw').low);
  });
  it('an 8-byte exchange spans two entries and is left to the guest', () => {
    expect(store(LOCK_CMPXCHG8B, at(4), { [EDI]: at(4), [EAX]: low(4), [EDX]: low(5) })).toBe(false);
  });
});

describe.each(['3.0.2', '4.17'] as const)('PAE %s', (personality) => {
  beforeEach(() => boot('x86_32p', personality));

  it('clearing an entry word by word: the low word already makes it not present', () => {
    expect(store(MOV_EDI_0, at(3), { [EDI]: at(3) })).toBe(true);
    expect(guest.books('a')).toBe('none refs 1');
    expect(store(MOV_EDI_0, at(3, 4), { [EDI]: at(3, 4) })).toBe(true);
    expect([low(3), high(3)]).toEqual([0, 0]);
  });
  it('an upper half that would make a present entry invalid is stored with P cleared', () => {
    expect(store(MOV_EDI_EAX, at(3, 4), { [EDI]: at(3, 4), [EAX]: 7 })).toBe(true);
    expect([low(3) & 1, high(3)]).toEqual([0, 7]);
    expect(guest.books('a')).toBe('none refs 1');
  });
  it('LOCK CMPXCHG8B replaces a whole entry', () => {
    const { low: entry } = guest.entry('c rw');
    const registers = { [EDI]: at(3), [EAX]: low(3), [EDX]: high(3), [EBX]: entry, [ECX]: 0 };
    expect(store(LOCK_CMPXCHG8B, at(3), registers)).toBe(true);
    expect(low(3)).toBe(entry);
    expect(guest.books('c')).toBe('writable uses 1 refs 2');
    expect(machine.cpu.eflags & 0x40).toBe(0x40);
    expect(store(LOCK_CMPXCHG8B, at(3), { ...registers, [EAX]: 1 })).toBe(true);
    expect(machine.cpu.getReg(EAX)).toBe(entry);
    expect(machine.cpu.eflags & 0x40).toBe(0);
  });
  it('does not clear P for the lower half, a byte or an exchange', () => {
    const { low: entry } = guest.entry('r rw');
    expect(store(MOV_EDI_EAX, at(3), { [EDI]: at(3), [EAX]: entry })).toBe(false);
    expect(store([0x88, 0x07], at(3, 4), { [EDI]: at(3, 4), [EAX]: 7 })).toBe(false);
    const registers = { [EDI]: at(3), [EAX]: low(3), [EDX]: high(3), [EBX]: low(3), [ECX]: 7 };
    expect(store(LOCK_CMPXCHG8B, at(3), registers)).toBe(false);
    expect(guest.books('a')).toBe('writable uses 1 refs 2');
  });
});
