import { describe, expect, it } from 'vitest';
import { EFAULT, EINVAL } from './abi/errno.ts';
import { audit } from './audit.ts';
import { PART_CYCLES } from './continuation.ts';
import type { Costs } from './costs.ts';
import { DOMID_SELF } from './domain.ts';
import { allocateDomainFrame } from './domain-memory.ts';
import { LIST, type LongCallOptions, LongCalls, MIRRORS } from './testing/long-calls.ts';
import { traceText } from './trace-text.ts';

const MMU_UPDATE = 1;
const MEMORY_OP = 12;
const MULTICALL = 13;
const CONSOLE_IO = 18;
const GRANT_TABLE_OP = 20;
const MMUEXT_OP = 26;
const RESUMED = 0x8000_0000;
const MACHPHYS_UPDATE = 1;
const PIN_L2_TABLE = 1;
const UNPIN_TABLE = 4;
const TLB_FLUSH_LOCAL = 6;
const INVLPG_LOCAL = 7;
/** What a part takes beyond PART_CYCLES: its last entry, an upcall, a switch. */
const LAST_ENTRY = 10_000;
const LONGEST = PART_CYCLES + LAST_ENTRY;

const FLAVOURS: readonly (LongCallOptions & { name: string })[] = [
  { name: '2-level 3.0.2', abi: 'x86_32', personality: '3.0.2' },
  { name: 'PAE 3.0.2', abi: 'x86_32p', personality: '3.0.2' },
  { name: 'PAE 4.17', abi: 'x86_32p', personality: '4.17' },
];

/** The page that all mirrors show, full of one entry. */
function fillMirror(guest: LongCalls, words: readonly number[]): void {
  for (let at = 0; at + 4 * words.length <= 4096; at += 4 * words.length) guest.put(MIRRORS + at, ...words);
}

function setCosts(guest: LongCalls, costs: Partial<Costs>): void {
  (guest.hv as { costs: Costs }).costs = { ...guest.hv.costs, ...costs };
}

/** A call that would take minutes: slices end on time, a timer comes in between, and nothing depends on the slices. */
function isCutUp(make: () => LongCalls, number: number, args: readonly number[]): void {
  const states = [5_000, 333_333].map((slice) => {
    const guest = make();
    guest.timerIn(350_000);
    guest.begin(number, ...args);
    const end = guest.hv.now() + 1_000_000;
    while (guest.hv.now() < end)
      expect(guest.run(Math.min(slice, end - guest.hv.now()))).toBeLessThan(LONGEST);
    expect(guest.domain.end).toBeNull();
    expect(guest.isDone).toBe(false);
    expect(guest.upcalls).toBe(1);
    expect(guest.interruptedAtCall).toBe(true);
    expect(guest.registers()[0]).toBe(number);
    return [guest.hv.now(), guest.hv.cpu.instructions, guest.registers()];
  });
  expect(states[1]).toEqual(states[0]);
}

describe.each(FLAVOURS)('a long call is met again, $name', (options) => {
  const modern = options.personality === '4.17';
  const make = (more: Partial<LongCallOptions> = {}) => new LongCalls({ ...options, ...more });

  it('an endless mmu_update', () => {
    isCutUp(
      () => {
        const guest = make();
        fillMirror(guest, [guest.mirror * 4096 + MACHPHYS_UPDATE, 0, 77, 0]);
        return guest;
      },
      MMU_UPDATE,
      [MIRRORS, 2 ** 26, 0, DOMID_SELF],
    );
  });

  it('an endless mmuext_op, of entries that take no time as well', () => {
    for (const cmd of [TLB_FLUSH_LOCAL, INVLPG_LOCAL, 3]) {
      isCutUp(
        () => {
          const guest = make();
          // 12 bytes do not divide a page: the entries must be the same at any multiple of 4.
          fillMirror(guest, [cmd]);
          return guest;
        },
        MMUEXT_OP,
        [MIRRORS, 2 ** 26, 0, DOMID_SELF],
      );
    }
  });

  it('an endless multicall, also of long calls', () => {
    isCutUp(
      () => {
        const guest = make();
        fillMirror(guest, [3, 0, 0xe021, LIST, 0, 0, 0, 0]);
        return guest;
      },
      MULTICALL,
      [MIRRORS, 2 ** 24],
    );
    isCutUp(
      () => {
        const guest = make();
        // One entry in the list; what it works on is the mirror.
        fillMirror(guest, [guest.mirror * 4096 + MACHPHYS_UPDATE, 0, 77, 0]);
        guest.put(LIST, MMU_UPDATE, 0, MIRRORS, 2 ** 26, 0, DOMID_SELF, 0, 0);
        return guest;
      },
      MULTICALL,
      [LIST, 1],
    );
  });

  it('an endless trap table', () => {
    isCutUp(
      () => {
        const guest = make();
        fillMirror(guest, [0x0061_0080, 0xc000_0000]);
        return guest;
      },
      0,
      [MIRRORS],
    );
  });

  it('an endless text for the emergency console', () => {
    const count = 2 ** 29;
    isCutUp(
      () => {
        const guest = make({ privileged: true });
        fillMirror(guest, [0x2e2e_2e2e]);
        return guest;
      },
      CONSOLE_IO,
      [0, count, MIRRORS],
    );
  });

  // 3.0.2 takes at most 512 elements.
  if (modern) {
    it('an endless grant_table_op, every element of which fails', () => {
      isCutUp(
        () => {
          const guest = make();
          fillMirror(guest, [0]);
          return guest;
        },
        GRANT_TABLE_OP,
        [1, MIRRORS, 2 ** 25],
      );
    });
  }

  it('a count that reaches beyond the addresses, or a first entry that fails, comes back at once', () => {
    const guest = make();
    fillMirror(guest, [2 ** 31, 0, 0, 0]);
    const { now } = guest.hv;
    const begun = now();
    const first = guest.call(MMU_UPDATE, [MIRRORS, 2 ** 26, LIST, DOMID_SELF]);
    expect(first).toMatchObject({
      eax: EINVAL,
      continued: 0,
      registers: [MIRRORS, 2 ** 26, LIST, DOMID_SELF, 0],
    });
    expect(guest.word(LIST)).toBe(0);
    expect(guest.call(MMU_UPDATE, [MIRRORS, 2 ** 30, 0, DOMID_SELF]).eax).toBe(EFAULT);
    expect(guest.call(MULTICALL, [MIRRORS, 0xffff_ffff]).eax).toBe(EFAULT);
    expect(now() - begun).toBeLessThan(30_000);
  });

  it('mmu_update does in parts what it does entry by entry, and counts on in *done', () => {
    const COUNT = 8000;
    const DONE = LIST + 63 * 4096;
    const update = (guest: LongCalls, at: number, index: number, bad: number) => {
      const mfn = guest.list[index % 32]!;
      guest.put(at, (index === bad ? 0 : mfn * 4096) + MACHPHYS_UPDATE, 0, 1000 + index, 0);
    };
    for (const bad of [-1, 7000]) {
      const whole = make();
      for (let i = 0; i < COUNT; i++) update(whole, LIST + 16 * i, i, bad);
      const outcome = whole.call(MMU_UPDATE, [LIST, COUNT, DONE, DOMID_SELF]);
      const single = make();
      let result = 0;
      let done = 0;
      for (; done < COUNT && result === 0; done += result === 0 ? 50 : 0) {
        for (let i = 0; i < 50; i++) update(single, LIST + 16 * i, done + i, bad);
        result = single.call(MMU_UPDATE, [LIST, 50, DONE, DOMID_SELF]).eax;
      }
      expect(outcome.eax).toBe(result);
      expect(outcome.eax).toBe(bad < 0 ? 0 : EINVAL);
      expect(whole.word(DONE)).toBe(bad < 0 ? COUNT : bad);
      expect(outcome.continued).toBe(Math.floor(((bad < 0 ? COUNT : bad) * 40) / PART_CYCLES));
      for (const mfn of whole.list) expect(whole.hv.m2p.get(mfn)).toBe(single.hv.m2p.get(mfn));
      // What is left in the registers says where the last part began.
      const left = COUNT - (PART_CYCLES / 40) * outcome.continued;
      expect(outcome.registers.slice(0, 4)).toEqual([
        LIST + 16 * (COUNT - left),
        left + RESUMED,
        DONE,
        DOMID_SELF,
      ]);
    }
  });

  it('a batch of ordinary size leaves the registers as they were', () => {
    const guest = make();
    for (let i = 0; i < 1024; i++)
      guest.put(LIST + 16 * i, guest.list[i % 32]! * 4096 + MACHPHYS_UPDATE, 0, i, 0);
    const args = [LIST, 1024, 0, DOMID_SELF, 0x55];
    expect(guest.call(MMU_UPDATE, args)).toMatchObject({ eax: 0, continued: 0, registers: args });
  });

  it('multicall stores every result, of entries that were put aside too, and goes on where it stood', () => {
    const guest = make();
    const SUB = LIST + 16 * 4096;
    const DONE = LIST + 8;
    const PER_CALL = 3000;
    for (let i = 0; i < PER_CALL; i++) guest.put(SUB + 16 * i, guest.list[i % 8]! * 4096 + 1, 0, i, 0);
    const ENTRIES = LIST + 4096;
    const entries = [
      [MMU_UPDATE, 0xbad, SUB, PER_CALL, DONE, DOMID_SELF],
      [99, 0xbad],
      [MULTICALL, 0xbad, ENTRIES, 1],
      [MMU_UPDATE, 0xbad, SUB, PER_CALL, DONE + 4, DOMID_SELF],
      [17, 0xbad, 0, 0],
    ];
    for (const [i, words] of entries.entries()) guest.put(ENTRIES + 32 * i, ...words);
    const { eax, continued } = guest.call(MULTICALL, [ENTRIES, entries.length]);
    expect([eax, continued]).toEqual([0, 2]);
    const results = entries.map((_, i) => guest.word(ENTRIES + 32 * i + 4) | 0);
    expect(results).toEqual([0, -38, EINVAL, 0, modern ? 0x4_0011 : 0x3_0000]);
    expect([guest.word(DONE), guest.word(DONE + 4)]).toEqual([PER_CALL, PER_CALL]);
    // The trace has one record for each call, however many parts it took, and so do the counters.
    const { trace } = guest.hv;
    const texts = Array.from({ length: trace.total }, (_, i) => traceText(trace, i)).filter((text) =>
      /multicall|mmu_update/.test(text),
    );
    expect(texts).toEqual([
      `multicall(call_list 0x${ENTRIES.toString(16)}, nr_calls ${entries.length}), continued 2 times`.replace(
        /call_list|nr_calls/g,
        (name) => (name === 'nr_calls' ? 'count' : 'calls'),
      ),
      expect.stringMatching(/^mmu_update.*, count 3000, .*, continued once$/),
      expect.stringMatching(/^mmu_update.*, count 3000, .*, continued once$/),
    ]);
    expect(trace.calls[MMU_UPDATE]).toBe(2);
    expect(trace.calls[MULTICALL]).toBe(1);
  });

  it('a multicall whose entry cannot take what remains of it ends with EFAULT', () => {
    const guest = make();
    // The entry lies in a page that is mapped read-only: its own result could not be stored either.
    fillMirror(guest, [guest.mirror * 4096 + MACHPHYS_UPDATE, 0, 77, 0]);
    const page = 63;
    guest.put(LIST + page * 4096, MMU_UPDATE, 0, MIRRORS, 2 ** 20, 0, DOMID_SELF, 0, 0);
    const entry = ((guest.list[page]! << 12) | 0x65) >>> 0;
    const remapped = guest.call(14, [LIST + page * 4096, entry, 0, 2]);
    // (va, low, high, flags) in PAE, (va, value, flags) as a u64 in both.
    expect(remapped.eax).toBe(0);
    expect(guest.call(MULTICALL, [LIST + page * 4096, 1]).eax).toBe(EFAULT);
  });

  it('memory_op takes and gives thousands of frames, the command saying where it goes on', () => {
    const guest = make({ maxFrames: 3400, pages: 64 });
    const bits = modern ? 6 : 4;
    const COUNT = 3000;
    const EXTENTS = LIST + 4096;
    const before = guest.domain.totalFrames;
    for (let i = 0; i < COUNT; i++) guest.put(EXTENTS + 4 * i, 0x5000 + i);
    guest.put(LIST, EXTENTS, COUNT, 0, 0, DOMID_SELF);
    const populated = guest.call(MEMORY_OP, [6, LIST]);
    expect([populated.eax, populated.continued]).toEqual([COUNT, 1]);
    expect(populated.registers[0]).toBe(6 | (2500 << bits));
    expect(guest.domain.totalFrames).toBe(before + COUNT);
    for (const i of [0, 2499, 2500, COUNT - 1])
      expect(guest.hv.m2p.get(guest.word(EXTENTS + 4 * i))).toBe(0x5000 + i);
    expect(traceText(guest.hv.trace, guest.hv.trace.total - 1)).toMatch(
      /^memory_op XENMEM_populate_physmap\(.*, continued once$/,
    );

    const given = guest.call(MEMORY_OP, [1, LIST]);
    expect([given.eax, given.continued]).toEqual([COUNT, 1]);
    expect(guest.domain.totalFrames).toBe(before);
    // Up to the limit, and no further: a shortfall counts what was done in earlier parts.
    guest.put(LIST, 0, 10_000, 0, 0, DOMID_SELF);
    const increased = guest.call(MEMORY_OP, [0, LIST]);
    expect([increased.eax, increased.continued]).toEqual([3400 - before, 1]);
  });

  // 3.0.2 has no XENMEM_exchange.
  if (modern) {
    it('exchange keeps nr_exchanged up to date', () => {
      const guest = make({ maxFrames: 3400 });
      const COUNT = 2800;
      const IN = LIST + 4096;
      const OUT = LIST + 8 * 4096;
      for (let i = 0; i < COUNT; i++) guest.put(IN + 4 * i, 0x6000 + i);
      guest.put(LIST, IN, COUNT, 0, 0, DOMID_SELF);
      expect(guest.call(MEMORY_OP, [6, LIST]).eax).toBe(COUNT);
      const old = guest.word(IN);
      for (let i = 0; i < COUNT; i++) guest.put(OUT + 4 * i, 0x9000 + i);
      guest.put(LIST, IN, COUNT, 0, 0, DOMID_SELF, OUT, COUNT, 0, 0, DOMID_SELF, 0);
      const outcome = guest.call(MEMORY_OP, [11, LIST]);
      expect([outcome.eax, outcome.continued]).toEqual([0, 1]);
      expect(guest.word(LIST + 40)).toBe(COUNT);
      expect(guest.word(OUT)).not.toBe(old);
      for (const i of [0, 2499, 2500, COUNT - 1])
        expect(guest.hv.m2p.get(guest.word(OUT + 4 * i))).toBe(0x9000 + i);
    });
  }

  it('the console prints a long text once, in order', () => {
    const guest = make({ privileged: true });
    const SIZE = 63 * 4096;
    for (let i = 0; i < SIZE / 4; i++) guest.put(LIST + 4 * i, i);
    setCosts(guest, { entryCheck: 100 });
    const outcome = guest.call(CONSOLE_IO, [0, SIZE, LIST]);
    expect([outcome.eax, outcome.continued]).toEqual([0, 2]);
    const bytes = guest.list.flatMap((mfn) => [...guest.hv.memory.bytes(mfn * 4096, 4096)]).slice(0, SIZE);
    expect(guest.printed.flatMap((piece) => [...piece])).toEqual(bytes);
  });

  it('a trap table of many parts ends as it would in one', () => {
    const guest = make();
    const COUNT = 6000;
    for (let i = 0; i < COUNT; i++) guest.put(LIST + 8 * i, (i & 0xff) | 0xe019_0000, 0x1000 + i);
    guest.put(LIST + 8 * COUNT, 0, 0);
    expect(guest.call(0, [LIST])).toMatchObject({ eax: 0, continued: 2 });
    for (let v = 0; v < 256; v++)
      expect(guest.vcpu.trapAddress[v]).toBe(0x1000 + v + 256 * Math.floor((COUNT - 1 - v) / 256));
  });

  // With PAE a chain of tables that each name one another is not possible: levels have types of their own.
  if (options.abi === 'x86_32') {
    it('what an entry leaves undone is done before the next one, in pieces', () => {
      const guest = make({ maxFrames: 600 });
      const { hv, domain } = guest;
      const COUNT = 400;
      const tables = Array.from({ length: COUNT }, () => allocateDomainFrame(hv, domain));
      // Each table names the one before: at the end the last one holds all the others.
      for (let i = 1; i < COUNT; i++)
        hv.memory.write32(tables[i]! * 4096 + 4 * 5, ((tables[i - 1]! << 12) | 1) >>> 0);
      const batch = (cmd: number, mfns: readonly number[]) => {
        for (const [i, mfn] of mfns.entries()) guest.put(LIST + 12 * i, cmd, mfn, 0);
        return guest.call(MMUEXT_OP, [LIST, mfns.length, 0, DOMID_SELF]);
      };
      expect(batch(PIN_L2_TABLE, tables).eax).toBe(0);
      expect(batch(UNPIN_TABLE, tables.slice(0, -1)).eax).toBe(0);
      expect(hv.frames.typeCount[tables[0]!]).toBe(1);

      // The second entry needs the first one's last effect: what no L2 entry may be can be stored, as it is none any more.
      const word = 0xdead_0081;
      guest.put(LIST, UNPIN_TABLE, tables.at(-1)!, 0);
      guest.put(LIST + 16, tables[0]! * 4096, 0, word, 0);
      guest.put(LIST + 32, MMUEXT_OP, 0xbad, LIST, 1, 0, DOMID_SELF, 0, 0);
      guest.put(LIST + 64, MMU_UPDATE, 0xbad, LIST + 16, 1, 0, DOMID_SELF, 0, 0);
      guest.timerIn(500_000);
      guest.begin(MULTICALL, LIST + 32, 2);
      let pieces = 0;
      for (; !guest.isDone; pieces++) {
        expect(guest.run(1000)).toBeLessThan(LONGEST);
        expect(audit(hv)).toEqual([]);
      }
      expect(pieces).toBeGreaterThan(10);
      expect(guest.upcalls).toBe(1);
      expect([guest.registers()[0], guest.word(LIST + 36), guest.word(LIST + 68)]).toEqual([0, 0, 0]);
      expect(hv.memory.read32(tables[0]! * 4096)).toBe(word);
      expect(domain.undone).toEqual([]);
    });
  }

  it('takes its time even where the cost table says that entries are free', () => {
    const guest = make();
    setCosts(guest, { hypercall: 0, entryCheck: 0, baseSwitch: 0 });
    fillMirror(guest, [TLB_FLUSH_LOCAL]);
    guest.begin(MMUEXT_OP, MIRRORS, 2 ** 26, 0, DOMID_SELF);
    expect(guest.run(1000)).toBeLessThanOrEqual(PART_CYCLES);
    expect(guest.isDone).toBe(false);
  });
});
