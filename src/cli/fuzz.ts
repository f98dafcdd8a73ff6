/**
 * The fuzzer of the hypercall table by hand: `npm run fuzz -- --seed 7 --calls 1000000 --audit-every 64`. Calls are made
 * in chunks, each on a fresh machine with a seed of its own; a state file tells which chunks are done, so that a long
 * run can be stopped and resumed. A chunk that fails is played again with a comparison of all books after every call.
 *
 *   --seed N --calls M --audit-every K     what to do (1, 1000000, 1); with K > 1 refused calls are audited too
 *   --chunk C                              calls in a chunk (100000)
 *   --state FILE                           state file (fuzz-state.json in the temporary directory); --resume goes on
 *   --minutes T                            stops after the chunk that ends beyond T minutes
 *   --only I                               plays chunk I alone, with an audit after every call
 *   --shares                               how often every call was made, did what it was asked, and gave which errno
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { errnoName } from '../xen/abi/errno.ts';
import { chunkSeed, Fuzzer, FuzzFailure } from '../xen/fuzz/fuzzer.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    calls: { type: 'string', default: '1000000' },
    'audit-every': { type: 'string', default: '1' },
    chunk: { type: 'string', default: '100000' },
    state: { type: 'string', default: join(tmpdir(), 'ringside-fuzz-state.json') },
    resume: { type: 'boolean', default: false },
    minutes: { type: 'string', default: '0' },
    only: { type: 'string' },
    shares: { type: 'boolean', default: false },
  },
});

interface State {
  seed: number;
  calls: number;
  auditEvery: number;
  chunk: number;
  /** Chunks done, and what they were. */
  next: number;
  done: number;
  audits: number;
  refusals: number;
  stores: number;
  births: number;
  instructions: number;
  translations: number;
  seconds: number;
  /** By call: issued, succeeded, and answers by errno ("0": no errno). */
  answers: Record<string, { issued: number; succeeded: number; results: Record<string, number> }>;
}

const PROGRESS_EVERY = 1_000_000;

function number(text: string, name: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`--${name} ${text} is not a number`);
  return value;
}

function wanted(): State {
  return {
    seed: number(values.seed, 'seed'),
    calls: number(values.calls, 'calls'),
    auditEvery: Math.max(1, number(values['audit-every'], 'audit-every')),
    chunk: Math.max(1, number(values.chunk, 'chunk')),
    next: 0,
    done: 0,
    audits: 0,
    refusals: 0,
    stores: 0,
    births: 0,
    instructions: 0,
    translations: 0,
    seconds: 0,
    answers: {},
  };
}

/** Whole or not at all: a run may be ended at any moment. */
function save(state: State): void {
  const fresh = `${values.state}.new`;
  writeFileSync(fresh, `${JSON.stringify(state)}\n`);
  renameSync(fresh, values.state);
}

function load(): State {
  const state = wanted();
  if (!values.resume || !existsSync(values.state)) return state;
  const saved = JSON.parse(readFileSync(values.state, 'utf8')) as State;
  for (const key of ['seed', 'auditEvery', 'chunk'] as const) {
    if (saved[key] !== state[key]) {
      throw new Error(`${values.state} was made with ${key} ${saved[key]}, not ${state[key]}`);
    }
  }
  return { ...saved, calls: state.calls };
}

function addAnswers({ answers }: State, fuzzer: Fuzzer): void {
  for (const { name, issued, succeeded, results } of fuzzer.shares()) {
    answers[name] ??= { issued: 0, succeeded: 0, results: {} };
    const sum = answers[name];
    sum.issued += issued;
    sum.succeeded += succeeded;
    for (const [errno, count] of results.entries()) {
      if (count > 0) sum.results[errno] = (sum.results[errno] ?? 0) + count;
    }
  }
}

function printShares({ answers }: State): void {
  for (const [name, { issued, succeeded, results }] of Object.entries(answers)) {
    const share = issued > 0 ? `${((100 * succeeded) / issued).toFixed(1)}%` : '-';
    const errors = Object.entries(results)
      .filter(([errno]) => errno !== '0')
      .map(([errno, count]) => `${errnoName(-Number(errno)) ?? `-${errno}`} ${count}`);
    console.log(
      `${name.padEnd(60)} ${String(issued).padStart(9)} ${share.padStart(7)}  ${errors.join(', ')}`,
    );
  }
}

function told(state: State): string {
  const micro = (state.seconds * 1e6) / Math.max(1, state.done);
  return (
    `${state.done} of ${state.calls} calls, ${state.refusals} refused, ${state.stores} stores, ` +
    `${state.instructions} privileged instructions, ${state.births} domains, ${state.audits} audits, ` +
    `${state.translations} translations: all books agree. ` +
    `${state.seconds.toFixed(1)} s of processor time, ${micro.toFixed(1)} us per call and its audits`
  );
}

/** Plays a chunk again, looking after every call. */
function replay(state: State, index: number, calls: number): void {
  const fuzzer = new Fuzzer({ seed: chunkSeed(state.seed, index), auditEvery: 1, auditRefusals: false });
  try {
    fuzzer.run(calls);
    console.log(`chunk ${index}: ${calls} calls, an audit after each, all books agree`);
  } catch (error) {
    if (!(error instanceof FuzzFailure)) throw error;
    console.log(`chunk ${index}, call ${error.call}:\n${error.message}`);
    const cause = error.cause;
    if (cause instanceof Error) console.log(cause.stack);
    process.exitCode = 1;
  }
  addAnswers(state, fuzzer);
}

function main(): void {
  const state = load();
  if (values.only !== undefined) {
    replay(state, number(values.only, 'only'), Math.min(state.chunk, state.calls));
    if (values.shares) printShares(state);
    return;
  }
  const limit = number(values.minutes, 'minutes') * 60_000;
  const start = Date.now();
  let made = 0;
  while (state.done < state.calls) {
    const calls = Math.min(state.chunk, state.calls - state.done);
    const began = process.cpuUsage();
    const fuzzer = new Fuzzer({
      seed: chunkSeed(state.seed, state.next),
      auditEvery: state.auditEvery,
      auditRefusals: state.auditEvery > 1,
    });
    try {
      fuzzer.run(calls);
    } catch (error) {
      if (!(error instanceof FuzzFailure)) throw error;
      console.log(
        `chunk ${state.next} failed at call ${error.call}:\n${error.message}\nonce more, step by step:`,
      );
      replay(state, state.next, calls);
      console.log(`again: npm run fuzz -- --seed ${state.seed} --chunk ${state.chunk} --only ${state.next}`);
      process.exitCode = 1;
      return;
    }
    // Of this processor alone: other work on the machine does not count.
    const spent = process.cpuUsage(began);
    const seconds = (spent.user + spent.system) / 1e6;
    state.next++;
    state.done += calls;
    state.audits += fuzzer.audits;
    state.refusals += fuzzer.refusals;
    state.stores += fuzzer.stores;
    state.births += fuzzer.births;
    state.instructions += fuzzer.instructions;
    state.translations += fuzzer.translations;
    state.seconds += seconds;
    made++;
    addAnswers(state, fuzzer);
    save(state);
    if (state.done % PROGRESS_EVERY === 0 && state.done < state.calls) console.log(told(state));
    if (limit > 0 && Date.now() - start > limit) break;
  }
  console.log(`${told(state)} (${made} chunks now)`);
  if (values.shares) printShares(state);
}

main();
