/**
 * The lab's processor without a hypervisor: the same multiboot image as for v86, on the bare machine. Its command line
 * also takes the privileged round trips, @int80:N @pf_fix:N and so on (bench/kernels/kmain.c has the list).
 *
 *   tsx bench/peers/bare.ts "reps=3 sieve:20 @int80:100000 ..."
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { EngineBug } from '../../src/base/assert.ts';
import { BareMachine } from '../../src/cpu/bare/bare-machine.ts';
import { loadMultiboot } from '../../src/cpu/bare/multiboot.ts';
import { newProcessor } from '../../src/cpu/testing/processor.ts';
import { cpuTimeUs, report } from './lines.ts';

const machine = new BareMachine(newProcessor(64));
const image = readFileSync(fileURLToPath(new URL('../images/multiboot.elf', import.meta.url)));
let line = '';
let started = { kernel: '', n: 0, at: 0, instructions: 0 };

machine.ports.add(0x3f8, 1, {
  read: () => 0,
  write(_port, _size, byte) {
    if (byte !== 10) {
      line += String.fromCharCode(byte);
      return;
    }
    const [word, first, second] = line.trim().split(' ');
    const { instructions } = machine.cpu;
    if (word === 'S') started = { kernel: first ?? '', n: Number(second), at: cpuTimeUs(), instructions };
    if (word === 'E')
      report({
        kernel: started.kernel,
        n: started.n,
        checksum: first ?? '',
        cpuUs: cpuTimeUs() - started.at,
        instructions: instructions - started.instructions,
      });
    line = '';
  },
});
machine.ports.add(0xf4, 1, { read: () => 0, write: () => machine.stop() });

const refused = loadMultiboot(machine.cpu, image, process.argv[2] ?? '');
if (refused !== null) throw new EngineBug(refused);
let stop = machine.run(1e9);
while (stop === 'cycles') stop = machine.run(1e9);
if (stop !== 'asked') throw new EngineBug(`the kernel ended with ${stop}`);
