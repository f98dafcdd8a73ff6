/**
 * Checks the layers of the source tree with dependency-cruiser. The cruiser silently finds nothing when it cannot
 * read TypeScript, so zero modules is a failure of its own.
 */
import { spawnSync } from 'node:child_process';
import { root } from './modules.mjs';

const cruiser = `${root}node_modules/dependency-cruiser/bin/dependency-cruise.mjs`;
const result = spawnSync(
  process.execPath,
  [cruiser, 'src', '--config', '.dependency-cruiser.cjs', '--output-type', 'json'],
  { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28 },
);
let report;
try {
  report = JSON.parse(result.stdout).summary;
} catch {
  console.error(result.stderr || result.stdout);
  process.exit(2);
}
for (const violation of report.violations) {
  const path = violation.cycle?.map((step) => step.name ?? step).join(' -> ') ?? violation.to;
  console.error(`${violation.rule.name}: ${violation.from} -> ${path}`);
}
console.log(
  `${report.totalCruised} modules, ${report.totalDependenciesCruised} dependencies, ${report.error} errors`,
);
if (report.totalCruised === 0)
  console.error('No module was read: the cruiser does not understand the sources.');
process.exit(report.error > 0 || report.totalCruised === 0 ? 1 : 0);
