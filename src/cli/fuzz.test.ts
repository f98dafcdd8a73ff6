/**
 * The fuzzer as `npm run fuzz` runs it, outside the test runner, where it is several times faster: 1,000,000 random
 * hypercalls with an audit after each, stopped and resumed. RINGSIDE_FUZZ=quick makes 100,000, for whoever is in a hurry.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const CALLS = process.env['RINGSIDE_FUZZ'] === 'quick' ? 100_000 : 1_000_000;
const MINUTES = 20;

function fuzz(...args: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', 'tsx', 'src/cli/fuzz.ts', '--seed', '1', ...args],
    { encoding: 'utf8' },
  );
  return { status, output: stdout + stderr };
}

it(`all books agree after each of ${CALLS} random hypercalls, in two parts`, {
  timeout: MINUTES * 60_000,
}, () => {
  const directory = mkdtempSync(join(tmpdir(), 'fuzz-'));
  try {
    const state = join(directory, 'state.json');
    const part = ['--state', state, '--chunk', '50000', '--audit-every', '1'];
    const first = fuzz('--calls', '50000', ...part);
    expect(first.output).toContain('50000 of 50000 calls');
    expect(first.status).toBe(0);
    const rest = fuzz('--calls', String(CALLS), ...part, '--resume');
    expect(rest.output).toContain(`${CALLS} of ${CALLS} calls`);
    expect(rest.output).toContain('all books agree');
    expect(rest.status).toBe(0);
    const saved = JSON.parse(readFileSync(state, 'utf8')) as { next: number; done: number; audits: number };
    expect([saved.next, saved.done]).toEqual([CALLS / 50_000, CALLS]);
    expect(saved.audits).toBeGreaterThanOrEqual(CALLS);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
