/**
 * The conformance guest judges the hypervisor itself, one line for each rule: every image, as an ordinary domain and
 * as the initial one, must find nothing wrong and come to its count, and its transcript is what it was.
 */
import { existsSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { audit } from '../../xen/audit.ts';
import { guestFile } from '../testing/boot.ts';
import { imageName, isGreen, judgedLines, type Outcome, runConformance } from './runs.ts';
import { comparable, compareTranscripts, transcriptName, transcriptRuns } from './transcript.ts';

const golden = (name: string) => new URL(`../testing/golden/${name}`, import.meta.url);
/** Of the shortest of the runs. */
const FEWEST_LINES = 400;

describe.each(transcriptRuns().map((run) => [transcriptName(run), run] as const))('%s', (name, run) => {
  let outcome: Outcome;
  beforeAll(() => {
    outcome = runConformance(guestFile(`${imageName(run.image)}.elf`), run);
  }, 120_000);

  it('finds nothing wrong, and comes to its count', () => {
    const judged = judgedLines(outcome.text);
    expect(judged.filter((line) => !line.ok)).toEqual([]);
    // The count is of what was printed: no line got lost.
    const count = Number(/^conformance: (\d+) lines/m.exec(outcome.text)?.[1]);
    expect(count).toBe(judged.length);
    expect(count).toBeGreaterThan(FEWEST_LINES);
    expect(isGreen(outcome)).toBe(true);
  });

  it('leaves the books of the frames in order', () => {
    expect(audit(outcome.session.machine.hv)).toEqual([]);
  });

  it('is the transcript that it was (`npx tsx scripts/conformance-transcripts.ts` writes it anew)', () => {
    expect(existsSync(golden(name))).toBe(true);
    expect(outcome.text).toBe(readFileSync(golden(name), 'utf8'));
  });
});

describe('comparing transcripts', () => {
  const lab =
    'conformance: Xen 4.17\nXENVER_extraversion: value = .lab\na: b = 0 ok\na: c = yes ok\na: b = 1 ok\n';
  it('leaves out facts, headings, counts and the prefixes of a log', () => {
    expect(comparable(lab)).toEqual(['a: b = 0 ok', 'a: c = yes ok', 'a: b = 1 ok']);
    const other = '(XEN) console ready\r\n(XEN) a: b = 0 ok\r\na: c = yes ok\r\na: b = 1 ok\r\n';
    expect(compareTranscripts(lab, other)).toEqual([]);
  });
  it('tells values that differ, and rules that only one has tried', () => {
    const other = 'a: b = 0 ok\na: c = no WRONG\na: d: not tried, because\n';
    expect(compareTranscripts(lab, other)).toEqual([
      { rule: 'a: c', left: 'yes', right: 'no WRONG' },
      { rule: 'a: b (2)', left: '1', right: null },
      { rule: 'a: d', left: null, right: 'not tried, because' },
    ]);
  });
});
