/**
 * `npx tsx scripts/compare-transcripts.ts A B`: two transcripts of the conformance guest, line by line, without facts.
 * Exit status 1 when they differ.
 */
import { readFileSync } from 'node:fs';
import { comparable, compareTranscripts } from '../src/machine/conformance/transcript.ts';

const [left, right] = process.argv.slice(2);
if (left === undefined || right === undefined) {
  process.stderr.write('usage: npx tsx scripts/compare-transcripts.ts A B\n');
  process.exit(2);
}
const [a, b] = [readFileSync(left, 'latin1'), readFileSync(right, 'latin1')];
const differences = compareTranscripts(a, b);
for (const one of differences)
  process.stdout.write(`${one.rule}\n  ${left}: ${one.left ?? '-'}\n  ${right}: ${one.right ?? '-'}\n`);
process.stdout.write(
  `${comparable(a).length} and ${comparable(b).length} lines, ${differences.length} differences\n`,
);
process.exitCode = differences.length > 0 ? 1 : 0;
