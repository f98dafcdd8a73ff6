/**
 * npm run bench: the kernels on the lab, on v86 with and without its translator, and natively where gcc -m32 is at
 * hand. The peers run interleaved, each round in a fresh process; medians of CPU time; checksums must agree.
 *
 *   npm run bench -- [--rounds N] [--reps N] [KERNEL ...]
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Run } from './peers/lines.ts';

/** Work per run: some 50 to 150 ms of an interpreter. */
const SIZES: Record<string, number> = {
  intmix: 300,
  sieve: 4,
  matmul: 3,
  string: 300,
  qsort: 1,
  bytecode: 15,
  sha256: 20,
  crc32: 100,
  chase: 100,
  arith64: 60,
  mandel: 20,
  fib: 50,
};

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const tsx = here('../node_modules/.bin/tsx');

function buildNative(): string | null {
  const program = join(mkdtempSync(join(tmpdir(), 'ringside-bench-')), 'native');
  const flags = ['-m32', '-O2', '-march=i686', '-fno-pic', '-no-pie', '-fno-stack-protector', '-w'];
  const built = spawnSync('gcc', [
    ...flags,
    '-o',
    program,
    here('kernels/native.c'),
    here('kernels/bench.c'),
  ]);
  return built.status === 0 && existsSync(program) ? program : null;
}

function lines(command: string, args: string[]): Run[] {
  const result = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 26 });
  if (result.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${result.stderr}`);
  return result.stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Run);
}

function nativeRuns(program: string, kernels: string[], reps: number): Run[] {
  const result = spawnSync(program, [`${reps}`, ...kernels.map((k) => `${k}:${SIZES[k]}`)], {
    encoding: 'utf8',
  });
  return result.stdout
    .trim()
    .split('\n')
    .map((line) => {
      const [kernel = '', n, checksum = '', , cpu] = line.split(' ');
      return { kernel, n: Number(n), checksum, cpuUs: Number(cpu) * 1e6 };
    });
}

const median = (list: number[]): number =>
  [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)] ?? Number.NaN;

function numberAfter(args: string[], name: string, otherwise: number): number {
  const at = args.indexOf(name);
  return at < 0 ? otherwise : Number(args.splice(at, 2)[1]);
}

const args = process.argv.slice(2);
const rounds = numberAfter(args, '--rounds', 3);
const reps = numberAfter(args, '--reps', 5);
const kernels = args.length > 0 ? args : Object.keys(SIZES);
const commandLine = `reps=${reps} ${kernels.map((k) => `${k}:${SIZES[k]}`).join(' ')}`;
const native = buildNative();

const peers: Record<string, () => Run[]> = {
  lab: () => lines(tsx, [here('peers/lab.ts'), commandLine]),
  'v86 interpreter': () => lines(tsx, [here('peers/v86.ts'), 'nojit', commandLine]),
  v86: () => lines(tsx, [here('peers/v86.ts'), 'jit', commandLine]),
  ...(native ? { native: () => nativeRuns(native, kernels, reps) } : {}),
};

const runs = new Map<string, Run[]>(Object.keys(peers).map((peer) => [peer, []]));
for (let round = 0; round < rounds; round++) {
  for (const [peer, measure] of Object.entries(peers)) runs.get(peer)?.push(...measure());
}

const of = (peer: string, kernel: string) => (runs.get(peer) ?? []).filter((run) => run.kernel === kernel);
const microseconds = (peer: string, kernel: string) =>
  median(of(peer, kernel).map((run) => run.cpuUs)) / (SIZES[kernel] ?? 1);
const pad = (value: number | string, width: number) => `${value}`.padStart(width);
const short = (value: number) =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);

console.log(
  `median of ${rounds} rounds of ${reps}, microseconds of CPU time per unit; MIPS are the lab's, and v86's interpreter's by the same count`,
);
console.log('kernel      lab MIPS  v86i MIPS   lab us  v86i us   v86 us  native us  v86i/lab   v86/lab');
const ratios: number[] = [];
const jitRatios: number[] = [];
let disagree = 0;
for (const kernel of kernels) {
  // A kernel may go on with what its last run left behind: the order of the checksums counts.
  const checksums = new Set(
    Object.keys(peers).map((peer) =>
      of(peer, kernel)
        .map((run) => run.checksum)
        .join(' '),
    ),
  );
  if (checksums.size !== 1) {
    disagree++;
    console.log(`${kernel}: checksums differ: ${[...checksums].join(' | ')}`);
  }
  const lab = microseconds('lab', kernel);
  const interpreter = microseconds('v86 interpreter', kernel);
  const jit = microseconds('v86', kernel);
  const perUnit = median(of('lab', kernel).map((run) => run.instructions ?? 0)) / (SIZES[kernel] ?? 1);
  ratios.push(interpreter / lab);
  jitRatios.push(jit / lab);
  console.log(
    kernel.padEnd(10) +
      pad((perUnit / lab).toFixed(0), 10) +
      pad((perUnit / interpreter).toFixed(0), 11) +
      pad(short(lab), 9) +
      pad(short(interpreter), 9) +
      pad(short(jit), 9) +
      pad(native ? short(microseconds('native', kernel)) : '-', 11) +
      pad(short(interpreter / lab), 10) +
      pad(short(jit / lab), 10),
  );
}
const mean = (list: number[]) => Math.exp(list.reduce((sum, r) => sum + Math.log(r), 0) / list.length);
console.log(
  `geometric mean: ${short(mean(ratios))} times v86's interpreter, ${short(mean(jitRatios))} times v86 with its translator`,
);
process.exit(disagree > 0 ? 1 : 0);
