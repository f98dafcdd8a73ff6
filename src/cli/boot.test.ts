import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { afterAll, describe, expect, it } from 'vitest';
import { guestFile } from '../machine/testing/boot.ts';
import { boot } from './boot.ts';
import { parseCommand } from './options.ts';
import type { Report } from './report.ts';

const folder = mkdtempSync(join(tmpdir(), 'lab-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string, content: Uint8Array | string): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};

const schema = JSON.parse(readFileSync(new URL('./report.schema.json', import.meta.url), 'utf8'));
const validate = new Ajv({ allErrors: true, allowUnionTypes: true }).compile(schema);

interface Outcome {
  status: number;
  stdout: string;
  stderr: string;
  files: Map<string, string>;
}

/** Runs `lab boot ...` in this process; the clock goes on by a millisecond whenever it is asked. */
function lab(...args: string[]): Outcome {
  const parsed = parseCommand(['boot', ...args]);
  if (!parsed.ok) return { status: 2, stdout: '', stderr: parsed.error.message, files: new Map() };
  if (parsed.value.command !== 'boot') throw new Error('no boot command');
  const outcome: Outcome = { status: -1, stdout: '', stderr: '', files: new Map() };
  let ms = 0;
  outcome.status = boot(parsed.value.options, {
    stdout: (bytes) => {
      outcome.stdout += Buffer.from(bytes).toString('latin1');
    },
    stderr: (text) => {
      outcome.stderr += typeof text === 'string' ? text : Buffer.from(text).toString('latin1');
    },
    writeFile: (name, text) => outcome.files.set(name, text),
    writeBytes: (name) => outcome.files.set(name, 'bytes'),
    clock: () => ms++,
  });
  return outcome;
}
const report = (outcome: Outcome): Report => {
  const parsed = JSON.parse(outcome.files.get('r.json')!);
  validate(parsed);
  expect(validate.errors).toBeNull();
  return parsed as Report;
};
const userland = file('userland.elf', guestFile('userland-x86_32p.elf'));
const hello = file('hello.elf', guestFile('hello-x86_32p.elf'));

describe('exit status 0', () => {
  it('a demo that ended as it promises; the console alone is on standard output', () => {
    const run = lab('hello');
    expect(run.status).toBe(0);
    expect(run.stdout).toMatch(/^Hello, ringside!/);
    expect(run.stdout).not.toContain('lab:');
    expect(run.stderr).toContain('lab: as the demo expects: d1 (hello) powered off');
  });
  it('an image that powered itself off', () => {
    expect(lab(hello, '--memory', '16')).toMatchObject({ status: 0 });
  });
  it('the text that was waited for', () => {
    const run = lab(userland, '--until', 'sh: pid 1');
    expect(run.status).toBe(0);
    expect(run.stderr).toContain("'sh: pid 1' was printed");
  });
});

describe('exit status 1', () => {
  it('the text never came', () => {
    expect(lab(hello, '--until', 'good evening')).toMatchObject({ status: 1 });
  });
  it('everybody waits for input that nobody will type', () => {
    const run = lab(userland, '--json', 'r.json');
    expect(run.status).toBe(1);
    expect(report(run).exit.reason).toBe('waiting');
  });
  it('a demo that does not print what it promises', () => {
    const run = lab('pagetables', '--cmdline', '', '--input', 'x');
    expect(run).toMatchObject({ status: 1 });
    expect(run.stderr).toContain("the demo should have printed 'got key 120'");
  });
});

describe('exit status 2', () => {
  it.each([
    ['no such demo or file', ['nothing'], "there is no demo 'nothing'"],
    ['no such file', ['/no/such.elf'], 'there is no such file'],
    ['no kernel', [file('text', 'hello')], 'not an ELF image'],
    ['a 64-bit kernel', [file('long', patched(4, 2))], '64-bit'],
    ['half a kernel', [file('half', guestFile('hello-x86_32p.elf').slice(0, 5000))], 'the file ends'],
    ['the other ABI', ['hello', '--abi', 'x86_32'], 'PAE paging'],
    ['a hypervisor without that ABI', ['hello-2006', '--xen', '4.17'], '3.0.2'],
    ['too little memory', ['hello', '--memory', '1'], 'too little memory'],
    ['more memory than the machine has', ['hello', '--memory', '512'], 'too little for a domain of 512 MiB'],
    [
      'a ramdisk that does not fit',
      ['hello', '--ramdisk', file('disk', new Uint8Array(9 << 20))],
      'ramdisk of 9 MiB is too big',
    ],
    ['a command line that does not fit', ['hello', '--cmdline', 'x'.repeat(1024)], '1024 bytes; 1023 fit'],
    ['costs that make no sense', ['hello', '--costs', file('costs', 'teleport 5')], 'no cost named teleport'],
    ['more virtual CPUs than a domain may have', ['hello', '--vcpus', '33'], '33'],
    ['more processors than the machine can have', ['hello', '--cpus', '5'], '5'],
  ])('%s', (_, args, sentence) => {
    const run = lab(...args);
    expect(run.status).toBe(2);
    expect(run.stderr).toContain(sentence);
    expect(run.stdout).toBe('');
  });
});

function patched(offset: number, byte: number): Uint8Array {
  const image = guestFile('hello-x86_32p.elf');
  image[offset] = byte;
  return image;
}

describe('exit status 3', () => {
  it('so many instructions, and not one more', () => {
    const run = lab('ticks', '--max-instructions', '123456', '--json', 'r.json');
    expect(run.status).toBe(3);
    expect(report(run)).toMatchObject({ instructions: 123_456, exit: { reason: 'max-instructions' } });
  });
  it('so much time of the host', () => {
    expect(lab('ticks', '--timeout', '0.02')).toMatchObject({ status: 3 });
  });
});

describe('typing', () => {
  it('waits until the guest has printed and is silent', () => {
    const run = lab(
      userland,
      '--memory',
      '16',
      '--input',
      'hello\\r',
      '--input',
      'exit\\r',
      '--json',
      'r.json',
    );
    expect(run.status).toBe(0);
    expect(run.stdout).toContain('hello from pid 2 in ring 3');
    const [first, second] = report(run).inputs;
    expect([first!.text, second!.text]).toEqual(['hello\r', 'exit\r']);
    expect(second!.cycle - first!.cycle).toBeGreaterThanOrEqual(50_000_000);
  });
  it('or comes as soon as a text was printed', () => {
    const run = lab(userland, '--memory', '16', '--input-after', '$ =exit\\r', '--json', 'r.json');
    expect(run.status).toBe(0);
    expect(report(run).inputs[0]!.cycle).toBeLessThan(50_000_000);
  });
});

describe('several domains', () => {
  it('have their lines told apart', () => {
    const lines = lab('pingpong').stdout.trimEnd().split(/\r?\n/);
    expect(lines.every((line) => /^d[12]\| /.test(line))).toBe(true);
    expect(lines).toContain('d2| pong: answered 1000 events');
  });
});

describe('the report', () => {
  const run = lab('hostile', '--json', 'r.json', '--seed', '7', '--hash');
  const data = report(run);
  it('says what was run, how, and what it printed', () => {
    expect(data).toMatchObject({
      demo: 'hostile',
      exit: { status: 0, reason: 'expected' },
      configuration: { seed: 7, machineMemoryMiB: 256 },
      domains: [{ domid: 1, abi: 'x86_32p', xen: '4.17', end: { reason: 'poweroff' } }],
    });
    expect(data.domains[0]!.console).toBe(run.stdout);
    expect(data.domains[0]!.refusals.length).toBeGreaterThan(0);
  });
  it('counts hypercalls by sub-operation, and those that were refused', () => {
    const whole = data.hypercalls.find((c) => c.name === 'mmuext_op' && c.sub === null)!;
    expect(whole.refused).toBeGreaterThan(0);
    expect(data.hypercalls.find((c) => c.sub === 'SCHEDOP_shutdown')?.calls).toBe(1);
    expect(data.exceptions.map((e) => e.vector)).toContain(13);
  });
  it('is the same for the same run, and its hash another for another seed', () => {
    const again = report(lab('hostile', '--json', 'r.json', '--seed', '7', '--no-jit'));
    expect({ ...again, wallMs: 0 }).toEqual({ ...data, wallMs: 0 });
    expect(run.stderr).toContain(`lab: state ${data.stateHash}`);
    const other = report(lab('hostile', '--json', 'r.json', '--seed', '8'));
    expect(other.stateHash).not.toBe(data.stateHash);
  });
  it('goes to standard output for -, and the console then to standard error', () => {
    const onStdout = lab('hello', '--json', '-');
    expect(JSON.parse(onStdout.stdout).demo).toBe('hello');
    expect(onStdout.stderr).toContain('Hello, ringside!');
  });
});

describe('costs', () => {
  it('make virtual time longer, not the run', () => {
    const cheap = report(lab('hello', '--json', 'r.json'));
    const dear = report(lab('hello', '--json', 'r.json', '--costs', file('dear', 'hypercall 3000\n')));
    expect(dear.virtualNs).toBeGreaterThan(cheap.virtualNs + 50_000);
    expect(dear.configuration.costs.hypercall).toBe(3000);
    expect(dear.configuration.costsHash).not.toBe(cheap.configuration.costsHash);
    expect(dear.domains[0]!.console.length).toBe(cheap.domains[0]!.console.length);
  });
});

describe('the trace', () => {
  it('has a line for each hypercall, in order of time', () => {
    const run = lab('hello', '--trace', 'hypercalls', '--trace-file', 't', '--json', 'r.json');
    const lines = run.files.get('t')!.trimEnd().split('\n');
    const calls = report(run)
      .hypercalls.filter((c) => c.sub === null)
      .reduce((sum, c) => sum + c.calls, 0);
    expect(lines).toHaveLength(calls);
    expect(lines.at(-1)).toMatch(/d1\.0 hypercall .*SCHEDOP_shutdown/);
    const times = lines.map((line) => Number(line.trim().split(' ')[0]));
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });
  it('of traps holds exceptions and upcalls; a refusal is told', () => {
    const traps = lab('hostile', '--trace', 'traps').stderr;
    expect(traps).toMatch(/d1\.0 exception #GP/);
    expect(traps).not.toContain(' hypercall ');
    expect(lab('hostile', '--trace', 'hypercalls').stderr).toMatch(/= -E[A-Z]+ \(.+\)/);
  });
});

describe('--privileged', () => {
  it('starts the image as domain 0, which has no rings and speaks by console_io', () => {
    const run = lab(hello, '--privileged', '--json', 'r.json', '--max-instructions', '5000000');
    const [domain] = report(run).domains;
    expect(domain).toMatchObject({ domid: 0, privileged: true, end: { reason: 'poweroff' } });
    expect(domain!.emergencyConsole).toContain('Hello, ringside!');
    expect(domain!.console).toBe(domain!.emergencyConsole);
    expect(run.stdout).toBe(domain!.console);
  });
  it('is typed to by console_io', () => {
    const run = lab(
      userland,
      '--privileged',
      '--memory',
      '16',
      '--input',
      'exit\\r',
      '--max-instructions',
      '90000000',
    );
    expect(run.status).toBe(0);
    expect(run.stdout).toContain('the last process has ended');
  });
});
