/**
 * Assembly snippets in tests: AT&T syntax for GNU as, looked up in a committed table (snippets.txt) by the hash of
 * their source, so that tests need no assembler. A missing snippet is an error; assemble it with
 *   ASSEMBLE_SNIPPETS=1 npx vitest run FILE
 * (needs binutils). `npx tsx scripts/assemble-snippets.ts` assembles every snippet anew and compares.
 *
 * A line of the table: hash, bytes in hex, then name=offset of each label (hex, origin included).
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Snippet {
  readonly bytes: Uint8Array;
  readonly origin: number;
  /** Address of each label. */
  readonly labels: Readonly<Record<string, number>>;
}

const TABLE = fileURLToPath(new URL('./snippets.txt', import.meta.url));
const mode = process.env['ASSEMBLE_SNIPPETS'] ?? '';
let table: Map<string, string> | null = null;

function readTable(): Map<string, string> {
  const lines = new Map<string, string>();
  for (const line of readFileSync(TABLE, 'utf8').split('\n')) {
    if (line !== '') lines.set(line.slice(0, 16), line);
  }
  return lines;
}

function assemble(source: string, origin: number): string {
  const dir = mkdtempSync(join(tmpdir(), 'snippet-'));
  try {
    const at = (name: string): string => join(dir, name);
    writeFileSync(at('s.S'), source);
    execFileSync('as', ['--32', '-o', at('s.o'), at('s.S')]);
    execFileSync('ld', [
      '-m',
      'elf_i386',
      '-e',
      '0',
      `-Ttext=0x${origin.toString(16)}`,
      '-o',
      at('s'),
      at('s.o'),
    ]);
    execFileSync('objcopy', ['-O', 'binary', '-j', '.text', at('s'), at('s.bin')]);
    const labels = execFileSync('nm', [at('s')], { encoding: 'utf8' })
      .split('\n')
      .map((line) => line.split(' '))
      .filter(
        ([, kind, name]) => /^[tTaA]$/.test(kind ?? '') && !/^(_end|_edata|__bss_start)$/.test(name ?? ''),
      )
      .map(([address, , name]) => `${name}=${Number.parseInt(address!, 16).toString(16)}`);
    return [readFileSync(at('s.bin')).toString('hex') || '-', ...labels].join(' ');
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** @param origin linear address at which the snippet is to be placed. Use .code16 in the source for 16-bit code. */
export function asm(source: string, origin = 0): Snippet {
  table ??= readTable();
  const key = createHash('sha256').update(`${origin}\n${source}`).digest('hex').slice(0, 16);
  let line = table.get(key);
  if (mode === 'verify' && line !== undefined) {
    if (line !== `${key} ${assemble(source, origin)}`)
      throw new Error(`snippet ${key} differs from the table:\n${source}`);
  }
  if (line === undefined) {
    if (mode === '') throw new Error(`snippet ${key} is not in snippets.txt; see testing/asm.ts:\n${source}`);
    line = `${key} ${assemble(source, origin)}`;
    appendFileSync(TABLE, `${line}\n`);
    table.set(key, line);
  }
  const [, hex, ...labels] = line.split(' ');
  return {
    bytes: hex === '-' ? new Uint8Array() : Uint8Array.from(Buffer.from(hex!, 'hex')),
    origin,
    labels: Object.fromEntries(labels.map((l) => [l.split('=')[0]!, Number.parseInt(l.split('=')[1]!, 16)])),
  };
}
