/**
 * Reassembles every snippet of the tests and compares with the committed table. `--rebuild` writes the table anew,
 * sorted and without lines that no test uses. Needs GNU binutils.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const TABLE = fileURLToPath(new URL('../src/cpu/testing/snippets.txt', import.meta.url));
const rebuild = process.argv.includes('--rebuild');
if (rebuild) writeFileSync(TABLE, '');
const { status } = spawnSync('npx', ['vitest', 'run', 'src'], {
  stdio: 'inherit',
  env: { ...process.env, ASSEMBLE_SNIPPETS: rebuild ? '1' : 'verify' },
});
if (rebuild) {
  const lines = [
    ...new Set(
      readFileSync(TABLE, 'utf8')
        .split('\n')
        .filter((line) => line !== ''),
    ),
  ].sort();
  writeFileSync(TABLE, lines.map((line) => `${line}\n`).join(''));
}
process.exit(status ?? 1);
