/**
 * Which interfaces of the seed the conformance runs have issued: counted from the trace, call by call. A row of the
 * seed counts only when it succeeded in each call form and gave each error that the ABI lists, in each combination of
 * tables and personality; a field of shared memory, when its lines were printed and right.
 */
import { errnoName } from '../../xen/abi/errno.ts';
import type { HypercallRow, SubOpRow } from '../../xen/hypercalls/row.ts';
import { hypercallRow } from '../../xen/hypercalls/table.ts';
import type { Hypervisor } from '../../xen/hypervisor.ts';
import { errorsOf, implementations, isUse, SEED_ROWS, type SeedRow } from '../../xen/seed-rows.ts';
import { NO_RESULT, TRACE_WORDS } from '../../xen/trace.ts';
import { COMBINATIONS, combinationOf, type JudgedLine } from './runs.ts';

const MMU_UPDATE = 1;
const MEMORY_OP = 12;
const MMUEXT_OP = 26;
/** Bytes of an entry of the two batched calls. */
const ENTRY_SIZE: Readonly<Record<number, number>> = { [MMU_UPDATE]: 16, [MMUEXT_OP]: 12 };
const MOST_ENTRIES = 64;
/** Increase, decrease, populate: they return how many extents were done. */
const RESERVATIONS = new Set([0, 1, 6]);
/** A call that reached no sub-operation: its struct was unreadable, or its command unknown. */
const NO_SUB = -1;

export type Personality = '3.0.2' | '4.17';

/** How often each result was seen: 'ok', an errno's name, 'short'. */
type Results = Map<string, number>;

export class CoverageRecorder {
  /** By combination, hypercall and sub-operation: `PAE/4.17 32 4`. Uses of a row add their seed number. */
  readonly #seen = new Map<string, Results>();
  readonly #lines = new Map<string, number>();
  readonly #uses = SEED_ROWS.filter((seed) => seed.use !== undefined);

  /** Listens to a machine's trace until the machine is dropped. */
  attach(hv: Hypervisor): void {
    hv.trace.onHypercall = (slot) => this.#note(hv, slot);
  }

  /** Lines that a conformance run printed. */
  addLines(combination: string, lines: readonly JudgedLine[]): void {
    for (const { row, ok } of lines) {
      const key = `${combination} ${row} ${ok ? 'ok' : 'wrong'}`;
      this.#lines.set(key, (this.#lines.get(key) ?? 0) + 1);
    }
  }
  lines(combination: string, row: string, ok: boolean): number {
    return this.#lines.get(`${combination} ${row} ${ok ? 'ok' : 'wrong'}`) ?? 0;
  }

  results(combination: string, row: HypercallRow, sub: SubOpRow | null, seed: SeedRow): Results {
    const use = seed.use === undefined ? '' : ` #${seed.number}`;
    return this.#seen.get(`${combination} ${row.number} ${sub?.number ?? NO_SUB}${use}`) ?? new Map();
  }
  /** Results of calls that reached no sub-operation. */
  outside(combination: string, row: HypercallRow): Results {
    return this.#seen.get(`${combination} ${row.number} ${NO_SUB}`) ?? new Map();
  }

  #note(hv: Hypervisor, slot: number): void {
    const { trace } = hv;
    const domain = hv.domains[trace.domid[slot]!];
    const number = trace.number[slot]!;
    const row = hypercallRow(number);
    if (domain === undefined || row === undefined) return;
    const combination = combinationOf({ abi: domain.abi, xen: domain.personality });
    const words = trace.words.subarray(slot * TRACE_WORDS, (slot + 1) * TRACE_WORDS);
    const result = trace.result[slot]!;
    const entry = ENTRY_SIZE[number];
    if (entry !== undefined) {
      this.#noteBatch(hv, slot, row, combination, entry);
      return;
    }
    let outcome = (result < 0 && result !== NO_RESULT && errnoName(result)) || 'ok';
    let command = trace.sub[slot]!;
    if (number === MEMORY_OP) {
      const bits = domain.personality === '3.0.2' ? 4 : 6;
      command &= (1 << bits) - 1;
      if (RESERVATIONS.has(command) && result >= 0) {
        const asked = hv.guest.readU32(domain, words[1]! + 4);
        if (asked < 0 || result < asked) outcome = 'short';
      }
    }
    const sub = (row.subOps ?? []).find((candidate) => candidate.number === command) ?? null;
    this.#count(combination, row, sub, outcome, words);
  }

  /** mmu_update and mmuext_op: each entry is a call of its own; those behind a failure did not happen. */
  #noteBatch(hv: Hypervisor, slot: number, row: HypercallRow, combination: string, size: number): void {
    const { trace } = hv;
    const domain = hv.domains[trace.domid[slot]!]!;
    const words = trace.words.subarray(slot * TRACE_WORDS, (slot + 1) * TRACE_WORDS);
    const result = trace.result[slot]!;
    const count = Math.min(words[1]! & 0x7fff_ffff, MOST_ENTRIES);
    const failed = result < 0 && result !== NO_RESULT;
    let done = failed ? 0 : count;
    if (failed && count > 1) {
      if (words[2] === 0) return; // which entry failed is not told
      done = hv.guest.readU32(domain, words[2]!);
    }
    for (let i = 0; i < count && i <= done; i++) {
      const entry = hv.guest.read(domain, words[0]! + i * size, size);
      const command = entry?.getUint32(0, true) ?? NO_SUB;
      const mask = domain.abi === 'x86_32' ? 3 : 7;
      const number = row.number === MMU_UPDATE && command !== NO_SUB ? command & mask : command;
      const sub = (row.subOps ?? []).find((candidate) => candidate.number === number) ?? null;
      this.#count(combination, row, sub, i < done ? 'ok' : (errnoName(result) ?? 'ok'), words);
    }
  }

  #count(
    combination: string,
    row: HypercallRow,
    sub: SubOpRow | null,
    outcome: string,
    words: Uint32Array,
  ): void {
    const key = `${combination} ${row.number} ${sub?.number ?? NO_SUB}`;
    this.#add(key, outcome);
    for (const seed of this.#uses) {
      if (isUse(seed.use!, row, sub, words)) this.#add(`${key} #${seed.number}`, outcome);
    }
  }
  #add(key: string, outcome: string): void {
    const results = this.#seen.get(key) ?? new Map<string, number>();
    results.set(outcome, (results.get(outcome) ?? 0) + 1);
    this.#seen.set(key, results);
  }
}

export interface CoverageRow {
  number: number;
  spelled: string;
  group: string;
  vmi: string | null;
  match: SeedRow['match'];
  /** `32 EVTCHNOP_close`, or the field of shared memory. */
  implementedBy: string[];
  combinations: {
    combination: string;
    /** Successful calls (or right lines), all forms together. */
    succeeded: number;
    errors: { name: string; seen: number; never: string | null }[];
    /** What is not covered, in words; empty: all is. */
    missing: string[];
  }[];
  covered: boolean;
}

/** Calls outside the sub-operations: only what can be said of all of them. */
const OUTSIDE = new Set(['EFAULT', 'ENOSYS']);

export function coverage(recorder: CoverageRecorder): CoverageRow[] {
  return SEED_ROWS.map((seed) => {
    const parts = implementations(seed);
    const combinations = COMBINATIONS.map((combination) => coverageIn(recorder, seed, parts, combination));
    return {
      number: seed.number,
      spelled: seed.spelled,
      group: seed.group,
      vmi: seed.vmi,
      match: seed.match,
      implementedBy: seed.field
        ? [seed.field]
        : parts.map(({ row, sub }) => `${row.number} ${sub?.name ?? row.name}`),
      combinations,
      covered: combinations.every(({ missing }) => missing.length === 0),
    };
  });
}

function coverageIn(
  recorder: CoverageRecorder,
  seed: SeedRow,
  parts: ReturnType<typeof implementations>,
  combination: string,
): CoverageRow['combinations'][number] {
  const missing: string[] = [];
  if (seed.field !== undefined) {
    const succeeded = recorder.lines(combination, seed.field, true);
    if (succeeded === 0) missing.push('no line');
    if (recorder.lines(combination, seed.field, false) > 0) missing.push('a wrong line');
    return { combination, succeeded, errors: [], missing };
  }
  if (parts.length === 0) missing.push('nothing implements it');
  let succeeded = 0;
  for (const { row, sub } of parts) {
    const ok = recorder.results(combination, row, sub, seed).get('ok') ?? 0;
    succeeded += ok;
    if (ok === 0) missing.push(`no success of ${row.number} ${sub?.name ?? row.name}`);
  }
  const personality: Personality = combination.endsWith('3.0.2') ? '3.0.2' : '4.17';
  const errors = errorsOf(seed, personality).map((name) => {
    let seen = 0;
    for (const { row, sub } of parts) {
      seen += recorder.results(combination, row, sub, seed).get(name) ?? 0;
      if (sub !== null && OUTSIDE.has(name)) seen += recorder.outside(combination, row).get(name) ?? 0;
    }
    const never = seed.never?.[name] ?? null;
    if (seen === 0 && never === null) missing.push(name);
    return { name, seen, never };
  });
  return { combination, succeeded, errors, missing };
}
