/** `npx tsx scripts/conformance-transcripts.ts`: writes the transcripts that the test compares with. */
import { readFileSync, writeFileSync } from 'node:fs';
import { imageName, isGreen, runConformance } from '../src/machine/conformance/runs.ts';
import { transcriptName, transcriptRuns } from '../src/machine/conformance/transcript.ts';

const folder = new URL('../src/machine/testing/golden/', import.meta.url);
for (const run of transcriptRuns()) {
  const image = readFileSync(new URL(`../public/guests/${imageName(run.image)}.elf`, import.meta.url));
  const outcome = runConformance(new Uint8Array(image), run);
  writeFileSync(new URL(transcriptName(run), folder), outcome.text);
  process.stdout.write(`${transcriptName(run)}: ${isGreen(outcome) ? 'green' : 'NOT GREEN'}\n`);
}
