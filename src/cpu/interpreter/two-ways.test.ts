/**
 * The same random code in line and out of line. One processor runs it at full speed with a warm TLB; the other one has
 * a data breakpoint somewhere else, so that every access takes the slow way, and goes instruction by instruction.
 */
import { expect, it } from 'vitest';
import { EBP, EBX, ECX } from '../layout.ts';
import { CODE, DATA, Guest } from '../testing/guest.ts';

/** Numbers from a seed (xorshift). */
function generator(seed: number): (below: number) => number {
  let x = seed;
  return (below) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % below;
  };
}

/** Registers that code may change: not the base (EBX), the index and count (ECX), EBP, ESP. */
const WIDE = [0, 2, 6, 7];
const BYTE = [0, 2, 4, 6];

/** One instruction of the integer set with a random operand. */
function instruction(random: (below: number) => number): number[] {
  const pick = <T>(from: readonly T[]): T => from[random(from.length)]!;
  const bytes = random(6) === 0 ? [0x66] : [];
  const wide = bytes.length === 0 ? 4 : 2;
  const immediate = (size: number): number[] => Array.from({ length: size }, () => random(256));
  const operand = (reg: number, rmIsByte: boolean): number[] => {
    switch (random(4)) {
      case 0:
        return [0xc0 | (reg << 3) | pick(rmIsByte ? BYTE : WIDE)];
      case 1: // [ebx + disp8]
        return [0x43 | (reg << 3), random(256)];
      case 2: // [ebx + ecx * s + disp8]
        return [0x44 | (reg << 3), (random(4) << 6) | 0x0b, random(256)];
      default: // [ebp + disp32]
        return [0x85 | (reg << 3), ...[random(64), 0, 0, 0]];
    }
  };
  const alu = random(8) * 8;
  const rows: (() => number[])[] = [
    () => [alu, ...operand(pick(BYTE), true)],
    () => [alu + 1, ...operand(pick(WIDE), false)],
    () => [alu + 2, ...operand(pick(BYTE), true)],
    () => [alu + 3, ...operand(pick(WIDE), false)],
    () => [alu + 4, random(256)],
    () => [alu + 5, ...immediate(wide)],
    () => [0x80, ...operand(random(8), true), random(256)],
    () => [0x81, ...operand(random(8), false), ...immediate(wide)],
    () => [0x83, ...operand(random(8), false), random(256)],
    () => [pick([0x84, 0x86, 0x88, 0x8a]), ...operand(pick(BYTE), true)],
    () => [pick([0x85, 0x87, 0x89, 0x8b]), ...operand(pick(WIDE), false)],
    () => [0x8d, 0x44 | (pick(WIDE) << 3), (random(4) << 6) | 0x0b, random(256)],
    () => [pick([0x40, 0x48, 0x50, 0x58]) + pick(WIDE)],
    () => [0xc0, ...operand(random(8), true), random(256)],
    () => [0xc1, ...operand(random(8), false), random(256)],
    () => [pick([0xd0, 0xd2]), ...operand(random(8), true)],
    () => [pick([0xd1, 0xd3]), ...operand(random(8), false)],
    () => [0xf6, ...operand(pick([2, 3, 4, 5]), true)],
    () => [0xf7, ...operand(pick([2, 3, 4, 5]), false)],
    () => [0xf7, ...operand(0, false), ...immediate(wide)],
    () => [0xfe, ...operand(random(2), true)],
    () => [0xff, ...operand(random(2), false)],
    () => [0x6b, ...operand(pick(WIDE), false), random(256)],
    () => [0xb8 + pick(WIDE), ...immediate(wide)],
    () => [pick([0x98, 0x99, 0xf5, 0xf8, 0xf9, 0x9e, 0x9f, 0x90])],
    () => [0x0f, 0x40 + random(16), ...operand(pick(WIDE), false)],
    () => [0x0f, 0x90 + random(16), ...operand(0, true)],
    () => [0x0f, pick([0xb6, 0xbe]), ...operand(pick(WIDE), true)],
    () => [0x0f, pick([0xb7, 0xbf, 0xaf, 0xbc, 0xbd]), ...operand(pick(WIDE), false)],
    () => [0x0f, pick([0xa4, 0xac]), ...operand(pick(WIDE), false), random(256)],
    () => [0x0f, pick([0xb1, 0xc1]), ...operand(pick(WIDE), false)],
    () => [0x0f, 0xba, ...operand(4 + random(4), false), random(256)],
    () => [0x70 + random(16), 0], // to the next instruction, either way
  ];
  const body = pick(rows)();
  // A 16-bit jump would cut eip.
  return body[0]! >> 4 === 7 ? body : [...bytes, ...body];
}

function prepare(g: Guest, code: readonly number[], seed: number): void {
  const random = generator(seed);
  g.memory.writeBytes(CODE, Uint8Array.from(code));
  for (let at = 0; at < 0x2000; at += 4) g.memory.write32(DATA + at, random(2 ** 31));
  for (let at = 0x2f000; at < 0x31000; at += 4) g.memory.write32(at, at);
  for (let r = 0; r < 8; r++) g.cpu.setReg(r, random(2 ** 31));
  g.cpu.setReg(EBX, DATA + 0x1000 - 0x20);
  g.cpu.setReg(ECX, random(16));
  g.cpu.setReg(EBP, DATA + 0x400);
  g.cpu.setReg(4, 0x30000);
  g.cpu.eflags = 2;
  g.cpu.eip = CODE;
}

it.each([1, 2, 3, 4, 5, 6, 7, 8])('agree on registers, flags and memory, seed %d', (seed) => {
  const fast = new Guest('hlt\n').pagePaging();
  const slow = new Guest('hlt\n').pagePaging();
  slow.cpu.setDr(0, 0x3ff000);
  slow.cpu.setDr(7, 1 | (0b0001 << 16));
  const random = generator(seed * 7919);
  for (let program = 0; program < 20; program++) {
    const instructions = Array.from({ length: 60 }, () => instruction(random));
    const code = [...instructions.flat(), 0xf4];
    prepare(slow, code, seed + program);
    expect(slow.run()).toBe('hlt');
    // The first run warms the TLB and the links.
    for (let round = 0; round < 2; round++) {
      prepare(fast, code, seed + program);
      expect(fast.run()).toBe('hlt');
    }
    const state = (g: Guest): number[] => [
      ...Array.from({ length: 8 }, (_, r) => g.cpu.getReg(r)),
      g.cpu.eip,
      g.cpu.eflags,
    ];
    expect(state(fast)).toEqual(state(slow));
    expect(Buffer.compare(fast.memory.bytes(DATA, 0x3000), slow.memory.bytes(DATA, 0x3000))).toBe(0);
  }
});
