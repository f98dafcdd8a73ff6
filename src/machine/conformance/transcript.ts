/**
 * Transcripts of the conformance guest, and how two of them are compared: line by line, without the lines that state
 * a fact of their machine and without its counts. Two hypervisors that keep the same rules agree.
 */
import { type ConformanceRun, coverageRuns, imageName } from './runs.ts';

/** The runs whose transcripts are kept: whole ones, as an ordinary domain and as the initial one. */
export const transcriptRuns = (): ConformanceRun[] =>
  coverageRuns()
    .filter((run) => !run.commandLine.includes('only='))
    .map((run) => ({ ...run, commandLine: '' }));

export const transcriptName = (run: ConformanceRun): string =>
  `${imageName(run.image)}${run.privileged ? '-initial' : ''}.txt`;

const JUDGED = / = .* (ok|WRONG(, expected .*)?)$/;
const NOT_TRIED = /: not tried, /;

/**
 * The lines that can be compared: what is judged, and what was not tried. Facts, the heading, the count and whatever
 * else was printed by others on the same console are left out.
 */
export function comparable(text: string): string[] {
  return text
    .replaceAll('\r', '')
    .split('\n')
    .map((line) => line.replace(/^\(XEN\) |^\(d\d+\) /, '').trimEnd())
    .filter((line) => JUDGED.test(line) || NOT_TRIED.test(line));
}

export interface Difference {
  /** Rule: the line up to its value, and how often it had come before. */
  rule: string;
  left: string | null;
  right: string | null;
}

/** `row: what`, numbered when a rule is tried several times. */
function byRule(lines: readonly string[]): Map<string, string> {
  const rules = new Map<string, string>();
  for (const line of lines) {
    const end = line.indexOf(' = ') < 0 ? line.indexOf(': not tried') : line.lastIndexOf(' = ');
    const text = line.slice(0, end);
    let rule = text;
    for (let n = 2; rules.has(rule); n++) rule = `${text} (${n})`;
    rules.set(rule, line.slice(end));
  }
  return rules;
}

const shown = (tail: string | undefined): string | null =>
  tail === undefined ? null : tail.replace(/^ = |^: /, '').replace(/ ok$/, '');

export function compareTranscripts(left: string, right: string): Difference[] {
  const a = byRule(comparable(left));
  const b = byRule(comparable(right));
  const differences: Difference[] = [];
  for (const rule of new Set([...a.keys(), ...b.keys()])) {
    if (a.get(rule) !== b.get(rule))
      differences.push({ rule, left: shown(a.get(rule)), right: shown(b.get(rule)) });
  }
  return differences;
}
