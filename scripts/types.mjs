/** Type check of the three projects: the engine without the DOM, the face, and everything that runs in Node. */
import { ensureModules, run } from './modules.mjs';

ensureModules();
let failed = 0;
for (const project of ['engine', 'app', 'node']) {
  const status = run('node', [
    'node_modules/@typescript/native/bin/tsc',
    '-p',
    `tsconfig.${project}.json`,
    '--noEmit',
  ]);
  console.log(`tsconfig.${project}.json: ${status === 0 ? 'clean' : 'errors'}`);
  if (status !== 0) failed++;
}
process.exit(failed > 0 ? 1 : 0);
