import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { guestFile } from '../testing/boot.ts';
import { imageName, runConformance } from './runs.ts';
import { comparable, compareTranscripts, transcriptName, transcriptRuns } from './transcript.ts';

const golden = (name: string) => new URL(`../testing/golden/${name}`, import.meta.url);

describe('the transcript of', () => {
  it.each(transcriptRuns().map((run) => [transcriptName(run), run] as const))(
    '%s is what it was (`npx tsx scripts/conformance-transcripts.ts` writes it anew)',
    (name, run) => {
      expect(existsSync(golden(name))).toBe(true);
      const { text } = runConformance(guestFile(`${imageName(run.image)}.elf`), run);
      expect(text).toBe(readFileSync(golden(name), 'utf8'));
    },
  );
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
