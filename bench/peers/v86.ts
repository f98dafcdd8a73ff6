/**
 * v86 (npm, BSD-2) runs the kernels through their multiboot front end.
 *
 *   tsx bench/peers/v86.ts jit|nojit "reps=3 sieve:20 ..."
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { cpuTimeUs, report } from './lines.ts';

interface V86Like {
  add_listener(event: 'serial0-output-byte', listener: (byte: number) => void): void;
}
type V86Constructor = new (options: Record<string, unknown>) => V86Like;

const [mode, commandLine] = process.argv.slice(2);
const build = createRequire(import.meta.url).resolve('v86/build/libv86.mjs');
const { V86 } = (await import(build)) as { V86: V86Constructor };
const image = readFileSync(fileURLToPath(new URL('../images/multiboot.elf', import.meta.url)));
const machine = new V86({
  wasm_path: build.replace(/libv86\.mjs$/, 'v86.wasm'),
  multiboot: { buffer: image.buffer.slice(image.byteOffset, image.byteOffset + image.length) },
  cmdline: commandLine,
  autostart: true,
  memory_size: 64 << 20,
  disable_jit: mode === 'nojit',
  disable_keyboard: true,
  disable_mouse: true,
  disable_speaker: true,
});

let line = '';
let started = { kernel: '', n: 0, at: 0 };
machine.add_listener('serial0-output-byte', (byte) => {
  if (byte !== 10) {
    line += String.fromCharCode(byte);
    return;
  }
  const [word, first, second] = line.trim().split(' ');
  if (word === 'S') started = { kernel: first ?? '', n: Number(second), at: cpuTimeUs() };
  if (word === 'E')
    report({ kernel: started.kernel, n: started.n, checksum: first ?? '', cpuUs: cpuTimeUs() - started.at });
  if (word === 'DONE') process.exit(0);
  line = '';
});
