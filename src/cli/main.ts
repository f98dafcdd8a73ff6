/** The command line's entry: `npm run -s lab -- boot DEMO|IMAGE [options]`. */
import { writeFileSync, writeSync } from 'node:fs';
import { cpuidText } from '../cpu/rare/cpuid.ts';
import { boot } from './boot.ts';
import { readManifest } from './images.ts';
import { parseCommand, usage } from './options.ts';

/** Pipes may take less than asked, or nothing for a moment. */
function writeAll(descriptor: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) {
    try {
      done += writeSync(descriptor, bytes, done);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
    }
  }
}
const print = (text: string) => writeAll(1, new TextEncoder().encode(text));

function main(argv: readonly string[]): number {
  const parsed = parseCommand(argv);
  if (!parsed.ok) {
    writeAll(
      2,
      new TextEncoder().encode(`lab: ${parsed.error.message}\nlab: --help lists commands and options\n`),
    );
    return 2;
  }
  const command = parsed.value;
  switch (command.command) {
    case 'help':
      print(usage());
      return 0;
    case 'list':
      for (const demo of readManifest().demos) print(`${demo.id.padEnd(20)} ${demo.title}\n`);
      return 0;
    case 'cpuid':
      print(cpuidText());
      return 0;
    case 'boot':
      return boot(command.options, {
        stdout: (bytes) => writeAll(1, bytes),
        stderr: (text) => writeAll(2, typeof text === 'string' ? new TextEncoder().encode(text) : text),
        writeFile: (name, text) => writeFileSync(name, text),
        writeBytes: (name, bytes) => writeFileSync(name, bytes),
        clock: () => performance.now(),
      });
  }
}

process.exitCode = main(process.argv.slice(2));
