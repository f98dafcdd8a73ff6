/**
 * A domain that suspended itself goes on anywhere: in a fresh machine, in a smaller one, beside others, in the one
 * that it left. Whatever a file says that is not so, the machine is as before.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { FRAME_SIZE } from '../cpu/physical-memory.ts';
import { audit } from '../xen/audit.ts';
import { toText } from '../xen/toolstack/xenstore-wire.ts';
import { contextOf } from '../xen/vcpu-context-of.ts';
import { type DomainImage, USE_PINNED } from './domain-image.ts';
import { Machine } from './machine.ts';
import { decodePlain, encodePlain } from './plain-values.ts';
import { restoreDomain } from './restore-domain.ts';
import { saveDomain } from './save-domain.ts';
import { packSave, unpackSave } from './save-file.ts';
import { loadLab, saveLab } from './save-lab.ts';
import { Session } from './session.ts';
import { stateHash } from './state-hash.ts';
import { guestFile, MACHINE, request } from './testing/boot.ts';

const SMALL = { ...MACHINE, memoryMiB: 32 };
type Abi = 'x86_32' | 'x86_32p';

function suspended(abi: Abi, commandLine = '', xen: '3.0.2' | 'auto' = 'auto'): Session {
  const session = new Session(SMALL);
  const image = guestFile(`suspend-${abi}.elf`);
  const booted = session.boot(request(image, { memoryMiB: 8, abi, xen, commandLine, name: 'traveller' }));
  if (!booted.ok) throw new Error(booted.error.message);
  session.run({ maxInstructions: 50_000_000 });
  expect(session.machine.domains[0]!.end?.reason).toBe('suspend');
  return session;
}

function saved(session: Session): Uint8Array {
  const file = saveDomain(session.machine, 1);
  if (!file.ok) throw new Error(file.error.message);
  return file.value;
}

/** Runs what the file holds to its end. */
function goOn(machine: Machine, file: Uint8Array): number {
  const restored = restoreDomain(machine, file);
  if (!restored.ok) throw new Error(restored.error.message);
  expect(audit(machine.hv)).toEqual([]);
  for (let i = 0; i < 200 && !machine.ended; i++) machine.run(machine.now + 1e7);
  expect(audit(machine.hv)).toEqual([]);
  return restored.value.domid;
}

describe.each<[Abi, '3.0.2' | 'auto', string]>([
  ['x86_32p', 'auto', ''],
  ['x86_32p', 'auto', 'unpublished'],
  ['x86_32', '3.0.2', ''],
  ['x86_32', '3.0.2', 'unpublished'],
])('a suspended domain (%s, %s, %s)', (abi, xen, commandLine) => {
  let file: Uint8Array;
  let source: Session;
  beforeAll(() => {
    source = suspended(abi, commandLine, xen);
    file = saved(source);
  });

  it('goes on in a fresh machine on other frames, with everything it had', () => {
    let printed = '';
    const machine = new Machine({ ...SMALL, seed: 7, memoryMiB: 16 }, (_domid, bytes) => {
      printed += toText(bytes);
    });
    const domid = goOn(machine, file);
    expect(printed).toContain('7 of 7 mfns differ');
    expect(printed).toContain('suspend: 1 times, 24 checks, all as expected');
    expect(machine.hv.domains[domid]!.end?.reason).toBe('poweroff');
    expect(machine.symbolAt(domid, machine.toolstack.symbolsOf(domid)!.addressOf('guest_main')!)).toBe(
      'guest_main',
    );
  });

  it('goes on beside itself, in the machine that it left', () => {
    const same = loadLab(saveLab(source.machine), () => {});
    if (!same.ok) throw new Error(same.error.message);
    const domid = goOn(same.value, file);
    expect(domid).toBe(2);
    expect(same.value.hv.domains[2]!.end?.reason).toBe('poweroff');
  });

  it('is a function of the file and the machine', () => {
    const [one, two] = [0, 1].map(() => {
      const machine = new Machine({ ...SMALL, seed: 3 }, () => {});
      goOn(machine, file);
      return stateHash(machine);
    });
    expect(one).toBe(two);
  });

  it('names no frame of the machine that it left', () => {
    const { image, pages } = open(file);
    expect(image.pfns.length).toBe(2048);
    const limit = image.p2mSize;
    const entry = abi === 'x86_32p' ? 8 : 4;
    let entries = 0;
    for (const [i, pfn] of image.pfns.entries()) {
      const table = pages.get(pfn);
      if ((image.uses[i]! & ~USE_PINNED) === 0 || !table) continue;
      const view = new DataView(table.buffer, table.byteOffset);
      const l3 = (image.uses[i]! & ~USE_PINNED) === 3;
      for (let at = 0; at < (l3 ? 32 : FRAME_SIZE); at += entry) {
        const low = view.getUint32(at, true);
        if (!(low & 1)) continue;
        entries++;
        expect(low >>> 12).toBeLessThan(limit);
      }
    }
    expect(entries).toBeGreaterThan(2048);
  });
});

describe('saving a domain', () => {
  it('is refused while it runs, when it ended otherwise, and when there is none', () => {
    const session = new Session(SMALL);
    session.boot(request(guestFile('hello-x86_32p.elf'), { memoryMiB: 8 }));
    session.machine.run(10_000);
    const why = (domid: number) => {
      const file = saveDomain(session.machine, domid);
      return file.ok ? null : file.error.message;
    };
    expect(why(1)).toMatch(/has not suspended itself/);
    session.run({});
    expect(why(1)).toMatch(/ended by poweroff/);
    expect(why(5)).toMatch(/there is none/);
  });

  it('is refused when the guest broke its own p2m', () => {
    const { machine } = suspended('x86_32p', 'unpublished');
    const { hv } = machine;
    const p2m = open(saved({ machine } as Session)).image.p2mPages[0]!;
    const mfn = Array.from({ length: hv.frames.heapStart }, (_, m) => m).find(
      (m) => hv.frames.owner[m] === 1 && hv.m2p.get(m) === p2m,
    )!;
    const first = hv.memory.read32(mfn * FRAME_SIZE + 400);
    hv.memory.write32(mfn * FRAME_SIZE + 404, first);
    const file = saveDomain(machine, 1);
    expect(file.ok ? '' : file.error.code).toBe('not-saveable');
  });
});

describe('a context taken of a vcpu', () => {
  it('brings back the registers, the FPU, traps and callbacks', () => {
    const source = suspended('x86_32p').machine;
    const before = contextOf(source.hv, source.domains[0]!.vcpus[0]!);
    const machine = new Machine({ ...SMALL, seed: 9 }, () => {});
    const restored = restoreDomain(machine, saved({ machine: source } as Session));
    expect(restored.ok).toBe(true);
    const after = contextOf(machine.hv, machine.hv.domains[1]!.vcpus[0]!);
    const view = new DataView(before.buffer);
    view.setUint32(516 + 24, 0, true); // EAX: what the hypercall answers
    view.setUint32(2716 + 12, new DataView(after.buffer).getUint32(2716 + 12, true), true); // CR3: another frame
    expect(after).toEqual(before);
  });
});

/** The parts of a file. */
function open(file: Uint8Array): { image: DomainImage; pages: Map<number, Uint8Array> } {
  const sections = unpackSave(file, 'DOM ', ['DOMA', 'PAGE']);
  if (!sections.ok) throw new Error(sections.error.message);
  const section = sections.value.get('PAGE')!;
  const view = new DataView(section.buffer, section.byteOffset);
  const count = view.getUint32(0, true);
  const pages = new Map<number, Uint8Array>();
  for (let i = 0; i < count; i++) {
    const from = 4 + 4 * count + FRAME_SIZE * i;
    pages.set(view.getUint32(4 + 4 * i, true), section.slice(from, from + FRAME_SIZE));
  }
  return { image: decodePlain(sections.value.get('DOMA')!) as DomainImage, pages };
}

function close(image: DomainImage, pages: Map<number, Uint8Array>): Uint8Array {
  const section = new Uint8Array(4 + pages.size * (4 + FRAME_SIZE));
  const view = new DataView(section.buffer);
  view.setUint32(0, pages.size, true);
  for (const [i, [pfn, bytes]] of [...pages].entries()) {
    view.setUint32(4 + 4 * i, pfn, true);
    section.set(bytes, 4 + 4 * pages.size + FRAME_SIZE * i);
  }
  return packSave('DOM ', { DOMA: encodePlain(image), PAGE: section });
}

describe('a domain file that is not what it says', () => {
  let file: Uint8Array;
  beforeAll(() => {
    file = saved(suspended('x86_32p'));
  });

  /** With right checksums, and one lie. @returns the refusal; the machine must be untouched by it. */
  function lie(change: (image: DomainImage, pages: Map<number, Uint8Array>) => void): string | null {
    const { image, pages } = open(file);
    change(image, pages);
    const machine = new Machine({ ...SMALL, seed: 5 }, () => {});
    const free = machine.hv.frames.freeFrames;
    const restored = restoreDomain(machine, close(image, pages));
    expect(audit(machine.hv)).toEqual([]);
    if (restored.ok) return null;
    expect(machine.domains).toEqual([]);
    expect(machine.hv.frames.freeFrames).toBe(free);
    return `${restored.error.code}: ${restored.error.message}`;
  }
  const tableOf = (image: DomainImage, type: number) =>
    image.pfns[image.uses.findIndex((use) => (use & ~USE_PINNED) === type)]!;

  it('is accepted when nothing was changed', () => {
    expect(lie(() => {})).toBeNull();
  });
  it('maps a page that does not exist', () => {
    const why = lie((image, pages) => {
      new DataView(pages.get(tableOf(image, 1))!.buffer).setUint32(8, 0xfffff_001 >>> 0, true);
    });
    expect(why).toMatch(/bad-contents: .*has no page/);
  });
  it('maps a page table writable', () => {
    const why = lie((image, pages) => {
      const l1 = tableOf(image, 1);
      const table = new DataView(pages.get(l1)!.buffer);
      table.setUint32(0, ((l1 << 12) | 0x63) >>> 0, true);
      table.setUint32(4, 0, true);
    });
    expect(why).toMatch(/bad-contents: .*is refused/);
  });
  it('calls an ordinary page a root table', () => {
    const why = lie((image) => {
      image.vcpus[0]!.rootPfn = image.startInfoPfn;
    });
    expect(why).toMatch(/context of vcpu 0 is refused/);
  });
  it('names pages twice, out of range, or without a place', () => {
    expect(lie((image) => (image.pfns[1] = image.pfns[0]!))).toMatch(/bad-contents/);
    expect(lie((image) => (image.p2mSize = 100))).toMatch(/bad-contents/);
    expect(lie((image) => (image.startInfoPfn = 0x7_ffff))).toMatch(/has no page/);
  });
  it('has a context of another size, or no vcpu', () => {
    expect(lie((image) => (image.vcpus[0]!.context = new Uint8Array(8)))).toMatch(/context of another size/);
    expect(lie((image) => (image.vcpus = []))).toMatch(/no vcpus/);
  });
  it('does not fit into the machine', () => {
    const machine = new Machine({ ...SMALL, memoryMiB: 8 }, () => {});
    const restored = restoreDomain(machine, file);
    expect(restored.ok ? null : restored.error.code).toBe('no-memory');
  });
  it('is a saved lab, or was cut', () => {
    const machine = new Machine(SMALL, () => {});
    const lab = restoreDomain(machine, saveLab(machine));
    expect(lab.ok ? null : lab.error.code).toBe('wrong-kind');
    const cut = restoreDomain(machine, file.subarray(0, file.length - 1));
    expect(cut.ok ? null : cut.error.code).toBe('truncated');
  });
});
