/**
 * Page-level protection, ring by ring, with two-level and PAE tables. Intel SDM vol. 3A, "Access Rights", "Page-Fault
 * Exceptions", "Accessed and Dirty Flags".
 */
import { describe, expect, it } from 'vitest';
import { asm } from '../testing/asm.ts';
import { CODE, DATA, HANDLERS, IDT, newRig, type Rig, TSS } from '../testing/rig.ts';
import { setStateWord } from './tables.ts';

const P = 1;
const RW = 2;
const US = 4;
const A = 0x20;
const D = 0x40;
const FRAME = 0x30000;
/** The page under test. */
const VA = 0x400000;
const code = (source: string): Uint8Array => asm(`${source}\n`, 0x8000).bytes;

interface Layout {
  readonly name: string;
  /** Identity for the low memory, and VA through the two entries. */
  map(rig: Rig, pde: number, pte: number, nx?: { pde?: boolean; pte?: boolean }): void;
  entries(rig: Rig): [pde: number, pte: number];
}
const TWO_LEVEL: Layout = {
  name: 'two-level',
  map(rig, pde, pte) {
    for (let i = 0; i < 1024; i++) rig.write(0x21000 + 4 * i, (i << 12) | P | RW | US);
    rig.write(0x20000, 0x21000 | P | RW | US);
    rig.write(0x20004, 0x22000 | pde);
    rig.write(0x22000, FRAME | pte);
    rig.cpu.cr3 = 0x20000;
    rig.cpu.cr0 = 0x80000011;
    rig.cpu.flushTlb();
  },
  entries: (rig) => [rig.read(0x20004) & 0xfff, rig.read(0x22000) & 0xfff],
};
const PAE: Layout = {
  name: 'PAE',
  map(rig, pde, pte, nx = {}) {
    for (let i = 0; i < 512; i++) rig.write(0x22000 + 8 * i, (i << 12) | P | RW | US);
    rig.write(0x20000, 0x21000 | P);
    rig.write(0x21000, 0x22000 | P | RW | US);
    rig.write(0x21010, 0x23000 | pde);
    rig.write(0x21014, nx.pde ? 0x80000000 : 0);
    rig.write(0x23000, FRAME | pte);
    rig.write(0x23004, nx.pte ? 0x80000000 : 0);
    rig.cpu.cr4 = 0x20;
    rig.cpu.cr3 = 0x20000;
    rig.cpu.cr0 = 0x80000011;
    rig.cpu.flushTlb();
  },
  entries: (rig) => [rig.read(0x21010) & 0xfff, rig.read(0x23000) & 0xfff],
};

const SOURCES = { read: 'mov 0x400000, %eax', write: 'mov %eax, 0x400000' } as const;
type Kind = 'read' | 'write' | 'fetch';

/** Does the access. @returns 'ok' or the fault. */
function access(rig: Rig, ring: number, kind: Kind): string {
  rig.enterRing(ring);
  rig.write(FRAME, 0x90909090);
  rig.cpu.cr2 = 0;
  if (kind !== 'fetch') return rig.one(code(SOURCES[kind]));
  rig.cpu.eip = VA;
  return rig.step();
}

describe.each([TWO_LEVEL, PAE])('$name tables', (layout) => {
  const RIGHTS = [0, P, P | RW, P | US, P | RW | US, RW | US];

  it.each([false, true])('rights of both levels, every ring and access, CR0.WP %s', (wp) => {
    const rig = newRig();
    for (const pde of RIGHTS)
      for (const pte of RIGHTS)
        for (const ring of [0, 1, 2, 3])
          for (const kind of ['read', 'write', 'fetch'] as const) {
            layout.map(rig, pde, pte);
            rig.cpu.cr0 = wp ? 0x80010011 : 0x80000011;
            rig.cpu.flushTlb();
            const both = pde & pte;
            const user = ring === 3;
            const present = (both & P) !== 0;
            const allowed =
              present &&
              (!user || (both & US) !== 0) &&
              (kind !== 'write' || (both & RW) !== 0 || (!user && !wp));
            const errorCode = (present ? 1 : 0) | (kind === 'write' ? 2 : 0) | (user ? 4 : 0);
            const label = `pde ${pde} pte ${pte} ring ${ring} ${kind}`;
            expect(access(rig, ring, kind), label).toBe(allowed ? 'ok' : `#PF(${errorCode.toString(16)})`);
            const [pdeAfter, pteAfter] = layout.entries(rig);
            if (allowed) {
              expect(pdeAfter, label).toBe(pde | A);
              expect(pteAfter, label).toBe(pte | A | (kind === 'write' ? D : 0));
            } else {
              expect(rig.cpu.cr2, label).toBe(VA);
              expect(pteAfter, label).toBe(pte);
              expect(rig.cpu.eip, label).toBe(kind === 'fetch' ? VA : CODE);
            }
          }
  });

  it('a page that was read still sets D at its first write', () => {
    const rig = newRig();
    layout.map(rig, P | RW | US, P | RW | US);
    expect(access(rig, 3, 'read')).toBe('ok');
    expect(layout.entries(rig)[1] & D).toBe(0);
    expect(access(rig, 3, 'write')).toBe('ok');
    expect(layout.entries(rig)[1] & D).toBe(D);
  });
  it('what the supervisor may do, ring 3 may not because the supervisor just did it', () => {
    const rig = newRig();
    layout.map(rig, P | RW | US, P | RW);
    expect(access(rig, 0, 'write')).toBe('ok');
    expect(access(rig, 3, 'read')).toBe('#PF(5)');
    expect(access(rig, 1, 'read')).toBe('ok');
  });
  it('an access over a page border faults on the page that is missing, and writes nothing', () => {
    const rig = newRig();
    layout.map(rig, P | RW | US, P | RW | US);
    rig.set({ ebx: VA + 0xffe, eax: 0x11223344 });
    rig.write(FRAME + 0xffc, 0x55555555);
    expect(rig.one(code('mov %eax, (%ebx)'))).toBe('#PF(2)');
    expect(rig.cpu.cr2).toBe(VA + 0x1000);
    expect(rig.read(FRAME + 0xffc)).toBe(0x55555555);
  });
  it('system tables are read with supervisor rights from ring 3', () => {
    const rig = newRig();
    layout.map(rig, P | RW | US, P | RW | US);
    // The GDT page becomes the supervisor's.
    const pte = layout.name === 'PAE' ? 0x22008 : 0x21004;
    rig.write(pte, rig.read(pte) & ~US);
    rig.cpu.flushTlb();
    rig.enterRing(3);
    rig.set({ eax: 0x43 });
    expect(rig.one(code('mov %eax, %es'))).toBe('ok');
    rig.write(pte, 0);
    rig.cpu.flushTlb();
    expect(rig.one(code('mov %eax, %es'))).toBe('#PF(0)');
    expect(rig.cpu.cr2).toBe(0x1040);
    expect(rig.one(code('lar %eax, %ecx'))).toBe('#PF(0)');
  });
  it('an exception from ring 3 pushes with supervisor rights, and a missing TSS page is a page fault', () => {
    const rig = newRig();
    layout.map(rig, P | RW | US, P | RW | US);
    const pte = (page: number) => (layout.name === 'PAE' ? 0x22000 + 8 * page : 0x21000 + 4 * page);
    for (const page of [3, 6]) rig.write(pte(page), rig.read(pte(page)) & ~US);
    rig.cpu.flushTlb();
    rig.sink.recording = false;
    rig.enterRing(3);
    rig.cpu.eip = CODE;
    rig.sink.exception(6, -1);
    expect(rig.cpu.eip).toBe(0x10060);
    expect(rig.stack(2)).toBe('8000 23');
    rig.write(pte(TSS >>> 12), 0);
    rig.cpu.flushTlb();
    rig.enterRing(3);
    rig.sink.exception(6, -1);
    expect(rig.sink.log.join()).toBe('triple fault');
  });
  it('a page table entry changed by a store of the guest counts only after INVLPG or a CR3 load', () => {
    const rig = newRig();
    layout.map(rig, P | RW | US, P | RW | US);
    expect(access(rig, 0, 'read')).toBe('ok');
    rig.set({ eax: 0 });
    const at = layout.name === 'PAE' ? '0x23000' : '0x22000';
    expect(rig.one(code(`movl $0, ${at}`))).toBe('ok');
    expect(rig.one(code('invlpg 0x400000'))).toBe('ok');
    expect(access(rig, 0, 'read')).toBe('#PF(0)');
  });
});

describe('page faults and other faults on the way to a handler', () => {
  /** Tables with an IDT that begins a few gates before the end of page 3e and goes on in page 3f. */
  function split(gatesBefore: number): Rig {
    const rig = newRig();
    TWO_LEVEL.map(rig, P | RW | US, P | RW | US);
    const base = 0x3f000 - 8 * gatesBefore;
    for (let word = 0; word < 64; word++) rig.write(base + 4 * word, rig.read(IDT + 4 * word));
    setStateWord(rig.cpu, 'idtrBase', base);
    rig.sink.recording = false;
    rig.cpu.eip = CODE;
    return rig;
  }
  const drop = (rig: Rig, page: number): void => {
    rig.write(0x21000 + 4 * page, 0);
    rig.cpu.flushTlb();
  };
  const vector = (rig: Rig): number => (rig.cpu.eip - HANDLERS) / 16;

  it('a page fault behind a contributory exception is delivered by itself', () => {
    const rig = split(14);
    drop(rig, 0x3e);
    rig.sink.exception(13, 0);
    expect(vector(rig)).toBe(14);
    expect(rig.cpu.cr2).toBe(0x3eff8);
    expect(rig.stack(2)).toBe('0 8000');
  });
  it('a page fault behind a page fault is #DF', () => {
    const rig = split(8);
    drop(rig, 0x3f);
    rig.sink.exception(14, 2);
    expect(rig.sink.log.join()).toBe('triple fault');
    const other = split(9);
    drop(other, 0x3f);
    other.sink.exception(14, 2);
    expect(vector(other)).toBe(8);
    expect(other.stack(2)).toBe('0 8000');
  });
});

describe('PAE: NX and reserved bits', () => {
  it.each(['pde', 'pte'] as const)(
    'NX in the %s forbids fetching in every ring, and nothing else',
    (level) => {
      const nx = { [level]: true };
      const rig = newRig();
      for (const ring of [0, 1, 2, 3]) {
        PAE.map(rig, P | RW | US, P | RW | US, nx);
        rig.cpu.efer = 0x800;
        rig.cpu.flushTlb();
        expect(access(rig, ring, 'read')).toBe('ok');
        expect(access(rig, ring, 'write')).toBe('ok');
        expect(access(rig, ring, 'fetch')).toBe(`#PF(${(0x11 | (ring === 3 ? 4 : 0)).toString(16)})`);
      }
    },
  );
  it('without EFER.NXE the bit is reserved: code bit 3 for any access', () => {
    const rig = newRig();
    for (const kind of ['read', 'write', 'fetch'] as const) {
      PAE.map(rig, P | RW | US, P | RW | US, { pte: true });
      expect(access(rig, 0, kind)).toBe(`#PF(${kind === 'write' ? 'b' : '9'})`);
    }
  });
  it('with NXE a fetch from a page that is not there has code bit 4', () => {
    const rig = newRig();
    PAE.map(rig, P | RW | US, 0);
    rig.cpu.efer = 0x800;
    rig.cpu.flushTlb();
    expect(access(rig, 3, 'fetch')).toBe('#PF(14)');
    expect(access(rig, 3, 'read')).toBe('#PF(4)');
  });
});

describe('restartable rare instructions: a fault in the middle leaves nothing behind', () => {
  /** The stack straddles into a page that is missing. */
  it.each([['pusha'], ['enter $0x40, $4'], ['lcall $0x08, $0x8810'], ['pushf']])('%s', (source) => {
    const rig = newRig();
    TWO_LEVEL.map(rig, P | RW | US, P | RW | US);
    rig.write(0x21000 + 4 * 0x2f, 0);
    rig.write(0x21000 + 4 * 0x2e, 0);
    rig.cpu.flushTlb();
    rig.set({
      esp:
        source === 'pusha'
          ? 0x30010
          : source.startsWith('enter')
            ? 0x30008
            : source === 'pushf'
              ? 0x30000
              : 0x30004,
      ebp: 0x30100,
    });
    rig.cpu.eip = CODE;
    const before = rig.state();
    const frame = rig.read(FRAME);
    expect(rig.one(code(source))).toBe('#PF(2)');
    expect(rig.state()).toBe(before);
    expect(rig.read(FRAME)).toBe(frame);
    expect(rig.cpu.cr2 >>> 12).toBe(0x2f);
  });
  it('IRET whose frame ends in a missing page', () => {
    const rig = newRig();
    TWO_LEVEL.map(rig, P | RW | US, P | RW | US);
    rig.write(0x21000 + 4 * 0x31, 0);
    rig.cpu.flushTlb();
    rig.set({ esp: 0x30ff8 });
    rig.write(0x30ff8, DATA);
    rig.write(0x30ffc, 0x08);
    rig.cpu.eip = CODE;
    const before = rig.state();
    expect(rig.one(code('iret'))).toBe('#PF(0)');
    expect(rig.cpu.cr2).toBe(0x31000);
    expect(rig.state()).toBe(before);
  });
  it('REP INS stops at the page border with the finished elements counted, and goes on after the repair', () => {
    const rig = newRig();
    TWO_LEVEL.map(rig, P | RW | US, P | RW | US);
    let reads = 0;
    rig.ports.add(0x10, 1, { read: () => ++reads, write: () => {} });
    rig.write(0x22004, 0);
    rig.set({ edx: 0x10, edi: VA + 0xffe, ecx: 4 });
    rig.load(code('rep insb'));
    rig.sink.log = [];
    rig.cpu.run(10);
    expect(rig.sink.log.join()).toBe('#PF(2)');
    expect([rig.get('ecx'), rig.get('edi'), reads, rig.cpu.eip]).toEqual([2, VA + 0x1000, 2, CODE]);
    rig.write(0x22004, 0x31000 | P | RW | US);
    rig.cpu.run(2);
    expect([rig.get('ecx'), reads, rig.read(0x31000) & 0xffff]).toEqual([0, 4, 0x0403]);
  });
});
