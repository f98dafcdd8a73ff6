/**
 * npm test: everything, from a machine that has only Node and npm. Installs what is missing, then format check, lint,
 * layers, unused files, types, unit tests, build and browser tests; ends with `N passed, N failed, N skipped`, the
 * checks counting one each. RINGSIDE_REQUIRE_GUESTS=1 counts a skipped test of a real guest as failed.
 */
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { ensureBrowser } from './browser.mjs';
import { ensureModules, root, run } from './modules.mjs';

ensureModules();
const browser = ensureBrowser();
if (browser) process.env.RINGSIDE_BROWSER = browser;

const results = `${root}test-results/`;
rmSync(results, { recursive: true, force: true });
mkdirSync(results, { recursive: true });

const count = { passed: 0, failed: 0, skipped: 0 };
const failures = [];
const skips = [];

function check(title, command, args) {
  console.log(`\n== ${title}`);
  const started = Date.now();
  const status = run(command, args);
  console.log(
    `-- ${title}: ${status === 0 ? 'passed' : 'FAILED'} in ${((Date.now() - started) / 1000).toFixed(1)} s`,
  );
  if (status === 0) count.passed++;
  else {
    count.failed++;
    failures.push(title);
  }
  return status === 0;
}

/** A tool's own tests are counted one by one from its report; a report that is missing or empty is a failure. */
function tests(title, command, args, reportFile, read) {
  console.log(`\n== ${title}`);
  const status = run(command, args);
  const before = count.failed;
  if (existsSync(reportFile)) read(JSON.parse(readFileSync(reportFile, 'utf8')));
  if (status !== 0 && count.failed === before) {
    count.failed++;
    failures.push(`${title} (ended with status ${status})`);
  }
}

function skipped(name) {
  const ofRealGuest = /real guest|grub|gnu ?mach|linux|netbsd/i.test(name);
  if (ofRealGuest && process.env.RINGSIDE_REQUIRE_GUESTS === '1') {
    count.failed++;
    failures.push(`${name} (skipped, but real guests are required here)`);
  } else {
    count.skipped++;
    skips.push(name);
  }
}

function readVitest(report) {
  for (const file of report.testResults) {
    if (file.status === 'failed' && file.assertionResults.length === 0) {
      count.failed++;
      failures.push(`${file.name}: ${file.message}`);
    }
    for (const test of file.assertionResults) {
      if (test.status === 'passed') count.passed++;
      else if (test.status === 'failed') {
        count.failed++;
        failures.push(test.fullName);
      } else skipped(test.fullName);
    }
  }
}

function readPlaywright(report) {
  const visit = (suite, path) => {
    for (const inner of suite.suites ?? []) visit(inner, `${path} ${inner.title}`);
    for (const spec of suite.specs ?? []) {
      const name = `${path} ${spec.title}`.trim();
      for (const test of spec.tests) {
        if (test.status === 'skipped') skipped(name);
        else if (test.status === 'unexpected') {
          count.failed++;
          failures.push(name);
        } else count.passed++;
      }
    }
  };
  for (const suite of report.suites) visit(suite, suite.title);
}

check('format', 'npx', ['biome', 'format', '.']);
check('lint', 'npx', ['biome', 'lint', '--error-on-warnings', '.']);
check('layers', 'node', ['scripts/layers.mjs']);
check('unused files and packages', 'npx', ['knip', '--include', 'files,dependencies,unlisted,unresolved']);
check('types', 'node', ['scripts/types.mjs']);
tests(
  'unit tests',
  'npx',
  ['vitest', 'run', '--reporter=default', '--reporter=json', '--outputFile.json=test-results/unit.json'],
  `${results}unit.json`,
  readVitest,
);
const built = check('build', 'npx', ['vite', 'build', '--logLevel', 'warn']);
if (built && browser) {
  tests('browser tests', 'npx', ['playwright', 'test'], `${results}e2e.json`, readPlaywright);
} else {
  count.failed++;
  failures.push(`browser tests (${built ? 'no browser' : 'no build'})`);
}

if (skips.length > 0) console.log(`\nSkipped:\n${skips.map((name) => `  ${name}`).join('\n')}`);
if (failures.length > 0) console.log(`\nFailed:\n${failures.map((name) => `  ${name}`).join('\n')}`);
console.log(`\n${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`);
process.exit(count.failed > 0 ? 1 : 0);
