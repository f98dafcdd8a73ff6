/**
 * A guest that passes garbage to every hypercall gets errnos, faults, or dies alone: the books agree after each call
 * and the engine never fails. The guest is `int $0x82; jmp`; registers and arguments are thrown in from outside, half
 * of them plausible (own frames, table entries, pointers into its memory), so that calls get far before they fail.
 */
import { describe, expect, it } from 'vitest';
import { EAX, EBX, ECX, EDI, EDX, ESI, FIELDS } from '../cpu/layout.ts';
import { audit } from '../xen/audit.ts';
import { pauseDomain } from '../xen/domain-lifecycle.ts';
import { buildElf, joined, note, text } from '../xen/toolstack/testing/elf-builder.ts';
import { Machine } from './machine.ts';
import { MACHINE, request } from './testing/boot.ts';

const BASE = 0xc000_0000;
/** The guest's page that arguments are thrown into. */
const ARGUMENTS = BASE + 0x1000;
const code = new Uint8Array(0x3000);
code.set([0xcd, 0x82, 0xeb, 0xfc]);

const images = {
  x86_32: buildElf({
    entry: BASE,
    segments: [{ paddr: BASE, bytes: code }],
    sections: [
      {
        name: '__xen_guest',
        bytes: text(`XEN_VER=xen-3.0,LOADER=generic,VIRT_BASE=0x${BASE.toString(16)}\0`),
      },
    ],
  }),
  x86_32p: buildElf({
    entry: BASE,
    segments: [
      { paddr: 0, vaddr: BASE, bytes: code },
      {
        type: 4,
        paddr: 0,
        bytes: joined(
          note(5, 'xen-3.0'),
          note(8, 'generic'),
          note(3, BASE),
          note(4, 0),
          note(1, BASE),
          note(9, 'yes'),
        ),
      },
    ],
  }),
};

/** xorshift32 */
function dice(seed: number): (sides: number) => number {
  let x = seed >>> 0 || 1;
  return (sides) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % sides;
  };
}

function play(abi: 'x86_32' | 'x86_32p', xen: '3.0.2' | '4.17', seed: number, calls: number) {
  const machine = new Machine({ ...MACHINE, memoryMiB: 16, seed }, () => {});
  const bystander = machine.addDomain(request(images[abi], { memoryMiB: 4, abi, xen }));
  expect(bystander).toMatchObject({ ok: true });
  pauseDomain(machine.hv, machine.hv.domains[1]!);
  const started = machine.addDomain(request(images[abi], { memoryMiB: 4, abi, xen }));
  if (!started.ok) throw new Error(started.error.message);
  const { hv } = machine;
  const domain = hv.domains[2]!;
  const vcpu = domain.vcpus[0]!;
  const roll = dice(seed);
  const own: number[] = [];
  for (let mfn = 0; mfn < hv.frames.total; mfn++) if (hv.frames.owner[mfn] === 2) own.push(mfn);
  const stackTop = new DataView(vcpu.saved.buffer).getUint32(FIELDS.gpr.offset + 4 * 4, true);
  const anyVa = () =>
    [ARGUMENTS, BASE, stackTop - 64, BASE + roll(1024) * 4096, roll(0xffff_ffff), 0xf580_0000, 0][roll(7)]! +
    roll(4) * 4;
  const anyMfn = () => (roll(8) === 0 ? roll(hv.frames.total + 9) : own[roll(own.length)]!);
  const anyEntry = () => anyMfn() * 4096 + [0x23, 0x21, 0x67, 0x01, 0x27, 0x63, 0, roll(4096)][roll(8)]!;
  const anyWord = () =>
    [
      roll(4),
      roll(40),
      anyVa(),
      anyMfn(),
      anyEntry(),
      anyMfn() * 4096 + roll(1024) * 4,
      0x7ff0,
      roll(0xffff_ffff),
    ][roll(8)]! >>> 0;
  const argumentsAt = () => hv.cpu.peekTranslate(ARGUMENTS);

  const first = machine.step('instruction', machine.now + 1_000_000);
  expect(first.kind).toBe('stopped');
  let made = 0;
  for (; made < calls && domain.end === null; made++) {
    if (hv.current === vcpu) {
      const maddr = argumentsAt();
      if (maddr >= 0 && hv.frames.owner[maddr >>> 12] === 2 && hv.frames.type[maddr >>> 12] !== 1) {
        for (let i = 0; i < 24; i++) hv.memory.write32((maddr & ~4095) + i * 4, anyWord());
      }
      hv.cpu.eip = BASE;
      hv.cpu.setReg(
        EAX,
        [1, 1, 26, 26, 14, 14, 12, 20, 13, 2, 10, 32, 16, 24, roll(42), roll(42)][roll(16)]!,
      );
      for (const register of [EBX, ECX, EDX, ESI, EDI]) hv.cpu.setReg(register, anyWord());
      if (roll(2)) hv.cpu.setReg(EBX, ARGUMENTS);
      if (roll(2)) hv.cpu.setReg(ECX, roll(2) ? ARGUMENTS : roll(4));
      if (roll(2)) hv.cpu.setReg(EDX, roll(2) ? 0 : ARGUMENTS);
      if (roll(2)) hv.cpu.setReg(ESI, 0x7ff0);
    }
    machine.step('hypercall', machine.now + 20_000_000);
    const problems = audit(hv);
    if (problems.length > 0) throw new Error(`after call ${made} (seed ${seed}): ${problems.join('; ')}`);
  }
  expect(hv.domains[1]!.end).toBeNull();
  for (const domid of [1, 2]) machine.destroyDomain(domid);
  expect(audit(hv)).toEqual([]);
  return made;
}

describe.each([
  ['x86_32', '3.0.2'],
  ['x86_32p', '3.0.2'],
  ['x86_32p', '4.17'],
] as const)('garbage from %s on %s', (abi, xen) => {
  it('breaks nothing but its sender', () => {
    let made = 0;
    for (let seed = 1; seed <= 4; seed++) made += play(abi, xen, seed * 7919, 60);
    // Most calls come back: the guest is not simply killed by the first.
    expect(made).toBeGreaterThan(60);
  });
});

describe('a kernel of random bytes', () => {
  it.each(['x86_32', 'x86_32p'] as const)('dies or spins alone, and its end is explained (%s)', (abi) => {
    const dead: (string | null)[] = [];
    for (let seed = 1; seed <= 20; seed++) {
      const roll = dice(seed * 65_537);
      const image = images[abi].slice();
      // The code is the first thing behind the headers; both images have its first four bytes nowhere else.
      const at = image.findIndex(
        (_, i) => image[i] === 0xcd && image[i + 1] === 0x82 && image[i + 2] === 0xeb,
      );
      for (let i = 0; i < code.length; i++) image[at + i] = roll(256);
      const machine = new Machine({ ...MACHINE, memoryMiB: 16 }, () => {});
      expect(machine.addDomain(request(image, { memoryMiB: 4 }))).toMatchObject({ ok: true });
      machine.run(300_000);
      const { end } = machine.domains[0]!;
      if (end?.reason === 'crash') dead.push(end.sentence);
      expect(audit(machine.hv)).toEqual([]);
    }
    expect(dead.length).toBeGreaterThan(10);
    for (const sentence of dead) expect(sentence).toMatch(/^The .+ at [0-9a-f]{8}.* ended the domain: .+\.$/);
  });
});
