/**
 * The committed guest images and ramdisks are what their sources make: built again and compared byte for byte. gcc's output differs
 * between versions, so this is checked with the compiler that made them, Debian 12's, and reported as skipped elsewhere.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const committed = join(root, 'public/guests');
const version = spawnSync('gcc', ['-m32', '--version'], { encoding: 'utf8' }).stdout ?? '';
const canLink32 =
  spawnSync('gcc', ['-m32', '-nostdlib', '-static', '-x', 'c', '-', '-o', '/dev/null'], {
    input: 'void _start(void){}',
  }).status === 0;
const sameCompiler = canLink32 && version.includes('(Debian 12.');
const images = readdirSync(committed).filter((name) => /\.(elf|cpio)$/.test(name));

describe.skipIf(!sameCompiler)('the committed guest images (needs gcc of Debian 12)', () => {
  const built = mkdtempSync(join(tmpdir(), 'ringside-guests-'));
  afterAll(() => rmSync(built, { recursive: true, force: true }));

  it('come out of guests/build.sh byte for byte, and no other images do', { timeout: 300_000 }, () => {
    const result = spawnSync('bash', [join(root, 'guests/build.sh'), built], { encoding: 'utf8' });
    expect(result.stderr).toBe('');
    expect(readdirSync(built).sort()).toEqual([...images].sort());
    const different = images.filter(
      (name) => !readFileSync(join(built, name)).equals(readFileSync(join(committed, name))),
    );
    expect(different).toEqual([]);
  });
});
