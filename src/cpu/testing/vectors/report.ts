/** Prints how the engine fares on the hardware vectors, a line for each row: `npm run vectors:report`. */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { newProcessor } from '../processor.ts';
import { unpack } from './format.ts';
import { summary, VectorMachine } from './run.ts';

for (const name of ['integer', 'x87', 'sequences']) {
  const file = new URL(`./${name}.vec.gz`, import.meta.url);
  const report = new VectorMachine(newProcessor(2)).runAll(
    unpack(new Uint8Array(gunzipSync(readFileSync(file)))),
  );
  process.stdout.write(`${name}\n${summary(report, false)}\n`);
}
