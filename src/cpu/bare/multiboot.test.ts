/**
 * A whole kernel on the bare machine: bench/images/multiboot.elf (scripts/build-bench.sh) loads its GDT, IDT and TSS,
 * turns paging on, goes to ring 3 and back through interrupt gates and page faults, and prints on its serial line.
 * The checksums are those of the same kernels run natively (bench/kernels/native.c).
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { newProcessor } from '../testing/processor.ts';
import { BareMachine } from './bare-machine.ts';
import { loadMultiboot } from './multiboot.ts';
import { Serial } from './serial.ts';

const IMAGE = readFileSync(fileURLToPath(new URL('../../../bench/images/multiboot.elf', import.meta.url)));
const COM1 = 0x3f8;
const EXIT_PORT = 0xf4;

function boot(commandLine: string): { stop: string; text: string } {
  const machine = new BareMachine(newProcessor(16));
  const serial = new Serial(COM1);
  machine.ports.add(COM1, 8, serial);
  machine.ports.add(EXIT_PORT, 1, { read: () => 0, write: () => machine.stop() });
  const refused = loadMultiboot(machine.cpu, IMAGE, commandLine);
  if (refused !== null) throw new Error(refused);
  return { stop: machine.run(50_000_000), text: serial.text };
}
/** The lines between ENTRY and DONE. */
const results = (text: string): string[] => text.split('\n').slice(2, -2);

describe('the multiboot kernel', () => {
  it('boots, prints, and asks to stop', () => {
    const { stop, text } = boot('');
    expect(text).toBe('\nENTRY\nDONE\n');
    expect(stop).toBe('asked');
  });
  it('goes through rings, gates, page faults, segment loads and rewritten code', () => {
    const micro = [
      'empty3',
      'int80',
      'int82',
      'int80_r0',
      'pf_skip',
      'pf_fix',
      'invlpg_touch',
      'cr3_only',
      'cr3_64',
      'touch1024',
      'out80',
      'in3fd',
      'rdtsc',
      'clisti',
      'pushfpopf',
      'segload',
      'div',
      'lockxadd',
      'smc',
    ];
    const { stop, text } = boot(`reps=2 ${micro.map((name) => `@${name}:9`).join(' ')}`);
    expect(stop).toBe('asked');
    expect(results(text)).toEqual(micro.flatMap((name) => [`S @${name} 9`, 'E 0', `S @${name} 9`, 'E 0']));
  });
  it('computes what the same code computes natively', () => {
    const expected = {
      intmix: '4c290a26',
      sieve: '0000198e',
      matmul: '00014d60',
      string: '00000244',
      qsort: '00040519',
      bytecode: '62792fc8',
      sha256: 'b1da2705',
      crc32: '024b4c8b',
      chase: '0007fe00',
      arith64: '2dca2f6d',
      mandel: '00001613',
      fib: '00000a18',
    };
    const { text } = boot(
      `reps=1 ${Object.keys(expected)
        .map((name) => `${name}:1`)
        .join(' ')}`,
    );
    expect(results(text)).toEqual(
      Object.entries(expected).flatMap(([name, sum]) => [`S ${name} 1`, `E ${sum}`]),
    );
  });
  it('an image that is no ELF, or does not fit, is refused in words', () => {
    expect(loadMultiboot(newProcessor(16), new Uint8Array(100), '')).toBe('not an ELF32 image');
    expect(loadMultiboot(newProcessor(4), IMAGE, '')).toMatch(/behind memory/);
  });

  const compiler = spawnSync('gcc', ['--version'], { encoding: 'utf8' }).stdout ?? '';
  it.skipIf(!compiler.includes('Debian 12.2.0'))('is what its sources make (needs gcc of Debian 12)', () => {
    const directory = mkdtempSync(join(tmpdir(), 'multiboot-'));
    try {
      execFileSync(fileURLToPath(new URL('../../../scripts/build-bench.sh', import.meta.url)), [directory]);
      expect(readFileSync(join(directory, 'multiboot.elf')).equals(IMAGE)).toBe(true);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
