/**
 * Trace events as text, made on demand from the hypercall table: names, arguments and struct fields print the way
 * their rows say. Nothing here is known about a hypercall but its row.
 *
 *   traceText   "event_channel_op EVTCHNOP_bind_virq { virq 0, vcpu 0 }"
 *               "mmu_update(req 0xc0100000, count 100000, done NULL, foreigndom SELF), continued 39 times"
 *   traceResult "0", "-EINVAL", "0x40011"
 */
import { VIRQ_NAMES } from './abi/constants.ts';
import { errnoName } from './abi/errno.ts';
import type { FieldSpec, StructType } from './abi/struct.ts';
import { vectorName } from './explain.ts';
import { type ArgSpec, type HypercallRow, subOpReaderOf } from './hypercalls/row.ts';
import { hypercallRow } from './hypercalls/table.ts';
import { RUNSTATE_NAMES } from './runstate.ts';
import {
  NO_RESULT,
  TRACE_domain,
  TRACE_emulate,
  TRACE_event,
  TRACE_exception,
  TRACE_hypercall,
  TRACE_pirq,
  TRACE_switch,
  TRACE_upcall,
  TRACE_virq,
  TRACE_WORDS,
  type Trace,
} from './trace.ts';

const hex = (n: number) => `0x${(n >>> 0).toString(16)}`;

function formatValue(value: number, as: string | undefined): string {
  switch (as) {
    case 'dec':
    case 'port':
    case 'ns':
      return String(value);
    case 'domid':
      return value === 0x7ff0 ? 'SELF' : value === 0x7ff1 ? 'IO' : `d${value}`;
    case 'pointer':
      return value === 0 ? 'NULL' : hex(value);
    default:
      return value > 0xffff_ffff ? `0x${value.toString(16)}` : hex(value);
  }
}

/** A field from the first words of its struct; undefined when it lies behind them. */
function fieldFromWords(words: Uint32Array, at: number, field: FieldSpec): number | undefined {
  const word = field.offset >> 2;
  if (word >= TRACE_WORDS) return undefined;
  const value = words[at + word]!;
  const shift = (field.offset & 3) * 8;
  switch (field.type) {
    case 'u8':
      return (value >>> shift) & 0xff;
    case 'u16':
      return (value >>> shift) & 0xffff;
    case 's16':
      return ((value >>> shift) << 16) >> 16;
    case 'u32':
      return value;
    case 's32':
      return value | 0;
    case 'u64':
      return word + 1 < TRACE_WORDS ? value + words[at + word + 1]! * 0x1_0000_0000 : undefined;
  }
}

function structText(type: StructType, words: Uint32Array, at: number, refused: boolean): string {
  const parts: string[] = [];
  for (const [name, field] of Object.entries(type.fields)) {
    if (field.direction === 'out' && refused) continue;
    const value = fieldFromWords(words, at, field);
    if (value === undefined) continue;
    const shown = formatValue(value, field.as);
    parts.push(field.direction === 'out' ? `${name} -> ${shown}` : `${name} ${shown}`);
  }
  return parts.length === 0 ? '' : ` { ${parts.join(', ')} }`;
}

function argumentText(args: readonly ArgSpec[], words: Uint32Array, at: number): string {
  const parts: string[] = [];
  let word = 0;
  for (const arg of args) {
    const low = words[at + word++]!;
    if (arg.as === 'u64') {
      const high = words[at + word++]!;
      parts.push(`${arg.name} 0x${(high * 0x1_0000_0000 + low).toString(16)}`);
    } else parts.push(`${arg.name} ${formatValue(low, arg.as)}`);
  }
  return parts.length === 0 ? '' : `(${parts.join(', ')})`;
}

function hypercallText(trace: Trace, slot: number): string {
  const number = trace.number[slot]!;
  const row: HypercallRow | undefined = hypercallRow(number);
  const at = slot * TRACE_WORDS;
  if (row === undefined) return `hypercall ${number >>> 0}`;
  const sub = trace.sub[slot]!;
  if (sub === -1 || row.subOps === undefined) return `${row.name}${argumentText(row.args, trace.words, at)}`;
  const subRow = row.subOps.find((candidate) => candidate.number === sub);
  if (subRow === undefined) return `${row.name} ${sub}`;
  const refused = trace.result[slot]! < 0;
  // Rows that run themselves keep the registers; the others the struct's first words.
  const fields =
    subOpReaderOf(row) === 'table' && subRow.arg !== null
      ? structText(subRow.arg, trace.words, at, refused)
      : argumentText(row.args.slice(1), trace.words, at + 1);
  return `${row.name} ${subRow.name}${fields}`;
}

/** A call that came by in parts (continuation.ts). */
function continuedText(times: number): string {
  if (times === 0) return '';
  return times === 1 ? ', continued once' : `, continued ${times} times`;
}

/** What happened, in one line. */
export function traceText(trace: Trace, slot: number): string {
  const number = trace.number[slot]!;
  const sub = trace.sub[slot]!;
  const at = (trace.eip[slot]! >>> 0).toString(16).padStart(8, '0');
  switch (trace.kind[slot]) {
    case TRACE_hypercall:
      return hypercallText(trace, slot) + continuedText(trace.continued[slot]!);
    case TRACE_exception: {
      const code = trace.result[slot]!;
      return `${vectorName(number)} at ${at} in ring ${sub}${code >= 0 ? `, code ${code.toString(16)}` : ''}`;
    }
    case TRACE_upcall:
      return `upcall at ${at} in ring ${sub}`;
    case TRACE_switch:
      return `${RUNSTATE_NAMES[sub] ?? sub} -> ${RUNSTATE_NAMES[number] ?? number}`;
    case TRACE_emulate:
      return `emulated opcode ${number.toString(16).padStart(2, '0')} at ${at}`;
    case TRACE_virq:
      return `VIRQ ${VIRQ_NAMES[number] ?? number} on port ${sub}`;
    case TRACE_event:
      return `event from port ${number} to d${trace.result[slot]} port ${sub}`;
    case TRACE_pirq:
      return `PIRQ ${number} on port ${sub}`;
    case TRACE_domain:
      return `domain ended, reason ${number}`;
    default:
      return '';
  }
}

/** What it came to; '' where nothing is returned. */
export function traceResult(trace: Trace, slot: number): string {
  if (trace.kind[slot] !== TRACE_hypercall) return '';
  const result = trace.result[slot]!;
  if (result === NO_RESULT) return '';
  const errno = errnoName(result);
  if (errno !== undefined) return `-${errno}`;
  return result < 0 || result > 0xffff ? hex(result) : String(result);
}
