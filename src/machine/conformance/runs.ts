/**
 * The runs of the conformance guest: each of its six images as an ordinary and as the initial domain, with a second
 * vcpu, and once for each way to end. Its lines, and what the lines say of themselves.
 */
import type { BuildRequest } from '../../xen/toolstack/build-domain.ts';
import { Session, type SessionEnd } from '../session.ts';

export interface ConformanceImage {
  abi: 'x86_32' | 'x86_32p';
  xen: '3.0.2' | '4.17';
  /** Call forms: those of 3.0.2, or the later ones. */
  form: '302' | 'later';
}

export const IMAGES: readonly ConformanceImage[] = [
  { abi: 'x86_32', xen: '3.0.2', form: '302' },
  { abi: 'x86_32', xen: '3.0.2', form: 'later' },
  { abi: 'x86_32p', xen: '3.0.2', form: '302' },
  { abi: 'x86_32p', xen: '3.0.2', form: 'later' },
  { abi: 'x86_32p', xen: '4.17', form: '302' },
  { abi: 'x86_32p', xen: '4.17', form: 'later' },
];

export const imageName = ({ abi, xen, form }: ConformanceImage): string =>
  `conformance-${abi}-${xen}-${form}`;
export const combinationOf = ({ abi, xen }: { abi: string; xen: string }): string =>
  `${abi === 'x86_32' ? '2-level' : 'PAE'}/${xen}`;
export const COMBINATIONS: readonly string[] = [...new Set(IMAGES.map(combinationOf))];

export interface ConformanceRun {
  image: ConformanceImage;
  commandLine: string;
  privileged: boolean;
  vcpus: number;
  /** Simulated physical CPUs; 1 unless said. */
  cpus?: number;
}

/** What the guest's command line can ask for at the end of the test. */
export const ENDINGS = ['suspend', 'reboot', 'crash', 'watchdog'] as const;

/** All runs that the coverage is counted from. */
export function coverageRuns(): ConformanceRun[] {
  const runs: ConformanceRun[] = [];
  for (const image of IMAGES) {
    const run = (more: Partial<ConformanceRun>) =>
      runs.push({ image, commandLine: '', privileged: false, vcpus: 1, ...more });
    run({});
    run({ privileged: true, commandLine: 'button' });
    run({ vcpus: 2, commandLine: 'only=scheduling,vcpus' });
    if (image.xen === '4.17') run({ privileged: true, cpus: 2, commandLine: 'only=misc' });
    for (const end of ENDINGS) run({ commandLine: `only=none end=${end}` });
  }
  return runs;
}

/** The longest run takes less than half of it; one that hangs ends here. */
const MOST_INSTRUCTIONS = 200_000_000;
const MACHINE = { memoryMiB: 256, seed: 1, wallClockSeconds: 1_767_225_600 };

export interface Outcome {
  session: Session;
  end: SessionEnd;
  /** Why the domain ended, 'running' when it did not. */
  reason: string;
  text: string;
}

/** @param prepare is given the session with the domain built, before it runs. */
export function runConformance(
  image: Uint8Array,
  run: ConformanceRun,
  prepare: (session: Session, domid: number) => void = () => {},
  maxInstructions = MOST_INSTRUCTIONS,
): Outcome {
  const session = new Session({ ...MACHINE, cpus: run.cpus });
  const request: BuildRequest = {
    name: 'conformance',
    image,
    commandLine: run.commandLine,
    memoryMiB: 64,
    vcpus: run.vcpus,
    abi: 'auto',
    xen: run.image.xen,
    privileged: run.privileged,
  };
  const booted = session.boot(request);
  if (!booted.ok) throw new Error(booted.error.message);
  const { domid } = booted.value;
  // The lab button is pressed, and nobody has read it: a level-triggered line stays asserted.
  if (run.privileged) session.machine.hv.devices.button.press(session.machine.hv);
  prepare(session, domid);
  const end = session.run({ maxInstructions });
  const domain = session.machine.domains.find((d) => d.id === domid);
  return {
    session,
    end,
    reason: domain?.end?.reason ?? 'running',
    text: session.text(domid).replaceAll('\r', ''),
  };
}

/** A judged line: `row: what = value ok`, or `... WRONG, expected value`. */
export interface JudgedLine {
  row: string;
  what: string;
  value: string;
  ok: boolean;
}

export function judgedLines(text: string): JudgedLine[] {
  const lines: JudgedLine[] = [];
  for (const line of text.split('\n')) {
    const parts = /^([^:]+): (.*) = (.*?) (ok|WRONG.*)$/.exec(line);
    if (parts) lines.push({ row: parts[1]!, what: parts[2]!, value: parts[3]!, ok: parts[4] === 'ok' });
  }
  return lines;
}

/** Did the run print its count line, with nothing wrong, and end as asked? */
export function isGreen(outcome: Outcome, reason = 'poweroff'): boolean {
  return (
    outcome.end === 'ended' &&
    outcome.reason === reason &&
    /^conformance: \d+ lines, 0 wrong, \d+ not tried$/m.test(outcome.text) &&
    judgedLines(outcome.text).every((line) => line.ok)
  );
}
