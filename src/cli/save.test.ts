/** Going on from files: a lab that was saved, a domain that suspended itself. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { boot } from './boot.ts';
import { parseCommand } from './options.ts';

const folder = mkdtempSync(join(tmpdir(), 'lab-'));
afterAll(() => rmSync(folder, { recursive: true }));
const path = (name: string): string => join(folder, name);

interface Outcome {
  status: number;
  stdout: string;
  stderr: string;
}

function lab(...args: string[]): Outcome {
  const parsed = parseCommand(args);
  if (!parsed.ok) return { status: 2, stdout: '', stderr: parsed.error.message };
  if (parsed.value.command !== 'boot') throw new Error('no run');
  const outcome: Outcome = { status: -1, stdout: '', stderr: '' };
  outcome.status = boot(parsed.value.options, {
    stdout: (bytes) => {
      outcome.stdout += Buffer.from(bytes).toString('latin1');
    },
    stderr: (text) => {
      outcome.stderr += typeof text === 'string' ? text : Buffer.from(text).toString('latin1');
    },
    writeFile: writeFileSync,
    writeBytes: writeFileSync,
    clock: () => 0,
  });
  return outcome;
}
const stateOf = ({ stderr }: Outcome) => /state ([0-9a-f]{16})/.exec(stderr)?.[1];

describe('lab ... --save and lab resume', () => {
  it('go on as if the run had not been stopped, for as often as one likes', () => {
    const whole = lab('boot', 'pingpong', '--machine-memory', '32', '--hash');
    const file = path('lab.ringside');
    const first = lab(
      'boot',
      'pingpong',
      '--machine-memory',
      '32',
      '--max-instructions',
      '200000',
      '--save',
      file,
    );
    expect(first.status).toBe(3);
    const second = lab('resume', file, '--max-instructions', '400000', '--save', file);
    expect(second.status).toBe(3);
    const third = lab('resume', file, '--hash');
    expect(third.status).toBe(0);
    expect(stateOf(third)).toBe(stateOf(whole));
    const text = first.stdout + second.stdout + third.stdout;
    expect(text).toContain('answered 1000 events');
  });

  it('take typing for the first domain that still runs', () => {
    const file = path('shell.ringside');
    expect(
      lab('boot', 'userland', '--until', 'sh: pid 1', '--machine-memory', '32', '--save', file).status,
    ).toBe(0);
    const resumed = lab('resume', file, '--input', 'hello\\r', '--input', 'exit\\r');
    expect(resumed.stdout).toContain('hello from pid 2 in ring 3');
    expect(resumed.status).toBe(0);
  });

  it('refuse what the file says itself, and files that are none', () => {
    expect(lab('resume', 'x', '--machine-memory', '64').stderr).toMatch(/--machine-memory does not apply/);
    expect(lab('resume', 'x', '--seed', '3').stderr).toMatch(/--seed does not apply/);
    expect(lab('resume', 'x', '--cmdline', 'a').stderr).toMatch(/--cmdline does not apply/);
    expect(lab('resume').stderr).toMatch(/needs a saved lab/);
    const file = path('other');
    writeFileSync(file, 'something else');
    expect(lab('resume', file)).toMatchObject({
      status: 2,
      stderr: `lab: ${file}: the file was not saved by Ringside\n`,
    });
    expect(lab('resume', path('nowhere')).stderr).toMatch(/there is no such file/);
  });
});

describe('lab ... --suspend-to and lab restore', () => {
  const file = path('domain.ringside');

  it('carry a domain over to a machine of another size and seed', () => {
    const left = lab('boot', 'suspend', '--suspend-to', file, '--machine-memory', '64');
    expect(left.status).toBe(0);
    expect(left.stdout).not.toContain('resumed');
    const came = lab('restore', file, '--machine-memory', '16', '--seed', '99');
    expect(came.status).toBe(0);
    expect(came.stdout).toContain('7 of 7 mfns differ');
    expect(came.stdout).toContain('suspend: 1 times, 24 checks, all as expected');
  });

  it('tell files apart', () => {
    expect(lab('resume', file).stderr).toMatch(/the file is a domain's image, not a saved lab/);
    expect(lab('restore', file, '--memory', '8').stderr).toMatch(/--memory does not apply/);
  });

  it('fail when nobody suspends', () => {
    expect(lab('boot', 'hello', '--suspend-to', file)).toMatchObject({ status: 2 });
  });
});

describe('lab boot suspend', () => {
  it('goes through both machines by itself', () => {
    const run = lab('boot', 'suspend');
    expect(run.status).toBe(0);
    expect(run.stdout).toContain('resumed 1: domain 1, the clock ticks');
  });
});
