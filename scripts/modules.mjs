/** Sees to it that node_modules holds what package.json asks for. Needs Node and npm only. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));

/** Names of dependencies that are missing or of another version. Versions are pinned, so equality is the test. */
export function missingModules() {
  const wanted = readJson(`${root}package.json`);
  const missing = [];
  for (const [name, spec] of Object.entries({ ...wanted.dependencies, ...wanted.devDependencies })) {
    const version = spec.slice(spec.lastIndexOf('@') + 1);
    const file = `${root}node_modules/${name}/package.json`;
    // A package may carry build metadata behind its version.
    if (!existsSync(file) || readJson(file).version.split('+')[0] !== version) missing.push(name);
  }
  return missing;
}

export function run(command, args, options = {}) {
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    shell: process.platform === 'win32',
    ...options,
  });
  return result.status ?? 1;
}

export function ensureModules() {
  const [major] = process.versions.node.split('.');
  if (Number(major) < 20) {
    console.error(`Ringside needs Node 20 or newer; this is ${process.version}.`);
    process.exit(2);
  }
  const missing = missingModules();
  if (missing.length === 0) return;
  console.log(`Installing packages (${missing.length} missing or of another version) ...`);
  if (
    run('npm', ['ci', '--no-audit', '--no-fund']) !== 0 &&
    run('npm', ['install', '--no-audit', '--no-fund']) !== 0
  ) {
    console.error('npm could not install the packages; its messages are above.');
    process.exit(2);
  }
}
