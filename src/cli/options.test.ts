import { describe, expect, it } from 'vitest';
import { type BootOptions, OPTIONS, parseCommand, unescapeInput, usage } from './options.ts';

const boot = (...args: string[]): BootOptions => {
  const parsed = parseCommand(['boot', 'hello', ...args]);
  if (!parsed.ok || parsed.value.command !== 'boot') throw new Error(JSON.stringify(parsed));
  return parsed.value.options;
};
const error = (...args: string[]): string => {
  const parsed = parseCommand(args);
  return parsed.ok ? 'ok' : parsed.error.code;
};
const bytes = (text: string) => [...unescapeInput('input', text)];

describe('the command line', () => {
  it('has the commands boot, list, cpuid and help', () => {
    expect(parseCommand(['list'])).toEqual({ ok: true, value: { command: 'list' } });
    expect(parseCommand(['cpuid'])).toEqual({ ok: true, value: { command: 'cpuid' } });
    expect(parseCommand(['--help'])).toEqual({ ok: true, value: { command: 'help' } });
    expect(parseCommand(['boot', 'x', '--help'])).toEqual({ ok: true, value: { command: 'help' } });
    expect([error(), error('dance'), error('boot'), error('boot', 'a', 'b'), error('list', 'a')]).toEqual([
      'no-command',
      'no-such-command',
      'no-image',
      'too-many-arguments',
      'too-many-arguments',
    ]);
  });
  it('leaves to a demo what is not said', () => {
    expect(boot()).toMatchObject({
      target: 'hello',
      memoryMiB: null,
      cmdline: null,
      xen: null,
      machineMemoryMiB: 256,
      seed: 1,
    });
  });
  it('reads every option', () => {
    const all = boot(
      ...[
        '--ramdisk',
        'r.img',
        '--cmdline',
        'a b',
        '--memory',
        '96',
        '--vcpus',
        '3',
        '--abi',
        'x86_32p',
        '--xen',
        '4.17',
      ],
      ...['--privileged', '--machine-memory', '512', '--cpus', '2', '--input', 'ls\\n', '--input', 'set\\r'],
      ...['--press', 'nmi@12.5'],
      ...[
        '--input-after',
        'grub> =help\\n',
        '--until',
        'done',
        '--max-instructions',
        '1_000_000',
        '--timeout',
        '2.5',
      ],
      ...[
        '--trace',
        'traps',
        '--trace-file',
        't.txt',
        '--json',
        'r.json',
        '--hash',
        '--no-jit',
        '--seed',
        '0x2a',
        '--costs',
        'c.txt',
      ],
      ...['--save', 'lab.ringside', '--suspend-to', 'domain.ringside'],
    );
    expect(all).toEqual({
      from: 'boot',
      target: 'hello',
      save: 'lab.ringside',
      suspendTo: 'domain.ringside',
      ramdisk: 'r.img',
      cmdline: 'a b',
      memoryMiB: 96,
      vcpus: 3,
      abi: 'x86_32p',
      xen: '4.17',
      privileged: true,
      machineMemoryMiB: 512,
      cpus: 2,
      press: [{ press: 'nmi', atMs: 12.5 }],
      input: [unescapeInput('input', 'ls\\n'), unescapeInput('input', 'set\\r')],
      inputAfter: [{ after: 'grub> ', bytes: unescapeInput('input', 'help\\n') }],
      until: 'done',
      maxInstructions: 1_000_000,
      timeoutSeconds: 2.5,
      trace: 'traps',
      traceFile: 't.txt',
      json: 'r.json',
      hash: true,
      noJit: true,
      seed: 42,
      costs: 'c.txt',
    });
  });
  it('refuses values that make no sense', () => {
    const wrong = (...args: string[]) => error('boot', 'x', ...args);
    expect(wrong('--memory', '0')).toBe('bad-number');
    expect(wrong('--memory', '12k')).toBe('bad-number');
    expect(wrong('--memory', '-5')).toBe('bad-option');
    expect(wrong('--machine-memory', '2048')).toBe('bad-number');
    expect(wrong('--timeout', '0')).toBe('bad-number');
    expect(wrong('--abi', 'x86_64')).toBe('bad-choice');
    expect(wrong('--trace', 'everything')).toBe('bad-choice');
    expect(wrong('--input-after', 'nothing')).toBe('bad-input-after');
    expect(wrong('--press', 'bell@5')).toBe('bad-press');
    expect(wrong('--press', 'nmi')).toBe('bad-press');
    expect(wrong('--input', 'a\\qb')).toBe('bad-escape');
    expect(wrong('--frobnicate')).toBe('bad-option');
    expect(wrong('--memory')).toBe('bad-option');
    expect(wrong('--cpus', '5')).toBe('bad-number');
    expect(wrong('--vcpus', '33')).toBe('bad-number');
  });
  it('documents every option', () => {
    for (const option of OPTIONS) expect(usage()).toContain(`--${option.name}`);
  });
});

describe('typed text', () => {
  it('knows the escapes of C', () => {
    expect(bytes('a\\n\\r\\t\\\\\\"')).toEqual([97, 10, 13, 9, 92, 34]);
    expect(bytes('\\x41\\x7f\\e\\033\\0')).toEqual([65, 127, 27, 27, 0]);
  });
  it('is UTF-8 otherwise', () => {
    expect(bytes('\u00e9')).toEqual([0xc3, 0xa9]);
  });
});
