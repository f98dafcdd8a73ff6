/**
 * Speed of the interpreter on the kernels of bench/kernels, in million instructions a second of process CPU time
 * (the machines are shared: wall time says little). Loads the kernels flat, without a kernel of their own.
 *   npx tsx bench/interpreter.ts [kernel ...]
 * Needs gcc with -m32 and binutils.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCpu } from '../src/cpu/i386.ts';
import { PhysicalMemory } from '../src/cpu/physical-memory.ts';
import type { TrapSink } from '../src/cpu/trap-sink.ts';

const KERNELS = new URL('./kernels/', import.meta.url).pathname;
const BASE = 0x100000;
/** n of each kernel: some million instructions. */
const SIZE: Record<string, number> = {
  intmix: 300,
  sieve: 5,
  matmul: 4,
  string: 300,
  qsort: 4,
  bytecode: 40,
  sha256: 12,
  crc32: 100,
  chase: 200,
  arith64: 100,
  mandel: 4,
  fib: 60,
};

function link(): { image: Buffer; symbols: Map<string, number> } {
  const dir = mkdtempSync(join(tmpdir(), 'kernels-'));
  try {
    const at = (name: string): string => join(dir, name);
    const flags = [
      '-m32',
      '-O2',
      '-march=i686',
      '-ffreestanding',
      '-fno-pic',
      '-fno-stack-protector',
      '-I',
      KERNELS,
    ];
    execFileSync('gcc', [...flags, '-c', '-o', at('bench.o'), join(KERNELS, 'bench.c')]);
    execFileSync('ld', [
      '-m',
      'elf_i386',
      '-e',
      '0',
      `-Ttext=0x${BASE.toString(16)}`,
      '-o',
      at('bench'),
      at('bench.o'),
    ]);
    execFileSync('objcopy', ['-O', 'binary', at('bench'), at('bench.bin')]);
    const symbols = new Map<string, number>();
    for (const line of execFileSync('nm', [at('bench')], { encoding: 'utf8' }).split('\n')) {
      const [address, , name] = line.split(' ');
      if (name) symbols.set(name, Number.parseInt(address!, 16));
    }
    return { image: readFileSync(at('bench.bin')), symbols };
  } finally {
    rmSync(dir, { recursive: true });
  }
}

const FLAT_HIGH = 0x00cf9300;
const { image, symbols } = link();
const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(SIZE);
const memory = new PhysicalMemory(32);
let fault = '';
const sink: TrapSink = {
  exception(vector, code) {
    fault = `exception ${vector} ${code} at ${cpu.eip.toString(16)}`;
    cpu.requestExit();
  },
  softwareInterrupt() {},
  descriptorAddress: () => -1,
  kernelStack: () => ({ ss: 0, esp: 0 }),
  portRead: () => 0,
  portWrite() {},
  portAllowed: () => false,
  halted() {
    cpu.requestExit();
  },
};
const begin = performance.now();
const cpu = createCpu(memory, sink);
process.stdout.write(`ready in ${(performance.now() - begin).toFixed(1)} ms\n`);
for (let segment = 0; segment < 6; segment++)
  cpu.setSegmentHidden(segment, 8, 0xffff, segment === 1 ? 0x00cf9b00 : FLAT_HIGH);
cpu.cr0 = 1;

const STACK = 0x80000,
  RETURN = 0x90000;
memory.write8(RETURN, 0xf4);

function call(name: string, n: number): { checksum: number; instructions: number; seconds: number } {
  memory.write32(STACK, RETURN);
  memory.write32(STACK + 4, n);
  cpu.setReg(4, STACK);
  cpu.eip = symbols.get(`bench_${name}`)!;
  const before = cpu.instructions;
  const time = process.cpuUsage();
  fault = '';
  cpu.run(2_000_000_000);
  const used = process.cpuUsage(time);
  if (fault !== '') throw new Error(fault);
  return {
    checksum: cpu.getReg(0),
    instructions: cpu.instructions - before,
    seconds: (used.user + used.system) / 1e6,
  };
}

memory.writeBytes(BASE, image);
// The optimising compiler works in the background: let it finish.
call('intmix', 3000);
const logs: number[] = [];
for (const name of names) {
  const n = SIZE[name]!;
  const rates: number[] = [];
  let checksum = 0;
  let instructions = 0;
  for (let round = 0; round < 6; round++) {
    const r = call(name, n);
    checksum = r.checksum;
    instructions = r.instructions;
    rates.push(r.instructions / r.seconds / 1e6);
  }
  rates.sort((a, b) => a - b);
  const median = rates[3]!;
  logs.push(Math.log(median));
  process.stdout.write(
    `${name.padEnd(9)} n=${n} ${(checksum >>> 0).toString(16).padStart(8, '0')} ${instructions} instructions, ${median.toFixed(0)} MIPS\n`,
  );
}
process.stdout.write(
  `geometric mean ${Math.exp(logs.reduce((a, b) => a + b, 0) / logs.length).toFixed(0)} MIPS\n`,
);
