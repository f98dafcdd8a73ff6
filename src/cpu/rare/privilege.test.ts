/**
 * For every privileged instruction and every ring: does it run, or #GP(0)? Intel SDM vol. 3A, "Privileged
 * Instructions", "I/O Privilege Level", and the exception lists of vol. 2.
 */
import { describe, expect, it } from 'vitest';
import { asm } from '../testing/asm.ts';
import { DATA, newRig, type Rig } from '../testing/rig.ts';
import { hasFeature } from './cpuid.ts';

const RINGS = [0, 1, 2, 3];
const run = (rig: Rig, source: string): string => rig.one(asm(source, 0x8000).bytes);

const nothing = (): void => {};
/** [instruction, preparation]. */
const RING_0_ONLY: [string, (rig: Rig) => unknown][] = [
  ['clts', nothing],
  ['lmsw %ax', (rig) => rig.set({ eax: 1 })],
  ['lgdt 0x9000', nothing],
  ['lidt 0x9000', nothing],
  ['lldt %ax', (rig) => rig.set({ eax: 0 })],
  ['ltr %ax', (rig) => rig.set({ eax: 0x48 })],
  ['mov %cr0, %eax', nothing],
  ['mov %cr2, %eax', nothing],
  ['mov %cr3, %eax', nothing],
  ['mov %cr4, %eax', nothing],
  ['mov %eax, %cr0', (rig) => rig.set({ eax: 0x11 })],
  ['mov %eax, %cr2', nothing],
  ['mov %eax, %cr3', (rig) => rig.set({ eax: 0 })],
  ['mov %eax, %cr4', (rig) => rig.set({ eax: 0 })],
  ['mov %db0, %eax', nothing],
  ['mov %db7, %eax', nothing],
  ['mov %eax, %db0', nothing],
  ['mov %eax, %db7', (rig) => rig.set({ eax: 0x400 })],
  ['invd', nothing],
  ['wbinvd', nothing],
  ['invlpg 0x9000', nothing],
  ['rdmsr', (rig) => rig.set({ ecx: 0x10 })],
  ['wrmsr', (rig) => rig.set({ ecx: 0xc0000080, eax: 0, edx: 0 })],
];

describe('instructions of ring 0', () => {
  it.each(RING_0_ONLY)('%s', (source, prepare) => {
    for (const ring of RINGS) {
      const rig = newRig();
      // An available TSS for LTR, and a descriptor-table operand.
      rig.write(0x104c, rig.read(0x104c) & ~0x200);
      rig.write(DATA, 0x100007ff);
      rig.write(DATA + 4, 0);
      rig.enterRing(ring);
      prepare(rig);
      rig.cpu.eip = 0x8000;
      const before = rig.state();
      expect(run(rig, source), `ring ${ring}`).toBe(ring === 0 ? 'ok' : '#GP(0)');
      if (ring !== 0) expect(rig.state(), `ring ${ring}`).toBe(before);
    }
  });
  it('HLT halts in ring 0, with EIP behind it', () => {
    const rig = newRig();
    expect(run(rig, 'hlt')).toBe('halted');
    expect(rig.cpu.eip).toBe(0x8001);
    for (const ring of [1, 2, 3]) {
      rig.enterRing(ring);
      expect(run(rig, 'hlt'), `ring ${ring}`).toBe('#GP(0)');
    }
  });
  it.each(['sgdt 0x9000', 'sidt 0x9000', 'sldt %eax', 'str %eax', 'smsw %eax', 'cpuid', 'rdtsc'])(
    '%s is no secret of ring 0',
    (source) => {
      for (const ring of RINGS) {
        const rig = newRig();
        rig.enterRing(ring);
        expect(run(rig, source), `ring ${ring}`).toBe('ok');
      }
    },
  );
});

describe('instructions that IOPL rules', () => {
  const cases = RINGS.flatMap((ring) => RINGS.map((iopl) => ({ ring, iopl, allowed: ring <= iopl })));
  it.each(['cli', 'sti', 'in $0x80, %al', 'in %dx, %eax', 'out %al, $0x80', 'out %ax, %dx', 'insb', 'outsl'])(
    '%s needs CPL <= IOPL',
    (source) => {
      for (const { ring, iopl, allowed } of cases) {
        const rig = newRig();
        rig.enterRing(ring);
        rig.cpu.eflags = 0x202 | (iopl << 12);
        rig.set({ edx: 0x3f8, esi: DATA, edi: DATA });
        expect(run(rig, source), `ring ${ring}, IOPL ${iopl}`).toBe(allowed ? 'ok' : '#GP(0)');
      }
    },
  );
  it('POPF never faults: it changes IF only with CPL <= IOPL, and IOPL only in ring 0', () => {
    for (const { ring, iopl, allowed } of cases) {
      const rig = newRig();
      rig.enterRing(ring);
      rig.cpu.eflags = 0x202 | (iopl << 12);
      rig.push(0x7fd5 & ~0x200 & ~0x100 & ~0x4000);
      expect(run(rig, 'popf')).toBe('ok');
      const expectedIopl = ring === 0 ? 3 : iopl;
      const expectedIf = allowed ? 0 : 0x200;
      expect(rig.cpu.eflags & 0x3200, `ring ${ring}, IOPL ${iopl}`).toBe((expectedIopl << 12) | expectedIf);
      expect(rig.cpu.eflags & 0xcd5).toBe(0xcd5);
    }
  });
  it('a 16-bit POPF leaves the upper half alone', () => {
    const rig = newRig();
    rig.cpu.eflags = 0x240202;
    rig.push(0);
    expect(run(rig, 'popfw')).toBe('ok');
    expect(rig.cpu.eflags).toBe(0x240002);
    expect(rig.get('esp')).toBe(0x4ffe);
  });
  it('PUSHF pushes RF as 0', () => {
    const rig = newRig();
    rig.cpu.eflags = 0x10246;
    expect(run(rig, 'pushf')).toBe('ok');
    expect(rig.stack(1)).toBe('246');
  });
});

describe('control registers', () => {
  it('CR0 takes PE, MP, EM, TS, NE, WP, AM, NW, CD, PG; ET stays 1; the rest reads as 0', () => {
    const rig = newRig();
    rig.set({ eax: 0x7fffffff });
    expect(run(rig, 'mov %eax, %cr0')).toBe('ok');
    expect(rig.cpu.cr0.toString(16)).toBe('6005003f');
  });
  it.each([
    ['no PE: this processor has no real mode', 0x10],
    ['PG without PE', 0x80000010],
    ['NW without CD', 0x20000011],
  ])('CR0 refuses %s', (_why, value) => {
    const rig = newRig();
    rig.set({ eax: value });
    expect(run(rig, 'mov %eax, %cr0')).toBe('#GP(0)');
    expect(rig.cpu.cr0).toBe(0x11);
  });
  it('CR4 takes the bits of the features that CPUID reports, and no other', () => {
    for (let bit = 0; bit < 32; bit++) {
      const rig = newRig();
      rig.set({ eax: (1 << bit) >>> 0 });
      const exists = [2, 5, 8, 9].includes(bit) || (bit === 10 && hasFeature('SSE'));
      expect(run(rig, 'mov %eax, %cr4'), `bit ${bit}`).toBe(exists ? 'ok' : '#GP(0)');
    }
  });
  it('with PAE, loading CR3 checks the four entries of the root for reserved bits', () => {
    for (const [entry, expected] of [
      [0x4001, 'ok'],
      [0x4e19, 'ok'],
      [0x4003, '#GP(0)'],
      [0x4005, '#GP(0)'],
      [0x4081, '#GP(0)'],
      [0x4002, 'ok'],
    ] as const) {
      const rig = newRig();
      rig.cpu.cr4 = 0x20;
      // Identity for the first 2 MiB, so that the code goes on.
      for (let i = 0; i < 512; i++) rig.write(0x20000 + 8 * i, (i << 12) | 7);
      rig.write(0x21000, 0x20007);
      rig.write(0x22000, 0x21001);
      rig.write(0x22000 + 0x20, 0x21001);
      rig.write(0x22000 + 0x38, entry);
      rig.cpu.cr3 = 0x22000;
      rig.cpu.cr0 = 0x80000011;
      rig.set({ eax: 0x22020 });
      expect(run(rig, 'mov %eax, %cr3'), entry.toString(16)).toBe(expected);
      expect(rig.cpu.cr3).toBe(expected === 'ok' ? 0x22020 : 0x22000);
    }
  });
  it('LMSW sets PE MP EM TS, and never clears PE; SMSW shows CR0', () => {
    const rig = newRig();
    rig.set({ eax: 0xfffe, ebx: 0 });
    expect(run(rig, 'lmsw %ax')).toBe('ok');
    expect(rig.cpu.cr0).toBe(0x1f);
    rig.set({ eax: 0 });
    expect(run(rig, 'lmsw %ax')).toBe('ok');
    expect(rig.cpu.cr0).toBe(0x11);
    expect(run(rig, 'smsw %bx')).toBe('ok');
    expect(rig.get('ebx')).toBe(0x11);
    rig.write(DATA, 0xffffffff);
    expect(run(rig, 'smsw 0x9000')).toBe('ok');
    expect(rig.read(DATA)).toBe(0xffff0011);
  });
  it('CLTS clears TS alone', () => {
    const rig = newRig();
    rig.cpu.cr0 = 0x1f;
    expect(run(rig, 'clts')).toBe('ok');
    expect(rig.cpu.cr0).toBe(0x17);
  });
});

describe('debug registers', () => {
  it('DR6 and DR7 keep their fixed bits; DR4 and DR5 are their other names', () => {
    const rig = newRig();
    rig.set({ eax: 0 });
    expect(run(rig, 'mov %eax, %db6')).toBe('ok');
    expect(run(rig, 'mov %db4, %ebx')).toBe('ok');
    expect(rig.get('ebx').toString(16)).toBe('ffff0ff0');
    expect(run(rig, 'mov %eax, %db7')).toBe('ok');
    expect(run(rig, 'mov %db5, %ebx')).toBe('ok');
    expect(rig.get('ebx')).toBe(0x400);
  });
  it('DR7.GD makes every access #DB, sets DR6.BD and clears itself', () => {
    for (const source of ['mov %db0, %eax', 'mov %eax, %db3']) {
      const rig = newRig();
      rig.cpu.setDr(6, 0xffff0ff0);
      rig.cpu.setDr(7, 0x2400);
      expect(run(rig, source)).toBe('#DB');
      expect(rig.cpu.getDr(6) & 0x2000).toBe(0x2000);
      expect(rig.cpu.getDr(7) & 0x2000).toBe(0);
      expect(rig.cpu.eip).toBe(0x8000);
    }
  });
});

describe('model-specific registers and counters', () => {
  it('knows the time stamp and EFER; any other register is #GP(0)', () => {
    for (const [ecx, expected] of [
      [0x10, 'ok'],
      [0xc0000080, 'ok'],
      [0x1b, '#GP(0)'],
      [0x174, '#GP(0)'],
      [0xc0000081, '#GP(0)'],
    ] as const) {
      const rig = newRig();
      rig.set({ ecx, eax: 0, edx: 0 });
      expect(run(rig, 'rdmsr'), ecx.toString(16)).toBe(expected);
      rig.set({ ecx, eax: 0, edx: 0 });
      expect(run(rig, 'wrmsr'), ecx.toString(16)).toBe(expected);
    }
  });
  it('EFER takes NXE alone', () => {
    for (let bit = 0; bit < 32; bit++) {
      const rig = newRig();
      rig.set({ ecx: 0xc0000080, eax: (1 << bit) >>> 0, edx: 0 });
      expect(run(rig, 'wrmsr'), `bit ${bit}`).toBe(bit === 11 ? 'ok' : '#GP(0)');
    }
  });
  it('WRMSR sets the time stamp that RDTSC reads, negative counts too', () => {
    const rig = newRig();
    rig.set({ ecx: 0x10, eax: 0xfffffff0, edx: 0x12 });
    expect(run(rig, 'wrmsr')).toBe('ok');
    for (let i = 0; i < 20; i++) expect(run(rig, 'cli')).toBe('ok');
    expect(run(rig, 'rdtsc')).toBe('ok');
    expect(rig.get('edx')).toBe(0x13);
    expect(rig.get('eax')).toBeLessThan(16);
    rig.set({ ecx: 0x10, eax: 0xfffffff0, edx: 0xffffffff });
    expect(run(rig, 'wrmsr')).toBe('ok');
    expect(run(rig, 'rdtsc')).toBe('ok');
    expect(rig.get('edx')).toBe(0xffffffff);
    for (let i = 0; i < 20; i++) expect(run(rig, 'cli')).toBe('ok');
    expect(run(rig, 'rdtsc')).toBe('ok');
    expect(rig.get('edx')).toBe(0);
  });
  it('CR4.TSD keeps RDTSC for ring 0, CR4.PCE opens RDPMC to the others', () => {
    for (const ring of RINGS) {
      const rig = newRig();
      rig.enterRing(ring);
      rig.cpu.cr4 = 4;
      expect(run(rig, 'rdtsc'), `ring ${ring}`).toBe(ring === 0 ? 'ok' : '#GP(0)');
      rig.set({ ecx: 0 });
      expect(run(rig, 'rdpmc'), `ring ${ring}`).toBe(ring === 0 ? 'ok' : '#GP(0)');
      rig.cpu.cr4 = 0x100;
      expect(run(rig, 'rdpmc'), `ring ${ring}`).toBe('ok');
      rig.set({ ecx: 2 });
      expect(run(rig, 'rdpmc'), `ring ${ring}`).toBe('#GP(0)');
    }
  });
});
