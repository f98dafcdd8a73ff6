/** npm start: installs what is missing, builds the lab, serves it and prints its address. `--open` opens it too. */
import { spawn } from 'node:child_process';
import { ensureModules, root, run } from './modules.mjs';

ensureModules();
if (run('npx', ['vite', 'build', '--logLevel', 'warn']) !== 0) process.exit(1);

process.chdir(root);
const { preview } = await import('vite');
const server = await preview({ preview: { port: 4173, strictPort: false } });
const address = server.resolvedUrls?.local[0] ?? 'http://localhost:4173/';
console.log(`\nRingside is at ${address}   (Ctrl-C ends it)\n`);
if (process.argv.includes('--open')) {
  const opener = { darwin: 'open', win32: 'explorer' }[process.platform] ?? 'xdg-open';
  spawn(opener, [address], { stdio: 'ignore', detached: true })
    .on('error', () => {})
    .unref();
}
