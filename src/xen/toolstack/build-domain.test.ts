/** The builder against boot.md: what a new domain finds in its memory, registers and books. */
import { describe, expect, it } from 'vitest';
import { ESI, ESP, FIELDS } from '../../cpu/layout.ts';
import { Machine } from '../../machine/machine.ts';
import { guestFile, MACHINE, request } from '../../machine/testing/boot.ts';
import { readStruct } from '../abi/struct.ts';
import { start_info } from '../abi/structs.ts';
import { audit } from '../audit.ts';
import { FRAME_PINNED, TYPE_l1, TYPE_l2, TYPE_l3 } from '../frames.ts';
import type { BuildRequest } from './build-domain.ts';
import { buildElf, joined, note, text } from './testing/elf-builder.ts';

function build(image: Uint8Array, more: Partial<BuildRequest> = {}) {
  const machine = new Machine(MACHINE, () => {});
  const started = machine.addDomain(request(image, more));
  if (!started.ok) throw new Error(started.error.message);
  const { hv } = machine;
  const domain = hv.domains[started.value.domid]!;
  const vcpu = domain.vcpus[0]!;
  const state = new DataView(vcpu.saved.buffer, vcpu.saved.byteOffset);
  const register = (index: number) => state.getUint32(FIELDS.gpr.offset + index * 4, true);
  /** A frame's entry: [mfn, flags], null if not present. */
  const entry = (table: number, index: number): [number, number] | null => {
    const low = hv.memory.read32(table * 4096 + index * domain.entryBytes);
    return low & 1 ? [low >>> 12, low & 0xfff] : null;
  };
  /** Walks the domain's tables: leaf [mfn, flags] at va, null if not mapped. */
  const leaf = (va: number): [number, number] | null => {
    if (domain.entryBytes === 4) {
      const l2e = entry(vcpu.rootMfn, va >>> 22);
      return l2e && entry(l2e[0], (va >>> 12) & 1023);
    }
    const l3e = entry(vcpu.rootMfn, va >>> 30);
    const l2e = l3e && entry(l3e[0], (va >>> 21) & 511);
    return l2e && entry(l2e[0], (va >>> 12) & 511);
  };
  const read32 = (va: number) => hv.memory.read32(leaf(va)![0] * 4096 + (va & 4095));
  const startInfoVa = register(ESI);
  const info = readStruct(start_info, hv.memory.view, 0x800_0000 + leaf(startInfoVa)![0] * 4096);
  return { machine, hv, domain, vcpu, register, state, leaf, read32, startInfoVa, info, entry };
}

describe.each([
  ['x86_32', guestFile('hello-x86_32.elf'), '3.0.2'],
  ['x86_32p', guestFile('hello-x86_32p.elf'), '4.17'],
] as const)('a new %s domain', (abi, image, personality) => {
  const built = build(image, { memoryMiB: 8, commandLine: 'a=1 b' });
  const { hv, domain, vcpu, info, leaf, read32, startInfoVa, register } = built;

  it('gets its ABI, hypervisor and memory', () => {
    expect(domain).toMatchObject({ id: 1, abi, personality, totalFrames: 2048, paused: false });
    expect(info.nr_pages).toBe(2048);
  });
  it('is told about itself in start_info, to which ESI points', () => {
    const magic = abi === 'x86_32' ? 'xen-3.0-x86_32\0' : 'xen-3.0-x86_32p\0';
    for (const [i, c] of [...magic].entries()) expect(read32(startInfoVa + i) & 255).toBe(c.charCodeAt(0));
    for (const [i, c] of [...'a=1 b\0'].entries())
      expect(read32(startInfoVa + 80 + i) & 255).toBe(c.charCodeAt(0));
    expect(info).toMatchObject({
      shared_info: domain.sharedInfoMfn * 4096,
      flags: 0,
      mod_start: 0,
      mod_len: 0,
    });
    expect(info).toMatchObject({ store_evtchn: 1, console_evtchn: 2 });
    expect([info.store_mfn, info.console_mfn]).toEqual([
      leaf(startInfoVa + 4096)![0],
      leaf(startInfoVa + 8192)![0],
    ]);
  });
  it('finds its p2m list filled and the M2P agreeing', () => {
    for (let pfn = 0; pfn < 2048; pfn++) {
      const mfn = read32(info.mfn_list + pfn * 4);
      expect(hv.frames.owner[mfn]).toBe(1);
      expect(hv.m2p.get(mfn)).toBe(pfn);
    }
  });
  it('has everything up to a 4 MiB boundary mapped by its p2m, tables read-only, the rest writable', () => {
    const base = 0xc000_0000;
    let va = base;
    for (; leaf(va); va += 4096) {
      const [mfn, flags] = leaf(va)!;
      const isTable = va >= info.pt_base && va < info.pt_base + info.nr_pt_frames * 4096;
      expect(mfn).toBe(read32(info.mfn_list + ((va - base) >> 12) * 4));
      expect(flags & ~0x60).toBe(isTable ? 0x001 : 0x003);
    }
    expect(va % (4 << 20)).toBe(0);
    expect(va - (register(ESP) >>> 0)).toBeGreaterThanOrEqual(512 * 1024);
  });
  it('stands at its entry with flat selectors, the stack behind its tables, events masked', () => {
    expect(vcpu).toMatchObject({
      initialised: true,
      down: false,
      kernelSs: 0xe021,
      kernelEsp: register(ESP),
    });
    expect(register(ESP)).toBe(info.pt_base + (info.nr_pt_frames + 1) * 4096);
    const selectors = [0, 1, 2, 3, 4, 5].map((i) =>
      built.state.getUint32(FIELDS.segSelector.offset + i * 4, true),
    );
    expect(selectors).toEqual([0xe021, 0xe019, 0xe021, 0xe021, 0xe021, 0xe021]);
    for (let i = 0; i < 32; i++) expect(hv.memory.read8(domain.sharedInfoMfn * 4096 + i * 64 + 1)).toBe(1);
    expect(hv.memory.read8(domain.sharedInfoMfn * 4096)).toBe(0);
  });
  it('has its root pinned, its tables typed, and books in order', () => {
    const { type, flags } = hv.frames;
    expect(type[vcpu.rootMfn]).toBe(abi === 'x86_32' ? TYPE_l2 : TYPE_l3);
    expect(flags[vcpu.rootMfn]! & FRAME_PINNED).toBeTruthy();
    expect(type[leaf(info.pt_base + (info.nr_pt_frames - 1) * 4096)![0]]).toBe(TYPE_l1);
    expect(audit(hv)).toEqual([]);
  });
  it('finds its nodes in the xenstore', () => {
    const { store } = built.machine.toolstack;
    const home = '/local/domain/1';
    expect(store.read(`${home}/domid`)).toBe('1');
    expect(store.read(`${home}/memory/target`)).toBe('8192');
    expect(store.read(`${home}/console/ring-ref`)).toBe(String(info.console_mfn));
    expect(store.read(`${home}/store/port`)).toBe('1');
    expect(store.read(`${home}/cpu/0/availability`)).toBe('online');
  });
});

const kernel = new Uint8Array(0x3000).fill(0xf4);
const low = buildElf({
  entry: 0x1000,
  segments: [
    { paddr: 0x1000, bytes: kernel, memSize: 0x5000 },
    {
      type: 4,
      paddr: 0,
      bytes: joined(note(5, 'xen-3.0'), note(8, 'generic'), note(3, 0), note(2, 0x2000), note(9, 'yes')),
    },
  ],
});

describe('an image that lives below 0xC0000000', () => {
  const built = build(low, { memoryMiB: 16 });
  it('gets an empty L2 for slot 3, which the hypervisor needs, and none for slots 1 and 2', () => {
    const slots = [0, 1, 2, 3].map((slot) => built.entry(built.vcpu.rootMfn, slot) !== null);
    expect(slots).toEqual([true, false, false, true]);
    expect(built.info.nr_pt_frames).toBe(1 + 2 + 2);
    expect(audit(built.hv)).toEqual([]);
  });
  it('has its bytes at p_paddr, zeros behind them and before them', () => {
    expect(built.read32(0x0ffc)).toBe(0);
    expect(built.read32(0x1000)).toBe(0xf4f4_f4f4);
    expect(built.read32(0x4000)).toBe(0);
  });
  it('has its hypercall page filled: mov eax, n; int 82; ret', () => {
    expect(built.read32(0x2000 + 17 * 32)).toBe(0x0000_11b8);
    expect(built.read32(0x2000 + 17 * 32 + 4) >>> 8).toBe(0xc3_82cd);
    expect(built.read32(0x2000 + 23 * 32) & 0xff).toBe(0x50);
  });
});

describe('a ramdisk', () => {
  it('lies mapped behind the kernel and is named in start_info', () => {
    const ramdisk = Uint8Array.from({ length: 9000 }, (_, i) => i * 7);
    const { info, read32 } = build(low, { memoryMiB: 16, ramdisk });
    expect(info.mod_start).toBe(0x6000);
    expect(info.mod_len).toBe(9000);
    for (let i = 0; i < 9000; i += 4) expect(read32(info.mod_start + i) & 255).toBe(ramdisk[i]);
  });
});

describe('the initial domain', () => {
  const built = build(guestFile('hello-x86_32p.elf'), { memoryMiB: 16, privileged: true });
  it('is domain 0, privileged, without console and xenstore rings', () => {
    expect(built.domain).toMatchObject({ id: 0, privileged: true, consolePort: 0, storePort: 0 });
    expect(built.info).toMatchObject({
      flags: 3,
      store_mfn: 0,
      store_evtchn: 0,
      console_mfn: 0,
      console_evtchn: 0,
    });
    expect(audit(built.hv)).toEqual([]);
  });
  it('must be the first', () => {
    const machine = new Machine(MACHINE, () => {});
    machine.addDomain(request(guestFile('hello-x86_32p.elf'), { memoryMiB: 8 }));
    const second = machine.addDomain(
      request(guestFile('hello-x86_32p.elf'), { memoryMiB: 8, privileged: true }),
    );
    expect(second).toMatchObject({ ok: false, error: { code: 'domain-zero-not-first' } });
  });
});

describe('a request that cannot be met leaves nothing behind', () => {
  it.each<[string, Uint8Array, Partial<BuildRequest>, string]>([
    ['too little memory', low, { memoryMiB: 1 }, 'memory-too-small'],
    ['more than the machine has', low, { memoryMiB: 300 }, 'memory-too-big'],
    ['no size at all', low, { memoryMiB: 0 }, 'bad-memory-size'],
    ['no whole number of pages', low, { memoryMiB: 4.0001 }, 'bad-memory-size'],
    ['no virtual CPU', low, { vcpus: 0 }, 'bad-vcpu-count'],
    ['33 of them', low, { vcpus: 33 }, 'bad-vcpu-count'],
    ['a ramdisk too big', low, { memoryMiB: 8, ramdisk: new Uint8Array(8 << 20) }, 'ramdisk-too-big'],
    ['a command line too long', low, { commandLine: 'é'.repeat(512) }, 'command-line-too-long'],
    ['the wrong ABI', low, { abi: 'x86_32' }, 'wrong-abi'],
    ['no image', text('no'), {}, 'not-an-elf'],
  ])('%s', (_, image, more, code) => {
    const machine = new Machine(MACHINE, () => {});
    const free = machine.hv.frames.freeFrames;
    expect(machine.addDomain(request(image, more))).toMatchObject({ ok: false, error: { code } });
    expect(machine.hv.frames.freeFrames).toBe(free);
    expect(machine.domains).toEqual([]);
  });
});

describe('a domain that is gone', () => {
  it('leaves no frame, no node and no port behind, and its number is free', () => {
    const machine = new Machine(MACHINE, () => {});
    const free = machine.hv.frames.freeFrames;
    const heap = machine.hv.frames.freeHeapFrames;
    for (let i = 0; i < 3; i++) {
      expect(machine.addDomain(request(low, { memoryMiB: 16 }))).toMatchObject({
        ok: true,
        value: { domid: 1 },
      });
      machine.run(machine.now + 1_000_000);
      machine.destroyDomain(1);
      expect(audit(machine.hv)).toEqual([]);
    }
    expect(machine.hv.frames.freeFrames).toBe(free);
    expect(machine.hv.frames.freeHeapFrames).toBe(heap);
    expect(machine.toolstack.store.list('/local/domain')).toEqual(['0']);
    expect(machine.toolstack.store.list('/vm')).toEqual([]);
  });
});
