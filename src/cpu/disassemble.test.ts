/** The disassembler against iced-x86: length, memory operand and text of a million byte strings. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Register } from 'iced-x86';
import { describe, expect, it } from 'vitest';
import { type DisassembledLine, disassemble } from './disassemble.ts';
import { icedDisassemble } from './testing/iced.ts';
import { seededRandom } from './testing/random.ts';

const PREFIXES = [0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];

/** Random bytes behind at most three prefixes; half of them in the two-byte map or in a group. */
function* randomStrings(count: number, seed: number): Generator<Uint8Array> {
  const random = seededRandom(seed);
  const groups = [0x80, 0x81, 0x83, 0x8f, 0xc0, 0xc1, 0xc6, 0xc7, 0xd0, 0xd3, 0xf6, 0xf7, 0xfe, 0xff];
  for (let made = 0; made < count; made++) {
    const bytes = new Uint8Array(16);
    for (let at = 0; at < 16; at++) bytes[at] = random() >>> 11;
    let at = 0;
    for (let prefixes = [0, 0, 1, 3][random() & 3] ?? 0; prefixes > 0; prefixes--) {
      bytes[at++] = PREFIXES[random() % PREFIXES.length] ?? 0;
    }
    const kind = random() % 8;
    if (kind < 3) bytes[at++] = 0x0f;
    else if (kind < 4) bytes[at++] = groups[random() % groups.length] ?? 0;
    else if (kind < 5) bytes[at++] = 0xd8 + (random() & 7);
    yield bytes;
  }
}

function filesUnder(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((name) => /\.(elf|bin)$/.test(name) && statSync(name).isFile());
}

/** Real machine code at random offsets: our own images and, where installed, GRUB for Xen. */
function* realStrings(count: number, seed: number): Generator<Uint8Array> {
  const root = new URL('../..', import.meta.url).pathname;
  const grub = '/usr/lib/grub-xen/grub-i386-xen.bin';
  const names = [...filesUnder(join(root, 'public/guests')), ...filesUnder(join(root, 'bench'))];
  if (existsSync(grub)) names.push(grub);
  const images = names.map((name) => new Uint8Array(readFileSync(name)));
  expect(images.length).toBeGreaterThan(0);
  const random = seededRandom(seed);
  for (let made = 0; made < count; made++) {
    const image = images[random() % images.length] ?? new Uint8Array(16);
    const at = random() % Math.max(1, image.length - 16);
    yield image.slice(at, at + 16);
  }
}

const REGISTER_BASE: Readonly<Record<16 | 32, number>> = { 16: Register.AX, 32: Register.EAX };

function disagreement(
  ours: DisassembledLine,
  bytes: Uint8Array,
  va: number,
  bits: 16 | 32,
): string | undefined {
  const theirs = icedDisassemble(bytes, va, bits);
  if (ours.text !== theirs.text || (ours.instruction !== undefined && ours.length !== theirs.length)) {
    const hex = Buffer.from(bytes).toString('hex');
    return `${bits}-bit ${hex}: ${ours.text} (${ours.length}), iced: ${theirs.text} (${theirs.length})`;
  }
  const memory = ours.instruction?.operands.find((operand) => operand.kind === 'memory');
  if (memory === undefined || !(ours.instruction && ours.instruction.modrm >= 0)) return undefined;
  const first = REGISTER_BASE[memory.addressSize];
  const same =
    theirs.memoryBase === (memory.base < 0 ? Register.None : first + memory.base) &&
    theirs.memoryIndex === (memory.index < 0 ? Register.None : first + memory.index) &&
    theirs.memoryScale === memory.scale &&
    theirs.memoryDisplacement === memory.displacement &&
    theirs.memorySegment === Register.ES + memory.segment;
  return same
    ? undefined
    : `${bits}-bit ${Buffer.from(bytes).toString('hex')}: ${ours.text}: memory operands differ`;
}

function compare(strings: Iterable<Uint8Array>): { compared: number; valid: number; wrong: string[] } {
  let compared = 0;
  let valid = 0;
  const wrong: string[] = [];
  for (const bytes of strings) {
    const bits = compared % 4 === 3 ? 16 : 32;
    const va = bits === 16 ? 0x1000 : 0xc010_0000;
    const ours = disassemble(bytes, va, { bits });
    const found = disagreement(ours, bytes, va, bits);
    if (found !== undefined && wrong.length < 20) wrong.push(found);
    if (ours.instruction !== undefined) valid++;
    compared++;
  }
  return { compared, valid, wrong };
}

describe('the disassembler agrees with iced-x86', () => {
  it('on 700,000 random byte strings', { timeout: 300_000 }, () => {
    const { compared, valid, wrong } = compare(randomStrings(700_000, 1));
    expect(wrong).toEqual([]);
    expect(compared).toBe(700_000);
    expect(valid).toBeGreaterThan(400_000);
  });

  it('on 300,000 byte strings of real programs', { timeout: 300_000 }, () => {
    const { compared, valid, wrong } = compare(realStrings(300_000, 2));
    expect(wrong).toEqual([]);
    expect(compared).toBe(300_000);
    expect(valid).toBeGreaterThan(200_000);
  });
});

describe('disassemble', () => {
  const line = (hex: string, bits: 16 | 32 = 32) =>
    disassemble(new Uint8Array(Buffer.from(hex, 'hex')), 0x1000, { bits });

  it('names the target of a jump and an absolute address if it has a symbol', () => {
    const symbolAt = (va: number) => (va === 0x1234 ? 'start' : undefined);
    const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'));
    expect(disassemble(bytes('e92f020000'), 0x1000, { bits: 32, symbolAt }).text).toBe('jmp start');
    expect(disassemble(bytes('a134120000'), 0x1000, { bits: 32, symbolAt }).text).toBe(
      'mov eax, dword ptr [start]',
    );
  });

  it('gives one byte of (bad) for what is no instruction, cut off, too long, or wrongly locked', () => {
    expect(line('0f05')).toMatchObject({ text: '(bad)', length: 1, instruction: undefined });
    expect(line('b801')).toMatchObject({ text: '(bad)', length: 1 });
    expect(line('66666666666666666666666666666690')).toMatchObject({ text: '(bad)' });
    expect(line('f089d8')).toMatchObject({ text: '(bad)' });
    expect(line('f0013b')).toMatchObject({ text: 'lock add dword ptr [ebx], edi', length: 3 });
  });
});
