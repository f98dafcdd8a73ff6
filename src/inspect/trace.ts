/** The newest events of the hypervisor's trace, as rows of text. */
import type { TracedCall, TraceRow, TraceView } from '../worker/protocol.ts';
import { explainRefusal } from '../xen/explain.ts';
import type { Hypervisor } from '../xen/hypervisor.ts';
import { TRACE_hypercall, TRACE_KIND_NAMES } from '../xen/trace.ts';
import { traceResult, traceText } from '../xen/trace-text.ts';

/** At most `limit` rows, newest last; of one domain when domid is given, of one hypercall when call is. */
export function traceView(
  hv: Hypervisor,
  limit: number,
  domid: number | undefined,
  call?: TracedCall,
): TraceView {
  const { trace } = hv;
  const rows: TraceRow[] = [];
  const most = Math.min(limit, 500);
  for (let sequence = trace.total - 1; rows.length < most; sequence--) {
    const slot = trace.slotOf(sequence);
    if (slot < 0) break;
    if (domid !== undefined && trace.domid[slot] !== domid) continue;
    if (call !== undefined) {
      if (trace.kind[slot] !== TRACE_hypercall || trace.number[slot] !== call.number) continue;
      // A batch has no sub-operation of its own.
      const sub = trace.sub[slot]!;
      if (call.sub !== null && sub !== -1 && sub !== call.sub) continue;
    }
    const refusal = trace.refusal[slot] ?? null;
    rows.push({
      sequence,
      at: trace.at[slot]!,
      domid: trace.domid[slot]!,
      vcpu: trace.vcpu[slot]!,
      kind: TRACE_KIND_NAMES[trace.kind[slot]!]!,
      text: traceText(trace, slot),
      result: traceResult(trace, slot),
      refused: refusal !== null,
      because: refusal === null ? null : explainRefusal(refusal),
    });
  }
  return { view: 'trace', total: trace.total, rows: rows.reverse() };
}
