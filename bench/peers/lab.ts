/**
 * The lab runs the kernels as a PV guest, `guests/bench`.
 *
 *   tsx bench/peers/lab.ts "reps=3 sieve:20 ..."
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Machine } from '../../src/machine/machine.ts';
import { cpuTimeUs, report } from './lines.ts';

const image = readFileSync(fileURLToPath(new URL('../../public/guests/bench-x86_32p.elf', import.meta.url)));
let line = '';
let began = cpuTimeUs();
let counted = 0;

const machine: Machine = new Machine({ memoryMiB: 64, seed: 1, wallClockSeconds: 0 }, (_domid, bytes) => {
  for (const byte of bytes) {
    if (byte !== 10) {
      line += String.fromCharCode(byte);
      continue;
    }
    const match = /^bench (\w+) (\d+): checksum (\w+)/.exec(line);
    const now = cpuTimeUs();
    if (match) {
      report({
        kernel: match[1] ?? '',
        n: Number(match[2]),
        checksum: match[3] ?? '',
        cpuUs: now - began,
        instructions: machine.instructions - counted,
      });
    }
    began = now;
    counted = machine.instructions;
    line = '';
  }
});
const added = machine.addDomain({
  name: 'bench',
  image,
  commandLine: process.argv[2] ?? '',
  memoryMiB: 16,
  vcpus: 1,
  abi: 'auto',
  xen: 'auto',
  privileged: false,
});
if (!added.ok) throw new Error(added.error.message);
while (machine.run(machine.now + 1e9).kind !== 'ended');
