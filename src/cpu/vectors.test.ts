/**
 * The engine against real hardware: every instruction form that a program at privilege level 3 can execute, run on a
 * processor beforehand (testing/vectors/README.md) and compared register by register, flag by flag, byte by byte.
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { ROWS } from './opcodes/table.ts';
import { newProcessor } from './testing/processor.ts';
import { unpack, type Vector } from './testing/vectors/format.ts';
import { NOT_COMPARABLE } from './testing/vectors/generate.ts';
import { summary, VectorMachine } from './testing/vectors/run.ts';

function vectors(name: string): Generator<Vector> {
  const file = new URL(`./testing/vectors/${name}.vec.gz`, import.meta.url);
  return unpack(new Uint8Array(gunzipSync(readFileSync(file))));
}

/** Row ids that the files below have. */
const covered = new Set<string>();

it.each([
  ['integer', 180_000],
  ['x87', 75_000],
  ['sequences', 30_000],
])('agrees with the hardware on all %s vectors', { timeout: 240_000 }, (name, atLeast) => {
  const machine = new VectorMachine(newProcessor(2));
  const report = machine.runAll(vectors(name));
  if (report.failed > 0) process.stdout.write(`${summary(report, true)}\n`);
  expect(report.cases).toBeGreaterThanOrEqual(atLeast);
  expect(report.failed).toBe(0);
  for (const id of report.rows.keys()) covered.add(id);
});

it('has vectors for every row that a program at privilege level 3 can use, but for the listed ones', () => {
  const without = ROWS.map((row) => row.id).filter((id) => !covered.has(id));
  expect(without.sort()).toEqual([...NOT_COMPARABLE].sort());
});
