/**
 * Does the fuzzer find what it is there to find? Each mutant of the hypervisor leaves out one rule, and must be found,
 * with the right words, within so many calls of one of a few seeds: a new call in the table changes what a seed tries.
 */
import { afterEach, describe, expect, it, vi } from 'vitest';
import type * as evtchn from '../evtchn.ts';
import type * as frames from '../frames.ts';
import type * as grants from '../grants.ts';
import type * as pageTypes from '../page-types.ts';
import type * as scheduler from '../scheduler.ts';
import type { Fuzzer } from './fuzzer.ts';

const CALLS = 20_000;
const SEEDS = [3, 4, 5];
const { TYPE_writable } = await vi.importActual<typeof frames>('../frames.ts');
const real = await vi.importActual<typeof pageTypes>('../page-types.ts');

interface Mutant {
  rule: string;
  /** Functions that are left out or changed, by module. */
  module?: string;
  functions?: Record<string, unknown>;
  /** Or what is done to the machine before it runs. */
  change?: (fuzzer: Fuzzer) => void;
  says: RegExp;
}

const MUTANTS: readonly Mutant[] = [
  {
    rule: 'a frame in use as a table is not mapped writable',
    module: '../page-types.ts',
    functions: {
      takeType(table: frames.FrameTable, mfn: number, type: number, slot?: number): number {
        if (type !== TYPE_writable) return real.takeType(table, mfn, type, slot);
        if (table.type[mfn] !== type && table.typeCount[mfn] === 0) return real.takeType(table, mfn, type);
        table.typeCount[mfn]!++;
        return real.TAKEN;
      },
    } satisfies Partial<typeof pageTypes>,
    says: /but used as writable|whose type is|for writing, although/,
  },
  {
    rule: 'a frame belongs to the domain that names it',
    module: '../page-types.ts',
    functions: {
      getPage: (table, mfn) => (mfn < table.total ? real.addReference(table, mfn) : -22),
    } satisfies Partial<typeof pageTypes>,
    says: /of another domain|of domain|without a domain|without the right|M2P knows/,
  },
  {
    rule: 'a reference that is let go of is no longer counted',
    module: '../page-types.ts',
    functions: { putPage() {} } satisfies Partial<typeof pageTypes>,
    says: /references, counted/,
  },
  {
    rule: 'stores into a table in use are watched',
    module: '../page-types.ts',
    functions: {
      completeType(table: frames.FrameTable, mfn: number): void {
        table.flags[mfn]! |= 2;
      },
    } satisfies Partial<typeof pageTypes>,
    says: /wrong table flag/,
  },
  {
    rule: 'a frame that a guest could write is a checked page of descriptors no more',
    module: '../page-types.ts',
    functions: {
      becomesWritable: (table, mfn) => table.typeCount[mfn] === 0 || table.type[mfn] === TYPE_writable,
    } satisfies Partial<typeof pageTypes>,
    says: /holds a descriptor/,
  },
  {
    rule: 'an unmapped grant is not in use',
    module: '../grants.ts',
    functions: { releaseGrant() {} } satisfies Partial<typeof grants>,
    says: /grant \d+ of domain|grants are mapped|references, counted/,
  },
  {
    rule: 'a translation goes with the table entry that it came from',
    change: ({ hv }) => {
      hv.memory.watcher = { codeChanged() {}, tableChanged() {} };
    },
    says: /the TLB maps/,
  },
  {
    rule: 'a port that is closed hears no interrupt line',
    change: ({ hv }) => {
      Object.getPrototypeOf(hv.devices.lines).unbind = () => {};
    },
    says: /line \d+ is heard at port/,
  },
  {
    rule: 'both ends of a channel are closed',
    module: '../evtchn.ts',
    functions: { closeAll() {} } satisfies Partial<typeof evtchn>,
    says: /has no other end/,
  },
  {
    rule: 'who is woken waits for the processor',
    module: '../scheduler.ts',
    functions: { wake() {} } satisfies Partial<typeof scheduler>,
    says: /could run but is not queued/,
  },
];

afterEach(() => {
  for (const { module } of MUTANTS) if (module) vi.doUnmock(module);
  vi.resetModules();
});

describe('a hypervisor without one rule is found out', () => {
  it.each(MUTANTS)('$rule', { timeout: 120_000 }, async ({ module, functions, change, says }) => {
    if (module) vi.doMock(module, async (original) => ({ ...(await original<object>()), ...functions }));
    vi.resetModules();
    const { Fuzzer } = await import('./fuzzer.ts');
    const run = () => {
      for (const seed of SEEDS) {
        const fuzzer = new Fuzzer({ seed, auditEvery: 1, auditRefusals: false });
        change?.(fuzzer);
        fuzzer.run(CALLS);
      }
    };
    expect(run).toThrow(says);
  });

  it('and one with all of them is not', { timeout: 120_000 }, async () => {
    const { Fuzzer } = await import('./fuzzer.ts');
    const fuzzer = new Fuzzer({ seed: SEEDS[0]!, auditEvery: 1, auditRefusals: false });
    fuzzer.run(CALLS / 10);
    expect(fuzzer.translations).toBeGreaterThan(CALLS / 10);
  });
});
