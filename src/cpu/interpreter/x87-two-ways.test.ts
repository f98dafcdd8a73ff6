/**
 * Random x87 code between integer code, in one go and instruction by instruction: the one processor runs in the x87
 * loop with a warm TLB, the other one has a data breakpoint somewhere else, so that every access takes the slow way.
 * Both must end with the same x87 state, instruction and operand pointers included.
 */
import { expect, it } from 'vitest';
import { addressOf, CPU_STATE_SIZE, FIELDS } from '../layout.ts';
import { CODE, DATA, Guest } from '../testing/guest.ts';
import { seededRandom } from '../testing/random.ts';

type Random = (below: number) => number;
function generator(seed: number): Random {
  const next = seededRandom(seed);
  return (below) => next() % below;
}

const MEMORY_FORMS: readonly (readonly [opcode: number, reg: number])[] = [
  ...[0xd8, 0xdc, 0xda, 0xde].flatMap((opcode) =>
    [0, 1, 2, 3, 4, 5, 6, 7].map((reg) => [opcode, reg] as const),
  ),
  ...[0xd9, 0xdd, 0xdb, 0xdf].flatMap((opcode) => [0, 2, 3].map((reg) => [opcode, reg] as const)),
  ...([
    [0xdb, 5],
    [0xdb, 7],
    [0xdf, 5],
    [0xdf, 7],
    [0xd9, 7],
    [0xdd, 7],
  ] as const),
];
const CONTROL_WORDS = [0x37f, 0x27f, 0xf7f, 0x37f, 0x37f, 0x7f, 0xb7f, 0x35f];

/** [ebx + disp8], [ebp + ecx * 8 + disp8] or [disp32], within the data. */
function operand(random: Random, reg: number): number[] {
  const at = 8 * random(12);
  if (random(3) === 0) return [0x44 | (reg << 3), 0xcd, at];
  return random(2) ? [0x43 | (reg << 3), at] : [0x05 | (reg << 3), at, (DATA >> 8) & 0xff, DATA >> 16, 0];
}
function instruction(random: Random): number[] {
  const st = random(3);
  switch (random(10)) {
    case 0:
      return [0xd9, 0xe8 + 6 * random(2)]; // fld1, fldz
    case 1:
      return [0xd9, 0xc0 + st + 8 * random(2)]; // fld, fxch
    case 2:
    case 3:
      return [[0xd8, 0xdc, 0xde][random(3)]!, 0xc0 + st + 8 * [0, 1, 4, 5, 6, 7][random(6)]!];
    case 4:
      return [0xdd, 0xd0 + st + 8 * random(2)]; // fst, fstp
    case 5:
      return [[0xdb, 0xdf][random(2)]!, 0xe8 + st + 8 * random(2)]; // (f)(u)comi(p)
    case 6: {
      const [opcode, reg] = MEMORY_FORMS[random(MEMORY_FORMS.length)]!;
      return [opcode, ...operand(random, reg)];
    }
    case 7:
      return [
        [0xd9, 0xe0],
        [0xd9, 0xe1],
        [0xd9, 0xe4],
        [0xdf, 0xe0],
        [0xd9, 0xfa],
        [0xd9, 0xfc],
        [0xda, 0xe9],
      ][random(7)]!;
    case 8: // fldcw [ebx + 0x60 + 2 i]
      return random(4)
        ? [0xdb, ...operand(random, 0)]
        : [0xd9, 0x6b, 0x60 + 2 * random(CONTROL_WORDS.length)];
    default: // inc eax; add eax, edx; jcc over nothing; setc al; sbb edx, eax
      return [[0x40], [0x01, 0xd0], [0x70 + random(16), 0], [0x0f, 0x92, 0xc0], [0x19, 0xc2], [0x89, 0xc2]][
        random(6)
      ]!;
  }
}

function prepare(g: Guest, code: readonly number[], seed: number): void {
  const random = generator(seed);
  g.memory.writeBytes(g.cpu.eip, Uint8Array.from(code));
  for (let at = 0; at < 0x60; at += 8) {
    g.memory.write32(DATA + at, random(3) ? random(2 ** 31) * 2 : 0);
    // A double near 1 of either sign; as singles and integers the halves are anything.
    g.memory.write32(
      DATA + at + 4,
      random(8) ? 0x3fe00000 + random(0x400000) + (random(2) << 31) : random(4) * 0x7ff00000,
    );
  }
  for (const [i, word] of CONTROL_WORDS.entries()) g.memory.write16(DATA + 0x60 + 2 * i, word);
  for (const r of [0, 2, 6, 7]) g.cpu.setReg(r, random(2 ** 31));
  g.cpu.setReg(1, 0);
  g.cpu.setReg(3, DATA);
  g.cpu.setReg(5, DATA);
  g.cpu.eflags = 2;
  // FNINIT leaves the registers' contents.
  g.memory.u8.fill(0, addressOf('fpr'), addressOf('fpr', 16));
}

it.each([1, 2, 3, 4, 5, 6])('agree on the x87 state, registers, flags and memory, seed %d', (seed) => {
  const fast = new Guest('hlt\n').pagePaging();
  const slow = new Guest('hlt\n').pagePaging();
  slow.cpu.setDr(0, 0x3ff000);
  slow.cpu.setDr(7, 1 | (0b0001 << 16));
  const random = generator(seed * 104729);
  const ends = new Set<string>();
  for (let program = 0; program < 60; program++) {
    const body = Array.from({ length: 80 }, () => instruction(random)).flat();
    // fninit; a few numbers; the body; hlt. Often across a page border.
    const code = [0xdb, 0xe3, 0xd9, 0xe8, 0xdd, 0x43, 8, 0xdd, 0x43, 16, ...body, 0xf4];
    const at = CODE + 0x1000 - random(code.length);
    const run = (g: Guest): string => {
      g.cpu.eip = at;
      prepare(g, code, seed + program);
      return g.run(); // hlt, or #16 where an exception was not masked
    };
    const end = run(slow);
    // The first run warms the TLB and the links.
    expect([run(fast), run(fast)]).toEqual([end, end]);
    ends.add(end);
    const state = (g: Guest): Uint8Array => {
      const saved = new Uint8Array(CPU_STATE_SIZE);
      g.cpu.saveState(saved);
      saved.fill(0, FIELDS.dr.offset, FIELDS.dr.offset + 32);
      return saved;
    };
    expect(state(fast)).toEqual(state(slow));
    expect(fast.memory.bytes(DATA, 0x100)).toEqual(slow.memory.bytes(DATA, 0x100));
  }
  expect([...ends].sort()).toEqual(['#16', 'hlt']);
});
