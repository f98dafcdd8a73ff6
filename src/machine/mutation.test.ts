/**
 * Keeps the conformance test honest: for each interface of the seed, a hypervisor whose handler answers 0 and does
 * nothing (or never sets the shared byte) must turn a line red, or make the run end differently.
 */
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Caller } from '../xen/hypercalls/row.ts';
import { implementations, isUse, SEED_ROWS, type SeedRow } from '../xen/seed-rows.ts';
import { TRACE_WORDS } from '../xen/trace.ts';
import type * as VcpuInfo from '../xen/vcpu-info.ts';
import { type ConformanceRun, IMAGES, imageName, isGreen, runConformance } from './conformance/runs.ts';
import { guestFile } from './testing/boot.ts';

/** The field of shared memory that is never set while a mutant of it runs. */
const broken = vi.hoisted(() => ({ field: '' }));
vi.mock('../xen/vcpu-info.ts', async (original) => {
  const real = await original<typeof VcpuInfo>();
  return {
    ...real,
    raiseUpcall: (...args: Parameters<typeof real.raiseUpcall>) => {
      if (broken.field === 'evtchn_upcall_pending') return true;
      return real.raiseUpcall(...args);
    },
    setUpcallPending: (...args: Parameters<typeof real.setUpcallPending>) => {
      if (broken.field !== 'evtchn_upcall_pending') real.setUpcallPending(...args);
    },
    setUpcallMask: (...args: Parameters<typeof real.setUpcallMask>) => {
      if (broken.field !== 'evtchn_upcall_mask' || args[2] === 0) real.setUpcallMask(...args);
    },
    setInfoCr2: (...args: Parameters<typeof real.setInfoCr2>) => {
      if (broken.field !== 'arch.cr2') real.setInfoCr2(...args);
    },
  };
});

/** A mutant that waits for ever ends here. Groups that watch the clock go by take longer. */
const MAX_INSTRUCTIONS = 12_000_000;
const MAX_INSTRUCTIONS_OF_CLOCKS = 80_000_000;
const MMU_UPDATE = 1;
const MMUEXT_OP = 26;

/** The group of the conformance guest that has a row's lines, where it is not the seed's. */
const GROUPS: Readonly<Record<number, string>> = { 38: 'io', 14: 'vcpus', 72: 'mmu' };
const groupOf = (seed: SeedRow): string =>
  GROUPS[seed.number] ?? seed.group.replace('i/o', 'io').replaceAll(' ', '-');

type Run = (caller: Caller, ...rest: never[]) => number;
interface Runnable {
  run?: unknown;
}

/** Puts another handler in a row's place until the returned function is called. */
function replaceRun(row: Runnable, make: (real: Run) => Run): () => void {
  const real = row.run as Run;
  row.run = make(real);
  return () => {
    row.run = real;
  };
}

/** Is the whole batch of one command? Then it is not done, and said to be. */
function isBatchOf(caller: Caller, args: Uint32Array, number: number, command: number): boolean {
  const size = number === MMU_UPDATE ? 16 : 12;
  const count = args[1]! & 0x7fff_ffff;
  const mask = number === MMUEXT_OP ? ~0 : caller.domain.abi === 'x86_32' ? 3 : 7;
  for (let i = 0; i < count; i++) {
    const entry = caller.hv.guest.readU32(caller.domain, args[0]! + i * size);
    if (entry < 0 || (entry & mask) !== command) return false;
  }
  return count > 0;
}

/** Breaks everything that implements a row. @returns the repair. */
function mutate(seed: SeedRow): () => void {
  if (seed.field !== undefined) {
    broken.field = seed.field;
    return () => {
      broken.field = '';
    };
  }
  const repairs = implementations(seed).map(({ row, sub }) => {
    if (sub?.run) {
      return replaceRun(sub, (real) => (caller, ...rest) => {
        const { trace } = caller.hv;
        const slot = (trace.total - 1) & (trace.capacity - 1);
        const words = trace.words.subarray(slot * TRACE_WORDS, (slot + 1) * TRACE_WORDS);
        return seed.use && !isUse(seed.use, row, sub, words) ? real(caller, ...rest) : 0;
      });
    }
    return replaceRun(row, (real) => (caller, ...rest) => {
      const args = rest[0] as unknown as Uint32Array;
      let meant = sub === null || (args[0]! & 63) === sub.number;
      if (sub !== null && (row.number === MMU_UPDATE || row.number === MMUEXT_OP))
        meant = isBatchOf(caller, args, row.number, sub.number);
      if (seed.use) meant = isUse(seed.use, row, sub, args);
      return meant ? 0 : real(caller, ...rest);
    });
  });
  return () => {
    for (const repair of repairs.reverse()) repair();
  };
}

const image = (abi: string, xen: string, form: string) =>
  IMAGES.find((i) => i.abi === abi && i.xen === xen && i.form === form)!;
const files = new Map<string, Uint8Array>();
function isGreenRun(run: ConformanceRun): boolean {
  const name = `${imageName(run.image)}.elf`;
  const file = files.get(name) ?? guestFile(name);
  files.set(name, file);
  const end = /end=(\w+)/.exec(run.commandLine)?.[1] ?? 'poweroff';
  try {
    const slow = /only=(timer|vcpus)/.test(run.commandLine);
    const most = slow ? MAX_INSTRUCTIONS_OF_CLOCKS : MAX_INSTRUCTIONS;
    return isGreen(
      runConformance(file, run, () => {}, most),
      end,
    );
  } catch {
    return false; // a mutant may break the hypervisor's own promises
  }
}

/** The cheapest runs first; the first that is not green has found the mutant. */
function runsFor(seed: SeedRow): ConformanceRun[] {
  const group = groupOf(seed);
  const old = image('x86_32', '3.0.2', 'later');
  const modern = image('x86_32p', '4.17', 'later');
  const plain = { privileged: false, vcpus: 1, commandLine: `only=${group}` };
  if (seed.use === 'suspend') return [{ ...plain, image: old, commandLine: 'only=none end=suspend' }];
  if (seed.use === 'not-suspend') return [{ ...plain, image: old, commandLine: 'only=none' }];
  const runs = [
    { ...plain, image: old, vcpus: group === 'vcpus' ? 2 : 1 },
    { ...plain, image: modern },
    { ...plain, image: old, privileged: true, commandLine: `only=${group} button` },
  ];
  return [42, 43, 44, 39].includes(seed.number) ? runs.reverse() : runs;
}

afterEach(() => {
  broken.field = '';
});

describe('without a mutant', () => {
  const runs = new Map(SEED_ROWS.flatMap(runsFor).map((run) => [JSON.stringify(run), run]));
  it.each([...runs.values()].map((run) => [`${imageName(run.image)} '${run.commandLine}'`, run] as const))(
    '%s is green',
    (_name, run) => {
      expect(isGreenRun(run)).toBe(true);
    },
  );
});

describe('a handler that does nothing is found out', () => {
  it.each(SEED_ROWS.map((seed) => [seed.number, seed.spelled, seed] as const))('%i %s', (_n, _s, seed) => {
    const repair = mutate(seed);
    try {
      expect(runsFor(seed).some((run) => !isGreenRun(run))).toBe(true);
    } finally {
      repair();
    }
  });
});
