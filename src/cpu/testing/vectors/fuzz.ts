/**
 * Fresh cases on hardware and engine side by side, nothing stored: `npm run vectors:fuzz -- 17` for seed 17. Prints
 * the disagreements by row; exit status 1 if there are any.
 */
import { newProcessor } from '../processor.ts';
import { pack, unpack } from './format.ts';
import { generate } from './generate.ts';
import { onHardware } from './hardware.ts';
import { summary, VectorMachine } from './run.ts';
import { generateSequences } from './sequences.ts';

const seed = Number(process.argv[2] ?? '1');
if (!Number.isInteger(seed) || seed < 1 || seed > 2000)
  throw new Error('the seed is a number from 1 to 2000');

onHardware((run) => {
  for (const subject of ['integer', 'x87', 'sequences'] as const) {
    const cases = subject === 'sequences' ? generateSequences(seed) : generate(subject, seed);
    const vectors = unpack(pack(cases, run(cases)), seed);
    const report = new VectorMachine(newProcessor(2)).runAll(vectors);
    process.stdout.write(`${subject}: ${summary(report, true)}\n`);
    if (report.failed > 0) process.exitCode = 1;
  }
});
