/** The trace as lines, from where it was last read. A line: virtual ns, domain.vcpu, kind, text, result. */
import { traceView } from '../inspect/trace.ts';
import type { TraceRow } from '../worker/protocol.ts';
import type { Hypervisor } from '../xen/hypervisor.ts';
import type { TraceKind } from './options.ts';

const KINDS: Record<TraceKind, readonly TraceRow['kind'][]> = {
  hypercalls: ['hypercall'],
  traps: ['exception', 'upcall', 'emulate', 'virq', 'pirq'],
  all: ['hypercall', 'exception', 'upcall', 'emulate', 'virq', 'pirq', 'event', 'switch', 'domain'],
};

export class TracePrinter {
  readonly #hv: Hypervisor;
  readonly #kinds: readonly TraceRow['kind'][];
  #read = 0;

  constructor(hv: Hypervisor, kind: TraceKind) {
    this.#hv = hv;
    this.#kinds = KINDS[kind];
  }

  /** What happened since the last time. Events that were overwritten meanwhile are counted. */
  drain(): string {
    const fresh = this.#hv.trace.total - this.#read;
    if (fresh === 0) return '';
    const { rows } = traceView(this.#hv, fresh, undefined);
    const lines: string[] = [];
    const lost = fresh - rows.length;
    if (lost > 0) lines.push(`... ${lost} events lost`);
    this.#read = this.#hv.trace.total;
    for (const row of rows) if (this.#kinds.includes(row.kind)) lines.push(traceLine(row));
    return lines.length > 0 ? `${lines.join('\n')}\n` : '';
  }
}

/** '      1234567 d1.0 hypercall  mmuext_op(...) = 0'. */
export function traceLine(row: TraceRow): string {
  const result = row.result === '' ? '' : ` = ${row.result}`;
  const because = row.because === null ? '' : ` (${row.because})`;
  return `${String(row.at).padStart(13)} d${row.domid}.${row.vcpu} ${row.kind.padEnd(9)} ${row.text}${result}${because}`;
}
