/** `lab boot`: plans, runs, prints, reports. Everything of the host's is handed in, so tests run it in process. */
import type { Result } from '../base/result.ts';
import { timedPresses } from '../machine/input-log.ts';
import { InputScript } from '../machine/input-script.ts';
import { Session } from '../machine/session.ts';
import { stateHash } from '../machine/state-hash.ts';
import { type Costs, DEFAULT_COSTS, parseCosts } from '../xen/costs.ts';
import { explainRefusal } from '../xen/explain.ts';
import { ConsoleOutput } from './console-output.ts';
import { plan, readFile } from './images.ts';
import type { BootOptions } from './options.ts';
import { judge, makeReport, type Verdict } from './report.ts';
import { TracePrinter } from './trace-printer.ts';

/** UTC seconds at system time 0: fixed, so that runs can be compared. 2026-01-01. */
const WALL_CLOCK_SECONDS = 1_767_225_600;

export interface Host {
  stdout(bytes: Uint8Array): void;
  stderr(text: string | Uint8Array): void;
  writeFile(name: string, text: string): void;
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
  const planned = plan(options);
  if (!planned.ok) return planned;
  const { demo, requests } = planned.value;

  const jsonOnStdout = options.json === '-';
  const output = new ConsoleOutput(
    jsonOnStdout ? (bytes) => host.stderr(bytes.slice()) : host.stdout,
    requests.length,
  );
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
      costs: costs.value,
      cpus: options.cpus ?? demo?.cpus ?? 1,
      replay: timedPresses(presses),
    },
    (domid, bytes) => output.print(domid, bytes),
  );
  const domids: number[] = [];
  for (const request of requests) {
    const booted = session.boot(request);
    if (!booted.ok) return booted;
    domids.push(booted.value.domid);
  }
  const lines = [...(demo?.input ?? []).map((line) => new TextEncoder().encode(line)), ...options.input];
  if (lines.length > 0 || options.inputAfter.length > 0) {
    session.script = new InputScript(domids[0]!, lines, options.inputAfter);
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
  });
  const wallMs = host.clock() - began;
  drainTrace();
  output.end();

  const verdict = judge(session, end, demo, options.until);
  if (options.traceFile !== null) host.writeFile(options.traceFile, traceText.join(''));
  if (options.json !== null) {
    const facts = { target: options.target, demo, verdict, costs: costs.value, wallMs };
    const report = `${JSON.stringify(makeReport(session, facts), null, 2)}\n`;
    if (jsonOnStdout) host.stdout(new TextEncoder().encode(report));
    else host.writeFile(options.json, report);
  }
  host.stderr(summary(session, verdict, wallMs));
  if (options.hash) host.stderr(`lab: state ${stateHash(session.machine)}\n`);
  return { ok: true, value: verdict.status };
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
