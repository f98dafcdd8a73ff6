/**
 * What the hypervisor costs the host: nanoseconds of process CPU time for one hypercall of each kind, as a guest makes
 * it in a loop (guests/linuxlike, `storm=NAME`), the loop itself taken off; and the time of an audit.
 *   npx tsx bench/hypercalls.ts [name ...]
 */
import { Session } from '../src/machine/session.ts';
import { guestFile, MACHINE, request } from '../src/machine/testing/boot.ts';
import { audit } from '../src/xen/audit.ts';

/** Calls in a run; few for the slow ones. */
const COUNTS: Record<string, number> = {
  null: 400_000,
  mmu_update: 200_000,
  clear_set: 200_000,
  invlpg: 200_000,
  flush: 100_000,
  va_mapping: 200_000,
  stack_switch: 400_000,
  store: 200_000,
  int3: 200_000,
  upcall: 100_000,
  root: 100_000,
  fork: 300,
};
const RUNS = 5;

const cpuNs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
};

function boot(storm: string, count: number, memoryMiB = 32): Session {
  const session = new Session(MACHINE);
  const commandLine = `storm=${storm} count=${count}`;
  const booted = session.boot(request(guestFile('linuxlike-x86_32p.elf'), { commandLine, memoryMiB }));
  if (!booted.ok) throw new Error(booted.error.message);
  if (session.run({ until: ['storm begins'] }) !== 'until') throw new Error(session.text(booted.value.domid));
  return session;
}

/** @returns host ns for one call, guest instructions for one call */
function measure(storm: string, count: number): { ns: number; instructions: number } {
  const session = boot(storm, count);
  const instructions = session.machine.instructions;
  const begin = cpuNs();
  if (session.run({}) !== 'ended') throw new Error(`${storm}: not ended`);
  const ns = (cpuNs() - begin) / count;
  return { ns, instructions: (session.machine.instructions - instructions) / count };
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1]!;

const wanted = process.argv.slice(2);
const names = Object.keys(COUNTS).filter((name) => wanted.length === 0 || wanted.includes(name));
for (const name of names) {
  const runs = Array.from({ length: RUNS }, () => measure(name, COUNTS[name]!));
  const ns = median(runs.map((run) => run.ns));
  process.stdout.write(
    `${name.padEnd(14)} ${ns.toFixed(0).padStart(8)} ns  (${runs[0]!.instructions.toFixed(0)} guest instructions)\n`,
  );
}
if (wanted.length === 0 || wanted.includes('audit')) {
  const { hv } = boot('none', 0, 64).machine;
  // More than for the calls: each audit is one call, and the first ones are not optimised yet.
  const times = Array.from({ length: 50 }, () => {
    const begin = cpuNs();
    const wrong = audit(hv);
    if (wrong.length > 0) throw new Error(wrong[0]);
    return (cpuNs() - begin) / 1e6;
  });
  process.stdout.write(`audit of 64 MiB ${median(times).toFixed(1)} ms\n`);
}
