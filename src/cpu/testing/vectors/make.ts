/**
 * Makes the hardware vectors: `npm run vectors`. Generates the cases, runs them on this machine's processor
 * (hardware.ts), and writes integer.vec.gz, x87.vec.gz and sequences.vec.gz beside this file. Each case runs twice;
 * a processor must not contradict itself.
 */
import { writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { DONE, pack } from './format.ts';
import { generate } from './generate.ts';
import { onHardware } from './hardware.ts';
import { generateSequences } from './sequences.ts';

onHardware((run) => {
  for (const subject of ['integer', 'x87', 'sequences'] as const) {
    const cases = subject === 'sequences' ? generateSequences() : generate(subject);
    const outcomes = run(cases);
    const packed = pack(cases, outcomes);
    const zipped = gzipSync(packed, { level: 9 });
    writeFileSync(new URL(`./${subject}.vec.gz`, import.meta.url), zipped);
    const faults = outcomes.filter(({ vector }) => vector !== DONE).length;
    process.stdout.write(
      `${subject}: ${cases.length} cases, ${faults} faults, ${packed.length} bytes, ${zipped.length} gzipped\n`,
    );
  }
});
