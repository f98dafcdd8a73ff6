/** The instant in one line, from what is known of it: the newest row of the trace. Pure. */
import type { DomainSummary, MachineView, TraceRow } from '../../../worker/protocol.ts';

export interface Sentence {
  /** Whose doing it was. */
  who: { domid: number; text: string } | null;
  text: string;
  /** Why it was refused. */
  refused: string | null;
}

export function sentenceOf(
  machine: MachineView | undefined,
  newest: TraceRow | undefined,
  domains: readonly DomainSummary[],
): Sentence {
  if (machine === undefined || machine.mode === 'empty') {
    return {
      who: null,
      text: 'No domain yet. Boot a guest from the gallery, or drop a kernel on the page.',
      refused: null,
    };
  }
  if (machine.mode === 'running' || machine.mode === 'idle') {
    return { who: null, text: 'The machine is moving. Pause it (R) to look at one instant.', refused: null };
  }
  if (newest === undefined)
    return { who: null, text: 'Nothing has happened yet. Step or run.', refused: null };
  const name = domains.find((d) => d.domid === newest.domid)?.name;
  const result = newest.result === '' ? '' : ` → ${newest.result}`;
  return {
    who: {
      domid: newest.domid,
      text: `d${newest.domid}${name === undefined ? '' : ` ${name}`}, vcpu ${newest.vcpu}`,
    },
    text: `${newest.kind === 'hypercall' || newest.text.startsWith(newest.kind) ? '' : `${newest.kind}: `}${newest.text}${result}`,
    refused: newest.because ?? (newest.refused ? 'refused' : null),
  };
}
