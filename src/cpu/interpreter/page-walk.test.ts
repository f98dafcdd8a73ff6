/**
 * The generated walk against the one in TypeScript: the same accesses to the same random tables, on one machine by the
 * generated walk first and by TypeScript where that declines, on its twin by TypeScript alone. They must agree on
 * translations and fault codes, on every byte of the tables (A and D), and on every word of the TLB, also after tables
 * have changed and frames have become code.
 */
import { describe, expect, it } from 'vitest';
import { Breakpoints } from '../breakpoints.ts';
import { ACCESS_READ, ACCESS_USER, ACCESS_WRITE } from '../cpu.ts';
import { LinearAccess } from '../linear-access.ts';
import { A, D, P, PageWalker, RW, US } from '../paging.ts';
import { FRAME_HAS_CODE, PhysicalMemory } from '../physical-memory.ts';
import { CR0 } from '../state-words.ts';
import { TlbLog } from '../tlb.ts';
import { type Imports, interpreterFor } from './instantiate.ts';
import * as map from './memory-map.ts';
import { WALK_WRITE } from './page-walk.ts';

const ROOT = 1,
  FIRST_DIRECTORY = 2,
  FIRST_TABLE = 4,
  FIRST_PAGE = 8,
  FRAMES = 256;
/** 1 MiB has no such frame. */
const BEYOND = 0x12345;
const REFUSED: Imports = {
  slowRead: () => 0,
  slowWrite: () => {},
  slowCheck: () => {},
  slowSegment: () => 0,
  fetch: () => 0,
  straddle: () => 0,
  rare: () => 0,
};

interface Mode {
  readonly pae: boolean;
  readonly nx: boolean;
  readonly longMode: boolean;
  readonly user: boolean;
  readonly wp: boolean;
}

class Side {
  readonly memory = new PhysicalMemory(1);
  readonly log = new TlbLog(this.memory);
  readonly walker = new PageWalker(this.memory, this.log);
  readonly linear = new LinearAccess(this.memory, this.log, this.walker, new Breakpoints(this.memory.u32));
  readonly walk = interpreterFor(this.memory).start(REFUSED).walk;

  constructor({ pae, nx, longMode, user, wp }: Mode) {
    const { memory, walker } = this;
    memory.u32[CR0] = 0x80000000;
    memory.u32[map.TLB_BASE >>> 2] = user ? map.TLB_USER : map.TLB_SUPERVISOR;
    Object.assign(walker, { cr3: ROOT * 4096, pae, nx, longMode, wp });
    walker.publish(true, user, 0xffffffff);
    memory.watcher = {
      codeChanged: () => {},
      tableChanged: (maddr, length) => this.log.tableChanged(maddr, length),
    };
  }
  becomesCode(mfn: number): void {
    this.memory.frameFlags[mfn]! |= FRAME_HAS_CODE;
    this.log.dropFrame(mfn);
  }
  /** The four TLB words of a page. */
  tlb(linear: number): number[] {
    return [map.TLB_SUPERVISOR, map.TLB_USER].flatMap((table) =>
      [0, map.TLB_WRITE].map((write) => this.memory.u32[((table + write) >>> 2) + (linear >>> 12)]!),
    );
  }
  tables(): Uint8Array {
    return this.memory.bytes(ROOT * 4096, (FIRST_PAGE - ROOT) * 4096).slice();
  }
}

/** Numbers below a bound, the same in each run. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed * 2654435761 + 1;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 8) % below;
  };
}

/** Both machines, and how to change both in the same way. */
class Twins {
  readonly fast: Side;
  readonly plain: Side;
  private readonly mode: Mode;
  private readonly random: (below: number) => number;
  readonly pages: number[] = [];
  walkedFast = 0;

  constructor(mode: Mode, seed: number) {
    this.mode = mode;
    this.random = randomFrom(seed);
    this.fast = new Side(mode);
    this.plain = new Side(mode);
    const upper = P | RW | US;
    if (mode.pae) {
      for (let i = 0; i < 4; i++) this.entry(ROOT, i, ((FIRST_DIRECTORY + (i & 1)) * 4096) | P, 0);
      for (let i = 0; i < 4; i++)
        for (const at of [0, 7]) this.directoryEntry(FIRST_DIRECTORY + (i & 1), at, upper);
    } else for (const at of [0, 7, 512, 1023]) this.directoryEntry(ROOT, at, upper);
    for (let table = FIRST_TABLE; table < FIRST_PAGE; table++)
      for (let at = 0; at < 12; at++) this.pageEntry(table, at);
    const span = mode.pae ? 0x200000 : 0x400000;
    const bases = mode.pae ? [0, 7 * span, 0x40000000, 0xc0000000] : [0, 7 * span, 512 * span, 1023 * span];
    for (const base of bases) for (let at = 0; at < 12; at++) this.pages.push((base + at * 4096) >>> 0);
  }

  both(act: (side: Side) => void): void {
    act(this.fast);
    act(this.plain);
  }
  private entry(frame: number, at: number, low: number, high: number): void {
    const size = this.mode.pae ? 8 : 4;
    this.both(({ memory }) => {
      memory.write32(frame * 4096 + at * size, low >>> 0);
      if (size === 8) memory.write32(frame * 4096 + at * size + 4, high >>> 0);
    });
  }
  private oneIn(n: number): boolean {
    return this.random(n) === 0;
  }
  /** Rights, A, D and what is ignored; mostly present. */
  private bits(likely: number): number {
    let bits = this.random(0x1000) & ~(P | RW | US);
    for (const bit of [P, RW, US]) if ((likely & bit) !== 0 || !this.oneIn(3)) bits |= bit;
    return this.oneIn(12) ? bits & ~P : bits;
  }
  private high(): number {
    return this.oneIn(10) ? 0x80000000 : this.oneIn(30) ? 1 << this.random(31) : 0;
  }
  private directoryEntry(frame: number, at: number, likely: number): void {
    const table = this.oneIn(25) ? BEYOND : FIRST_TABLE + this.random(FIRST_PAGE - FIRST_TABLE);
    const rights = this.oneIn(4) ? this.bits(0) : this.bits(likely);
    this.entry(frame, at, (table << 12) | rights, this.high());
  }
  private pageEntry(table: number, at: number): void {
    // Some lead to tables, or to nothing.
    const mfn = this.oneIn(8)
      ? this.random(FIRST_PAGE)
      : this.oneIn(20)
        ? BEYOND
        : FIRST_PAGE + this.random(FRAMES - FIRST_PAGE);
    this.entry(table, at, (mfn << 12) | this.bits(P), this.high());
  }

  /** Something that drops entries. */
  disturb(): void {
    switch (this.random(8)) {
      case 0:
        this.both(({ log }) => log.flush());
        break;
      case 1: {
        const mfn = FIRST_PAGE + this.random(40);
        this.both((side) => side.becomesCode(mfn));
        break;
      }
      case 2:
        this.directoryEntry(this.mode.pae ? FIRST_DIRECTORY : ROOT, 0, P | RW | US);
        break;
      default:
        this.pageEntry(FIRST_TABLE + this.random(FIRST_PAGE - FIRST_TABLE), this.random(12));
    }
  }

  /** One access on both sides. @returns what each found */
  access(): { fast: number; plain: number; linear: number } {
    const linear = (this.pages[this.random(this.pages.length)]! + this.random(4096)) >>> 0;
    const write = this.oneIn(2);
    const access = (write ? ACCESS_WRITE : ACCESS_READ) | (this.mode.user ? ACCESS_USER : 0);
    const kind = (this.mode.user ? 2 : 0) + (write ? 1 : 0);
    const found = (side: Side, delta: number): number => {
      if (delta !== 0) return (linear + delta - side.memory.ramBase) >>> 0;
      const maddr = side.linear.access(linear, access);
      return maddr < 0 ? -1000 - side.walker.code : maddr;
    };
    // The walks are asked only where the TLB does not answer.
    const { fast, plain } = this;
    const known = fast.tlb(linear)[kind]!;
    const delta = known !== 0 ? known : fast.walk(linear, write ? WALK_WRITE : 0);
    if (known === 0 && delta !== 0) this.walkedFast++;
    return { fast: found(fast, delta), plain: found(plain, plain.tlb(linear)[kind]!), linear };
  }
}

const MODES = [false, true].flatMap((user) =>
  [false, true].flatMap((wp) =>
    [
      { name: '2-level', pae: false, nx: false, longMode: false },
      { name: 'PAE', pae: true, nx: false, longMode: false },
      { name: 'PAE with NX', pae: true, nx: true, longMode: false },
      { name: 'PAE in long mode', pae: true, nx: true, longMode: true },
    ].map((mode) => ({ ...mode, user, wp })),
  ),
);

describe.each(MODES)('the generated walk, $name, user $user, WP $wp', (mode) => {
  it('finds what the TypeScript walk finds, and leaves the same behind', () => {
    const steps = 600;
    let walkedFast = 0;
    for (let seed = 1; seed <= 4; seed++) {
      const twins = new Twins(mode, seed);
      for (let step = 0; step < steps; step++) {
        if (step % 7 === 6) twins.disturb();
        const { fast, plain, linear } = twins.access();
        expect(fast, `step ${step} of seed ${seed}`).toBe(plain);
        expect(`${twins.fast.tlb(linear)}`).toBe(`${twins.plain.tlb(linear)}`);
        if (step % 30 !== 0) continue;
        expect(`${twins.pages.map((page) => twins.fast.tlb(page))}`).toBe(
          `${twins.pages.map((page) => twins.plain.tlb(page))}`,
        );
        expect(Buffer.compare(twins.fast.tables(), twins.plain.tables())).toBe(0);
      }
      walkedFast += twins.walkedFast;
    }
    // Otherwise it was TypeScript against itself.
    expect(walkedFast).toBeGreaterThan(steps / 4);
  });
});

describe('the generated walk declines', () => {
  /** A page at 0x5000, mapped with all rights and already read: the tables are watched. */
  function mapped(): Side {
    const side = new Side({ pae: false, nx: false, longMode: false, user: false, wp: true });
    side.memory.write32(ROOT * 4096, (FIRST_TABLE << 12) | P | RW | US);
    side.memory.write32(FIRST_TABLE * 4096 + 5 * 4, (9 << 12) | P | RW | US);
    expect(side.linear.access(0x5000, ACCESS_READ)).toBe(9 * 4096);
    side.memory.u32[(map.TLB_SUPERVISOR >>> 2) + 5] = 0;
    return side;
  }
  const pte = FIRST_TABLE * 4096 + 5 * 4;

  it('nothing that is mapped and watched: it fills both entries and sets A and D', () => {
    const side = mapped();
    expect(side.walk(0x5123, WALK_WRITE)).toBe(side.memory.ramBase + 0x4000);
    expect(side.memory.read32(pte) & (A | D)).toBe(A | D);
    expect(side.tlb(0x5000).filter((word) => word !== 0)).toHaveLength(2);
  });
  it('what lies above the limit of flat segments', () => {
    const side = mapped();
    side.walker.publish(true, false, 0x5ffe);
    expect(side.walk(0x5000, 0)).toBe(0);
    side.walker.publish(true, false, 0x5fff);
    expect(side.walk(0x5000, 0)).not.toBe(0);
  });
  it('everything when told so, with paging off or data breakpoints armed', () => {
    const side = mapped();
    side.walker.publish(false, false, 0xffffffff);
    expect(side.walk(0x5000, 0)).toBe(0);
  });
  it('tables that are not watched: a flush forgets that they were', () => {
    const side = mapped();
    side.log.flush();
    expect(side.walk(0x5000, 0)).toBe(0);
  });
  it('stores into frames with code, though reads are filled', () => {
    const side = mapped();
    side.becomesCode(9);
    expect(side.walk(0x5000, WALK_WRITE)).toBe(0);
    expect(side.tlb(0x5000).filter((word) => word !== 0)).toHaveLength(1);
  });
  it('when the log is full; TypeScript then starts it anew', () => {
    const side = mapped();
    side.memory.u32[map.LOG_COUNT >>> 2] = map.LOG_CAPACITY;
    expect(side.walk(0x5000, 0)).toBe(0);
    expect(side.linear.access(0x5000, ACCESS_READ)).toBe(9 * 4096);
    expect(side.memory.u32[map.LOG_COUNT >>> 2]).toBe(0);
    expect(side.linear.access(0x5000, ACCESS_READ)).toBe(9 * 4096);
    expect(side.walk(0x5000, WALK_WRITE)).not.toBe(0);
  });
});
