/**
 * The options of `lab`, described once: parsing, --help and the tests read this table. design: the same lab without
 * a screen, for tests, autograding and scripts.
 */
import { parseArgs } from 'node:util';
import type { Result, UserError } from '../base/result.ts';
import { PRESSES, type Press } from '../machine/press.ts';

interface OptionRow {
  name: string;
  /** Placeholder of the value; none: a switch. */
  value?: string;
  multiple?: boolean;
  group: 'domain' | 'machine' | 'files' | 'typing' | 'bounds' | 'report' | 'run';
  help: string;
}

export const OPTIONS: readonly OptionRow[] = [
  { name: 'ramdisk', value: 'FILE', group: 'domain', help: 'ramdisk for the image' },
  { name: 'cmdline', value: 'TEXT', group: 'domain', help: 'command line of the kernel' },
  { name: 'memory', value: 'MIB', group: 'domain', help: "the domain's memory (default 64)" },
  { name: 'vcpus', value: 'N', group: 'domain', help: 'virtual CPUs of the domain, 1 to 32' },
  { name: 'abi', value: 'ABI', group: 'domain', help: 'auto, x86_32 (2-level paging) or x86_32p (PAE)' },
  {
    name: 'xen',
    value: 'VERSION',
    group: 'domain',
    help: 'hypervisor that the domain sees: auto, 3.0.2 or 4.17',
  },
  { name: 'privileged', group: 'domain', help: 'start the image as domain 0; its console is console_io' },
  {
    name: 'machine-memory',
    value: 'MIB',
    group: 'machine',
    help: "the machine's memory, 16 to 1024 (default 256)",
  },
  { name: 'cpus', value: 'N', group: 'machine', help: 'simulated physical CPUs, 1 to 4' },
  {
    name: 'input',
    value: 'TEXT',
    multiple: true,
    group: 'typing',
    help: 'type TEXT (C escapes) when the guest has read all input, has printed since, and was silent for 50 virtual ms',
  },
  {
    name: 'input-after',
    value: 'TEXT=INPUT',
    multiple: true,
    group: 'typing',
    help: 'type INPUT once, as soon as TEXT was printed (C escapes; \\x3d is a = in TEXT)',
  },
  {
    name: 'press',
    value: 'KIND@MS',
    multiple: true,
    group: 'typing',
    help: 'press at that virtual time: button (IRQ 11) or nmi of domain 0, debug (VIRQ_DEBUG to the first domain), cpuN-off or cpuN-on (a physical CPU goes off line or on line)',
  },
  {
    name: 'save',
    value: 'FILE',
    group: 'files',
    help: 'when the run stops, save the whole lab there: lab resume FILE goes on',
  },
  {
    name: 'suspend-to',
    value: 'FILE',
    group: 'files',
    help: 'write a domain that suspends itself there: lab restore FILE runs it on other frames',
  },
  { name: 'until', value: 'TEXT', group: 'bounds', help: 'stop with success when TEXT was printed' },
  { name: 'max-instructions', value: 'N', group: 'bounds', help: 'stop after N guest instructions' },
  { name: 'timeout', value: 'SECONDS', group: 'bounds', help: 'stop after so much time of the host' },
  {
    name: 'trace',
    value: 'KIND',
    group: 'report',
    help: 'report hypercalls, traps or all on standard error',
  },
  { name: 'trace-file', value: 'FILE', group: 'report', help: 'write the trace there instead' },
  {
    name: 'json',
    value: 'FILE',
    group: 'report',
    help: 'write the report there (- is standard output, the console then goes to standard error)',
  },
  { name: 'hash', group: 'report', help: 'print the hash of the final state' },
  { name: 'no-jit', group: 'run', help: 'interpret only (there is no translator yet: no difference)' },
  { name: 'seed', value: 'N', group: 'run', help: 'seed of everything that is random (default 1)' },
  { name: 'costs', value: 'FILE', group: 'run', help: 'virtual cycles charged, as lines "name cycles"' },
  { name: 'help', group: 'run', help: 'this text' },
];

const GROUPS: Record<OptionRow['group'], string> = {
  domain: 'The domain (for an image; a demo brings its own)',
  machine: 'The machine',
  typing: 'Typing to the first domain',
  files: 'Files to go on from',
  bounds: 'When to stop',
  report: 'What to report',
  run: 'How to run',
};

export type TraceKind = 'hypercalls' | 'traps' | 'all';

/** What a run starts from: an image or demo, a saved lab, a suspended domain. */
export type StartFrom = 'boot' | 'resume' | 'restore';

export interface BootOptions {
  from: StartFrom;
  target: string;
  save: string | null;
  suspendTo: string | null;
  ramdisk: string | null;
  cmdline: string | null;
  memoryMiB: number | null;
  vcpus: number | null;
  abi: 'auto' | 'x86_32' | 'x86_32p' | null;
  xen: 'auto' | '3.0.2' | '4.17' | null;
  privileged: boolean;
  machineMemoryMiB: number;
  /** null: what the demo says, or 1. */
  cpus: number | null;
  input: Uint8Array[];
  inputAfter: { after: string; bytes: Uint8Array }[];
  press: { press: Press; atMs: number }[];
  until: string | null;
  maxInstructions: number | null;
  timeoutSeconds: number | null;
  trace: TraceKind | null;
  traceFile: string | null;
  json: string | null;
  hash: boolean;
  noJit: boolean;
  seed: number;
  costs: string | null;
}

export type Command =
  | { command: 'help' }
  | { command: 'list' }
  | { command: 'cpuid' }
  | { command: 'boot'; options: BootOptions };

export function usage(): string {
  const lines = [
    'Usage: lab boot DEMO|IMAGE [options]   run a demo, or a kernel image, without a screen',
    '       lab resume FILE [options]       go on with a lab that was saved by --save',
    '       lab restore FILE [options]      run a domain that was written by --suspend-to, in a fresh machine',
    '       lab list                        the demos',
    '       lab cpuid                       what the processor says about itself',
    '',
    "The guest's console goes to standard output, everything else to standard error.",
    'Exit status: 0 every domain powered off (or suspended, or ended as its demo expects; with --until: the text was',
    'seen), 1 any other end, 2 the arguments or the image are wrong, 3 a bound was reached.',
  ];
  for (const [group, title] of Object.entries(GROUPS)) {
    lines.push('', `${title}:`);
    for (const row of OPTIONS.filter((o) => o.group === group)) {
      const head = `  --${row.name}${row.value ? ` ${row.value}` : ''}`;
      lines.push(`${head.padEnd(28)} ${row.help}${row.multiple ? '; may be repeated' : ''}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/** Thrown while reading options and turned into a value at once; never leaves this file. */
class Wrong {
  readonly error: UserError;
  constructor(code: string, message: string) {
    this.error = { code, message };
  }
}

export function parseCommand(argv: readonly string[]): Result<Command> {
  try {
    return { ok: true, value: readCommand(argv) };
  } catch (wrong) {
    if (wrong instanceof Wrong) return { ok: false, error: wrong.error };
    // parseArgs says what it does not understand.
    if (wrong instanceof TypeError && 'code' in wrong && String(wrong.code).startsWith('ERR_PARSE_ARGS')) {
      return { ok: false, error: { code: 'bad-option', message: wrong.message.split('\n')[0]! } };
    }
    throw wrong;
  }
}

type Values = Record<string, string | boolean | (string | boolean)[] | undefined>;

function readCommand(argv: readonly string[]): Command {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: Object.fromEntries(
      OPTIONS.map((row) => [
        row.name,
        { type: row.value ? 'string' : 'boolean', multiple: row.multiple === true } as const,
      ]),
    ),
  });
  const [command, target, ...rest] = positionals;
  if (values['help'] || command === 'help') return { command: 'help' };
  if (command === undefined)
    throw new Wrong('no-command', 'a command is missing: boot, resume, restore, list or cpuid');
  if (command === 'list' || command === 'cpuid') {
    if (target !== undefined) throw new Wrong('too-many-arguments', `lab ${command} takes no argument`);
    return { command };
  }
  if (command !== 'boot' && command !== 'resume' && command !== 'restore') {
    const known = 'boot, resume, restore, list and cpuid';
    throw new Wrong('no-such-command', `there is no command '${command}'; there are ${known}`);
  }
  const wanted = { boot: 'demo or image', resume: 'saved lab', restore: 'domain file' }[command];
  if (target === undefined) throw new Wrong('no-image', `lab ${command} needs a ${wanted}`);
  if (rest.length > 0)
    throw new Wrong('too-many-arguments', `lab ${command} takes one ${wanted}, not also '${rest[0]}'`);
  for (const row of OPTIONS) {
    if (values[row.name] !== undefined && !appliesTo(command, row))
      throw new Wrong('not-for-this', `--${row.name} does not apply to lab ${command}: the file says it`);
  }
  return { command: 'boot', options: bootOptions(command, target, values) };
}

/** A saved lab brings its machine and its domains, a domain's file its domain. */
function appliesTo(command: StartFrom, row: OptionRow): boolean {
  if (command === 'boot') return true;
  if (row.group === 'domain' || row.name === 'press') return false;
  return command === 'restore' || (row.group !== 'machine' && row.name !== 'seed' && row.name !== 'costs');
}

function bootOptions(from: StartFrom, target: string, values: Values): BootOptions {
  const text = (name: string) => (values[name] as string | undefined) ?? null;
  const list = (name: string) => (values[name] as string[] | undefined) ?? [];
  const options: BootOptions = {
    from,
    target,
    save: text('save'),
    suspendTo: text('suspend-to'),
    ramdisk: text('ramdisk'),
    cmdline: text('cmdline'),
    memoryMiB: number('memory', text('memory'), 1, 1024),
    vcpus: number('vcpus', text('vcpus'), 1, 32),
    abi: oneOf('abi', text('abi'), ['auto', 'x86_32', 'x86_32p']),
    xen: oneOf('xen', text('xen'), ['auto', '3.0.2', '4.17']),
    privileged: values['privileged'] === true,
    machineMemoryMiB: number('machine-memory', text('machine-memory'), 16, 1024) ?? 256,
    cpus: number('cpus', text('cpus'), 1, 4),
    input: list('input').map((input) => unescapeInput('input', input)),
    inputAfter: list('input-after').map(inputAfter),
    press: list('press').map(timedPress),
    until: text('until') === null ? null : printedText(unescapeInput('until', text('until')!)),
    maxInstructions: number('max-instructions', text('max-instructions'), 1, Number.MAX_SAFE_INTEGER),
    timeoutSeconds: seconds(text('timeout')),
    trace: oneOf('trace', text('trace'), ['hypercalls', 'traps', 'all']),
    traceFile: text('trace-file'),
    json: text('json'),
    hash: values['hash'] === true,
    noJit: values['no-jit'] === true,
    seed: number('seed', text('seed'), 0, 0xffff_ffff) ?? 1,
    costs: text('costs'),
  };
  if (options.traceFile !== null && options.trace === null) options.trace = 'all';
  return options;
}

function number(name: string, text: string | null, least: number, most: number): number | null {
  if (text === null) return null;
  const value = /^(0x[0-9a-f]+|[0-9][0-9_]*(e[0-9]+)?)$/i.test(text)
    ? Number(text.replaceAll('_', ''))
    : Number.NaN;
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new Wrong('bad-number', `--${name} ${text}: a whole number from ${least} to ${most} is needed`);
}

function seconds(text: string | null): number | null {
  if (text === null) return null;
  const value = Number(text);
  if (text.trim() !== '' && value > 0 && Number.isFinite(value)) return value;
  throw new Wrong('bad-number', `--timeout ${text}: a number of seconds above 0 is needed`);
}

function oneOf<T extends string>(name: string, text: string | null, choices: readonly T[]): T | null {
  if (text === null) return null;
  const found = choices.find((choice) => choice === text);
  if (found !== undefined) return found;
  throw new Wrong('bad-choice', `--${name} ${text}: one of ${choices.join(', ')} is needed`);
}

function inputAfter(text: string): { after: string; bytes: Uint8Array } {
  const equals = text.indexOf('=');
  if (equals <= 0) throw new Wrong('bad-input-after', `--input-after ${text}: TEXT=INPUT is needed`);
  return {
    after: printedText(unescapeInput('input-after', text.slice(0, equals))),
    bytes: unescapeInput('input-after', text.slice(equals + 1)),
  };
}

/** 'button@12.5' */
function timedPress(text: string): { press: Press; atMs: number } {
  const [kind = '', at = ''] = text.split('@');
  const press = PRESSES.find((name) => name === kind);
  if (press === undefined || !/^[0-9]+(\.[0-9]+)?$/.test(at))
    throw new Wrong(
      'bad-press',
      `--press ${text}: KIND@MS is needed, KIND one of ${PRESSES.join(', ')}, MS virtual milliseconds`,
    );
  return { press, atMs: Number(at) };
}

/** Console text is searched byte for byte. */
const printedText = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');

const SIMPLE_ESCAPES: Record<string, number> = {
  a: 7,
  b: 8,
  e: 27,
  f: 12,
  n: 10,
  r: 13,
  t: 9,
  v: 11,
  '\\': 92,
  "'": 39,
  '"': 34,
  '?': 63,
};

/** The escapes of C (and \e): unescape('a\\x41\\n') = 'aA' and a line feed. Other characters become UTF-8. */
export function unescapeInput(option: string, text: string): Uint8Array {
  const bytes: number[] = [];
  for (let i = 0; i < text.length; ) {
    if (text[i] !== '\\') {
      const character = String.fromCodePoint(text.codePointAt(i)!);
      bytes.push(...new TextEncoder().encode(character));
      i += character.length;
      continue;
    }
    const rest = text.slice(i + 1);
    const hexadecimal = /^x([0-9a-f]{1,2})/i.exec(rest);
    const octal = /^[0-7]{1,3}/.exec(rest);
    const simple = SIMPLE_ESCAPES[rest[0] ?? ''];
    if (hexadecimal) {
      bytes.push(Number.parseInt(hexadecimal[1]!, 16));
      i += 1 + hexadecimal[0].length;
    } else if (octal) {
      bytes.push(Number.parseInt(octal[0], 8) & 255);
      i += 1 + octal[0].length;
    } else if (simple !== undefined) {
      bytes.push(simple);
      i += 2;
    } else {
      throw new Wrong('bad-escape', `--${option} ${text}: '\\${rest.slice(0, 1)}' is no escape`);
    }
  }
  return Uint8Array.from(bytes);
}
