/** What a demo asks of its user, in words. Pure. */
import type { Demo } from '../../../store/gallery.ts';

/** Lines that are named before the rest is only counted. */
const NAMED = 5;

const times = (count: number): string => (count === 1 ? '' : ` ${count} times`);

function typing(lines: readonly string[]): string | null {
  const words = lines.map((line) => line.replace(/[\r\n]+$/, '')).filter((line) => line !== '');
  if (words.length === 0) return null;
  const rest = words.length - NAMED;
  return `type ${words.slice(0, NAMED).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}

/** "press the lab button 3 times and NMI", or null where the demo does without its user. */
export function partOf(demo: Pick<Demo, 'input' | 'presses'>): string | null {
  const parts: string[] = [];
  const typed = typing(demo.input ?? []);
  if (typed !== null) parts.push(typed);
  const presses = demo.presses ?? [];
  const count = (kind: string) => presses.filter(({ press }) => press === kind).length;
  if (count('button') > 0) parts.push(`press Lab button${times(count('button'))}`);
  if (count('nmi') > 0) parts.push(`press NMI${times(count('nmi'))}`);
  for (const domid of new Set(presses.filter((p) => p.press === 'debug').map((p) => p.domid))) {
    const sent = presses.filter((p) => p.press === 'debug' && p.domid === domid).length;
    parts.push(`send VIRQ_DEBUG to d${domid}${times(sent)}`);
  }
  if (parts.length === 0) return null;
  return parts.length === 1 ? parts[0]! : `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}`;
}
