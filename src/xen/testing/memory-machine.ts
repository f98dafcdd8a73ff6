/**
 * A machine for tests of the memory model: the real frame table, M2P, guest access and rules over a processor that
 * only translates addresses, by walking the tables as the manual says, without a TLB. Tables are written as text:
 *
 *   L2 root: 0 -> t rw us, 5 -> root
 *   L1 t:    0 -> page rw, 1 -> t, 2 -> m12c rw
 *
 * A name that is new is given a frame of the domain; `mHEX` is a frame by number. An entry is P and its flags
 * (rw us pwt pcd a d ps g nx; p: nothing more, none: not present).
 */
import { ACCESS_FETCH, ACCESS_USER, ACCESS_WRITE, type Processor } from '../../cpu/cpu.ts';
import { FRAME_SIZE, PhysicalMemory } from '../../cpu/physical-memory.ts';
import { audit } from '../audit.ts';
import { beginPart, Continuation } from '../continuation.ts';
import { DEFAULT_COSTS } from '../costs.ts';
import { Domain, type DomainConfig } from '../domain.ts';
import { allocateDomainFrame, domainMemory } from '../domain-memory.ts';
import { FRAME_PINNED, FrameTable, type FrameTableOptions, typeName } from '../frames.ts';
import { GuestAccess } from '../guest-access.ts';
import type { Caller, HypercallRow } from '../hypercalls/row.ts';
import type { Hypervisor } from '../hypervisor.ts';
import { M2p } from '../m2p.ts';
import { PTE_NX, readHigh, readLow } from '../page-table-entries.ts';
import { type Abi, HOLE_START, type Personality } from '../personality.ts';
import { PhysicalCpu } from '../physical-cpus.ts';
import { Trace } from '../trace.ts';
import { undoAll } from '../validate.ts';
import { Vcpu } from '../vcpu.ts';

const FLAG_BITS: Record<string, number> = {
  p: 0,
  rw: 2,
  us: 4,
  pwt: 8,
  pcd: 16,
  a: 32,
  d: 64,
  ps: 128,
  g: 256,
};

/** xorshift32: the tests' own generator. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
}

/** The parts of a processor that the memory model uses. */
function fakeProcessor(memory: PhysicalMemory, domainOf: () => Domain | null) {
  const gpr = new Uint32Array(8);
  const cpu = {
    memory,
    cr2: 0,
    cr3: 0,
    cpl: 1,
    eip: 0x1000,
    eflags: 0x202,
    efer: 0x800,
    cycles: 0,
    retired: 0,
    tlbFlushes: 0,
    pageFlushes: [] as number[],
    translateFault: { code: 0, linear: 0 },
    getReg: (index: number) => gpr[index]!,
    setReg: (index: number, value: number) => {
      gpr[index] = value;
    },
    getSegmentBase: () => 0,
    getSegmentLimit: () => 0xffff_ffff,
    getSegmentAccess: (segment: number) => (segment === 1 ? 0x40ba00 : 0x40b200),
    charge(cycles: number) {
      cpu.cycles += cycles;
    },
    advanceTo(cycle: number) {
      cpu.cycles = cycle;
    },
    now: () => cpu.cycles,
    retire() {
      cpu.retired++;
    },
    flushTlb() {
      cpu.tlbFlushes++;
    },
    flushTlbPage(linear: number) {
      cpu.pageFlushes.push(linear);
    },
    tableEntryChanged() {},
    requestExit() {},
    translate(linear: number, access: number): number {
      const domain = domainOf();
      let rights = 2 | 4;
      let table = cpu.cr3;
      let level = domain?.entryBytes === 4 ? 2 : 3;
      for (; level > 0 && domain !== null; level--) {
        const pae = domain.entryBytes === 8;
        const shift = 12 + (level - 1) * (pae ? 9 : 10);
        const at = table + ((linear >>> shift) & (pae ? 511 : 1023)) * domain.entryBytes;
        const low = readLow(memory, at);
        const nx = pae && readHigh(memory, at, 8) & PTE_NX && access & ACCESS_FETCH;
        if (!(low & 1) || nx) return fail(linear, access, low & 1);
        // The legacy PAE L3 entry has no rights of its own.
        if (level < 3) rights &= low;
        table = low & 0xffff_f000;
        table >>>= 0;
      }
      if (
        domain === null ||
        (access & ACCESS_WRITE && !(rights & 2)) ||
        (access & ACCESS_USER && !(rights & 4))
      ) {
        return fail(linear, access, 1);
      }
      return table + (linear & 4095);
    },
    peekTranslate: (linear: number): number => cpu.translate(linear, 0),
  };
  function fail(linear: number, access: number, present: number): number {
    cpu.translateFault.linear = linear;
    cpu.translateFault.code = access | present;
    return -1;
  }
  return cpu;
}

export class MemoryMachine {
  readonly hv: Hypervisor;
  readonly cpu: ReturnType<typeof fakeProcessor>;

  constructor(options: { mib?: number; seed?: number } & Partial<FrameTableOptions> = {}) {
    const memory = new PhysicalMemory(options.mib ?? 2);
    const random = randomFrom(options.seed ?? 1);
    const frames = new FrameTable(memory, { random, ...options });
    const cpu = fakeProcessor(memory, () => this.hv.current?.domain ?? null);
    this.cpu = cpu;
    const processor = cpu as unknown as Processor;
    const hv: Partial<Hypervisor> = {
      memory,
      cpu: processor,
      frames,
      m2p: new M2p(memory, frames),
      costs: DEFAULT_COSTS,
      continuation: new Continuation(),
      guest: new GuestAccess(memory, processor),
      domains: [],
      current: null,
      pcpus: [new PhysicalCpu(0)],
      turn: 0,
      trace: new Trace(64),
      hooks: {
        consoleIo() {},
        consoleRead: () => new Uint8Array(),
        serialOut: () => {},
        toolstackEvent() {},
        domainEnded() {},
      },
      running: true,
      lastRefusal: null,
      returnPathDue: false,
      random,
      now: () => cpu.cycles,
      dropRunning() {
        this.current = null;
      },
    };
    this.hv = hv as Hypervisor;
  }

  /** A domain with one vcpu and `frames` frames, M2P set to 0, 1, 2 ... */
  domain(
    abi: Abi = 'x86_32',
    options: {
      personality?: Personality;
      frames?: number;
      privileged?: boolean;
      id?: number;
      vcpus?: number;
    } = {},
  ): Guest {
    const config: DomainConfig = {
      name: 'test',
      abi,
      personality: options.personality ?? (abi === 'x86_32' ? '3.0.2' : '4.17'),
      privileged: options.privileged ?? false,
      vcpus: options.vcpus ?? 1,
      maxFrames: options.frames ?? 32,
      commandLine: '',
    };
    let id = options.id ?? 1;
    while (this.hv.domains[id]) id++;
    const domain = new Domain(id, config, HOLE_START[abi]);
    (this.hv.domains as (Domain | undefined)[])[id] = domain;
    for (let i = 0; i < config.vcpus; i++) domain.vcpus.push(new Vcpu(domain, i));
    domain.sharedInfoMfn = domainMemory.allocateShared(this.hv, domain);
    return new Guest(this, domain);
  }

  /** All books agree: throws their disagreements otherwise. */
  check(): void {
    const wrong = audit(this.hv);
    if (wrong.length > 0) throw new Error(`audit:\n${wrong.join('\n')}`);
  }
}

export class Guest {
  readonly machine: MemoryMachine;
  readonly domain: Domain;
  readonly names = new Map<string, number>();

  constructor(machine: MemoryMachine, domain: Domain) {
    this.machine = machine;
    this.domain = domain;
  }
  get hv(): Hypervisor {
    return this.machine.hv;
  }
  get vcpu(): Vcpu {
    return this.domain.vcpus[0]!;
  }

  /** The frame of a name; a new name gets a frame of the domain. */
  mfn(name: string): number {
    const literal = /^m([0-9a-f]+)$/.exec(name);
    if (literal) return Number.parseInt(literal[1]!, 16);
    const known = this.names.get(name);
    if (known !== undefined) return known;
    const mfn = allocateDomainFrame(this.hv, this.domain);
    if (mfn < 0) throw new Error(`no frame left for ${name}`);
    this.hv.m2p.set(mfn, this.names.size);
    this.names.set(name, mfn);
    return mfn;
  }
  /** Machine address of an entry. */
  at(name: string, index: number): number {
    return this.mfn(name) * FRAME_SIZE + index * this.domain.entryBytes;
  }
  /** An entry as words: "page rw". */
  entry(text: string): { low: number; high: number } {
    const [name, ...flags] = text.trim().split(/\s+/);
    if (name === 'none') return { low: 0, high: 0 };
    let low = (this.mfn(name!) << 12) | 1;
    let high = 0;
    for (const flag of flags) {
      if (flag === 'nx') high = (high | PTE_NX) >>> 0;
      else if (flag in FLAG_BITS) low |= FLAG_BITS[flag]!;
      else throw new Error(`unknown flag ${flag}`);
    }
    return { low: low >>> 0, high };
  }
  /** Writes tables as the guest would while the frames are still its ordinary memory. */
  write(text: string): this {
    for (const line of text.split('\n')) {
      const match = /^\s*L[123] (\w+):(.*)$/.exec(line);
      if (!match) {
        if (line.trim() === '') continue;
        throw new Error(`not a table: ${line}`);
      }
      for (const part of match[2]!.split(',')) {
        if (part.trim() === '') continue;
        const [index, value] = part.split('->');
        const { low, high } = this.entry(value!);
        const at = this.at(match[1]!, Number(index));
        this.hv.memory.write32(at, low);
        if (this.domain.entryBytes === 8) this.hv.memory.write32(at + 4, high);
      }
    }
    return this;
  }
  /** What the books say: "L1 uses 2 refs 3 pinned". */
  books(name: string): string {
    const mfn = this.mfn(name);
    const { frames } = this.hv;
    const count = frames.typeCount[mfn]!;
    const type = count === 0 ? 'none' : `${typeName(frames.type[mfn]!)} uses ${count}`;
    return `${type} refs ${frames.references[mfn]}${frames.flags[mfn]! & FRAME_PINNED ? ' pinned' : ''}`;
  }

  /** Puts vcpu 0 on the processor. */
  run(): this {
    this.hv.current = this.vcpu;
    this.machine.cpu.cr3 = this.vcpu.rootMfn * FRAME_SIZE;
    return this;
  }
  /** A hypercall of vcpu 0, then the audit. */
  call(row: HypercallRow, ...args: number[]): number {
    this.run();
    const caller: Caller = { hv: this.hv, domain: this.domain, vcpu: this.vcpu };
    const registers = new Uint32Array(6);
    registers.set(args);
    const { continuation } = this.hv;
    beginPart(continuation, Number.POSITIVE_INFINITY);
    let result = row.run!(caller, registers);
    for (undoAll(this.hv, this.domain); continuation.wanted; undoAll(this.hv, this.domain)) {
      continuation.wanted = false;
      result = row.run!(caller, registers);
    }
    this.machine.check();
    return result;
  }
  /** The last refusal's reason. */
  because(): string {
    return this.vcpu.refusals.at(-1)?.because ?? '';
  }
}
