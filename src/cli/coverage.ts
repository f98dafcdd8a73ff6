/**
 * `npm run -s coverage:interfaces [-- --json]`: runs the conformance guest in all its combinations and prints, for each
 * interface of the seed, what was issued. Exit status 1 when one is not covered or a run was not green.
 */
import { readFileSync } from 'node:fs';
import { CoverageRecorder, type CoverageRow, coverage } from '../machine/conformance/coverage.ts';
import {
  combinationOf,
  coverageRuns,
  imageName,
  isGreen,
  judgedLines,
  runConformance,
} from '../machine/conformance/runs.ts';

function measure(): { rows: CoverageRow[]; bad: string[]; lines: number } {
  const recorder = new CoverageRecorder();
  const bad: string[] = [];
  let lines = 0;
  for (const run of coverageRuns()) {
    const file = new URL(`../../public/guests/${imageName(run.image)}.elf`, import.meta.url);
    const outcome = runConformance(new Uint8Array(readFileSync(file)), run, ({ machine }) =>
      recorder.attach(machine.hv),
    );
    const judged = judgedLines(outcome.text);
    lines += judged.length;
    recorder.addLines(combinationOf(run.image), judged);
    const wanted = /end=(\w+)/.exec(run.commandLine)?.[1] ?? 'poweroff';
    if (!isGreen(outcome, wanted)) {
      const wrong = judged
        .filter((line) => !line.ok)
        .map((line) => `${line.row}: ${line.what} = ${line.value}`);
      const who = `${imageName(run.image)}${run.privileged ? ', initial domain' : ''}, '${run.commandLine}'`;
      bad.push(`${who}: ${outcome.end}, ${outcome.reason}; ${wrong.join('; ')}`);
    }
  }
  return { rows: coverage(recorder), bad, lines };
}

function cell({ succeeded, errors, missing }: CoverageRow['combinations'][number]): string {
  const seen = errors.map(({ name, seen, never }) => `${name} ${seen === 0 && never ? 'never' : seen}`);
  const text = [`ok ${succeeded}`, ...seen].join(', ');
  return missing.length > 0 ? `${text}  MISSING: ${missing.join(', ')}` : text;
}

function print(rows: readonly CoverageRow[], bad: readonly string[], lines: number): string {
  const out: string[] = [];
  let group = '';
  const reasons = new Set<string>();
  for (const row of rows) {
    if (row.group !== group) {
      group = row.group;
      out.push('', group.toUpperCase());
    }
    const vmi = row.vmi === null || row.vmi === '' ? 'none in VMI' : row.vmi;
    out.push(`${String(row.number).padStart(2)} ${row.covered ? 'covered' : 'NOT COVERED'}  ${row.spelled}`);
    out.push(`     ${row.implementedBy.join(', ')}; ${vmi}`);
    for (const one of row.combinations) {
      out.push(`     ${one.combination.padEnd(13)} ${cell(one)}`);
      for (const { name, seen, never } of one.errors)
        if (never !== null && seen === 0) reasons.add(`${row.spelled}, ${name}: ${never}`);
    }
  }
  if (reasons.size > 0) out.push('', 'Errors that the ABI lists and this machine cannot give:', ...reasons);
  if (bad.length > 0) out.push('', 'Runs that were not green:', ...bad);
  const covered = rows.filter((row) => row.covered).length;
  out.push('', `${covered} of ${rows.length} interfaces covered; ${lines} conformance lines`);
  return `${out.join('\n').trimStart()}\n`;
}

const { rows, bad, lines } = measure();
process.stdout.write(
  process.argv.includes('--json')
    ? `${JSON.stringify({ rows, bad, lines }, null, 2)}\n`
    : print(rows, bad, lines),
);
process.exitCode = bad.length > 0 || rows.some((row) => !row.covered) ? 1 : 0;
