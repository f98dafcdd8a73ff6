/** `lab boot`: plans, runs, prints, reports. Everything of the host's is handed in, so tests run it in process. */
import type { Result } from '../base/result.ts';
import { timedPresses } from '../machine/input-log.ts';
import { InputScript } from '../machine/input-script.ts';
import { restoreDomain } from '../machine/restore-domain.ts';
import { saveDomain } from '../machine/save-domain.ts';
import { saveLab } from '../machine/save-lab.ts';
import { Session } from '../machine/session.ts';
import { stateHash } from '../machine/state-hash.ts';
import { type Costs, DEFAULT_COSTS, parseCosts } from '../xen/costs.ts';
import { explainRefusal } from '../xen/explain.ts';
import type { ConsoleSink } from '../xen/toolstack/toolstack.ts';
import { ConsoleOutput } from './console-output.ts';
import { type Plan, plan, readFile } from './images.ts';
import type { BootOptions } from './options.ts';
import { judge, makeReport, type Verdict } from './report.ts';
import { TracePrinter } from './trace-printer.ts';

/** UTC seconds at system time 0: fixed, so that runs can be compared. 2026-01-01. */
const WALL_CLOCK_SECONDS = 1_767_225_600;

export interface Host {
  stdout(bytes: Uint8Array): void;
  stderr(text: string | Uint8Array): void;
  writeFile(name: string, text: string): void;
  writeBytes(name: string, bytes: Uint8Array): void;
  /** Milliseconds of any clock. */
  clock(): number;
}

/** @returns the exit status. */
export function boot(options: BootOptions, host: Host): number {
  const run = runToEnd(options, host);
  if (run.ok) return run.value;
  host.stderr(`lab: ${run.error.message}\n`);
  return 2;
}

function runToEnd(options: BootOptions, host: Host): Result<number> {
  const costs = readCosts(options.costs);
  if (!costs.ok) return costs;
  const planned = options.from === 'boot' ? plan(options) : NO_PLAN;
  if (!planned.ok) return planned;
  const { demo } = planned.value;

  const jsonOnStdout = options.json === '-';
  const printed: { output: ConsoleOutput | null } = { output: null };
  const started = start(options, costs.value, planned.value, (domid, bytes, emergency) =>
    printed.output?.print(domid, bytes, emergency),
  );
  if (!started.ok) return started;
  const session = started.value;
  const { domains } = session.machine;
  const output = new ConsoleOutput(
    jsonOnStdout ? (bytes) => host.stderr(bytes.slice()) : host.stdout,
    domains.length,
  );
  printed.output = output;
  const lines = [...(demo?.input ?? []).map((line) => new TextEncoder().encode(line)), ...options.input];
  if (lines.length > 0 || options.inputAfter.length > 0) {
    const first = domains.find(({ end }) => end === null) ?? domains[0];
    if (first) session.script = new InputScript(first.id, lines, options.inputAfter);
  }

  const trace = options.trace === null ? null : new TracePrinter(session.machine.hv, options.trace);
  const traceText: string[] = [];
  const drainTrace = () => {
    if (!trace) return;
    const text = trace.drain();
    if (options.traceFile !== null) traceText.push(text);
    else if (text !== '') host.stderr(text);
  };
  const began = host.clock();
  const limit = options.timeoutSeconds;
  const stopsAtTexts = options.until !== null || demo?.expect.exit === 'running';
  const end = session.run({
    until: !stopsAtTexts ? undefined : options.until !== null ? [options.until] : demo!.expect.console,
    maxInstructions: options.maxInstructions ?? demo?.expect.maxInstructions,
    expired: limit === null ? undefined : () => host.clock() - began > limit * 1000,
    watch: drainTrace,
    restoreSuspended: demo?.then === 'restore' && options.suspendTo === null,
  });
  const wallMs = host.clock() - began;
  drainTrace();
  output.end();

  // Who takes the domain out before the demo's story is over wants to see it suspended, no more.
  const verdict = judge(session, end, options.suspendTo === null ? demo : null, options.until);
  if (options.traceFile !== null) host.writeFile(options.traceFile, traceText.join(''));
  if (options.json !== null) {
    const facts = { target: options.target, demo, verdict, costs: costs.value, wallMs };
    const report = `${JSON.stringify(makeReport(session, facts), null, 2)}\n`;
    if (jsonOnStdout) host.stdout(new TextEncoder().encode(report));
    else host.writeFile(options.json, report);
  }
  host.stderr(summary(session, verdict, wallMs));
  const written = writeFiles(session, options, host);
  if (!written.ok) return written;
  if (options.hash) host.stderr(`lab: state ${stateHash(session.machine)}\n`);
  return { ok: true, value: verdict.status };
}

const NO_PLAN: Result<Plan> = { ok: true, value: { demo: null, requests: [] } };

/** Domains booted, a lab resumed, or a domain restored: ready to run. */
function start(options: BootOptions, costs: Costs, planned: Plan, print: ConsoleSink): Result<Session> {
  const { demo, requests } = planned;
  const file = options.from === 'boot' ? null : readFile(options.target);
  if (file && !file.ok) return file;
  if (file && options.from === 'resume') return named(options, Session.resume(file.value, print));
  // The first domain's id: the initial domain is 0, the others count from 1.
  const first = requests[0]?.privileged ? 0 : 1;
  const presses = [
    ...(demo?.presses ?? []),
    ...options.press.map(({ press, atMs }) => ({ press, atMs, domid: first })),
  ];
  const session = new Session(
    {
      memoryMiB: options.machineMemoryMiB,
      seed: options.seed,
      wallClockSeconds: WALL_CLOCK_SECONDS,
      costs,
      cpus: options.cpus ?? demo?.cpus ?? 1,
      replay: timedPresses(presses),
    },
    print,
  );
  for (const request of requests) {
    const booted = session.boot(request);
    if (!booted.ok) return booted;
  }
  const restored = file && named(options, restoreDomain(session.machine, file.value));
  return restored && !restored.ok ? restored : { ok: true, value: session };
}

/** An error of a file says which. */
function named<T>({ target }: BootOptions, result: Result<T>): Result<T> {
  if (result.ok) return result;
  return { ok: false, error: { ...result.error, message: `${target}: ${result.error.message}` } };
}

function writeFiles(session: Session, options: BootOptions, host: Host): Result<null> {
  const { machine } = session;
  if (session.restoreError) return { ok: false, error: session.restoreError };
  if (options.save !== null) host.writeBytes(options.save, saveLab(machine));
  if (options.suspendTo === null) return { ok: true, value: null };
  const suspended = machine.domains.find(({ end }) => end?.reason === 'suspend');
  if (!suspended)
    return { ok: false, error: { code: 'nobody-suspended', message: 'no domain has suspended itself' } };
  const image = saveDomain(machine, suspended.id);
  if (!image.ok) return image;
  host.writeBytes(options.suspendTo, image.value);
  return { ok: true, value: null };
}

function summary(session: Session, verdict: Verdict, wallMs: number): string {
  const { instructions, now, domains } = session.machine;
  const mips = wallMs > 0 ? (instructions / wallMs / 1000).toFixed(1) : '-';
  const lines = [
    `lab: ${verdict.sentence}`,
    `lab: ${instructions} instructions, ${(now / 1e6).toFixed(3)} virtual ms, ${Math.round(wallMs)} ms, ${mips} million instructions a second`,
  ];
  if (verdict.status === 1) {
    for (const domain of domains) {
      const last = domain.vcpus.flatMap((vcpu) => vcpu.refusals).at(-1);
      if (last && !domain.end?.sentence)
        lines.push(`lab: last refused to d${domain.id}: ${explainRefusal(last)}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

function readCosts(file: string | null): Result<Costs> {
  if (file === null) return { ok: true, value: DEFAULT_COSTS };
  const bytes = readFile(file);
  if (!bytes.ok) return bytes;
  const costs = parseCosts(new TextDecoder().decode(bytes.value));
  return typeof costs === 'string'
    ? { ok: false, error: { code: 'bad-costs', message: `${file}: ${costs}` } }
    : { ok: true, value: costs };
}
