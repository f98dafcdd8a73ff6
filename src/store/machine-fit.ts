/**
 * Does a demo find what it needs on the present machine? A machine of its own makes its run the one of its manifest:
 * same domain numbers, same frames. So it gets one whenever that costs nobody anything, shares one with domains that
 * still live, and asks before they would have to go. Pure.
 */
import type { DomainSummary, MachineView } from '../worker/protocol.ts';
import type { Demo } from './gallery.ts';

export type Fit = { kind: 'joins' | 'fresh' } | { kind: 'asks'; why: string };

const FRAMES_PER_MIB = 256;

const ended = (domain: DomainSummary): boolean => domain.state === 'crashed' || domain.state === 'shutdown';

export function fitOf(
  demo: Pick<Demo, 'cpus' | 'domains'>,
  machine: Pick<MachineView, 'cpus' | 'freeFrames' | 'mode'> | undefined,
  domains: readonly DomainSummary[],
): Fit {
  const cpus = demo.cpus ?? machine?.cpus;
  if (machine === undefined) return { kind: 'fresh' };
  if (domains.length === 0) return { kind: cpus === machine.cpus ? 'joins' : 'fresh' };
  if (machine.mode === 'failed' || domains.every(ended)) return { kind: 'fresh' };
  if (cpus !== machine.cpus)
    return { kind: 'asks', why: `It needs ${cpusText(cpus!)}; this machine has ${machine.cpus}.` };
  if (demo.domains.some((d) => d.privileged))
    return { kind: 'asks', why: 'Its initial domain must be the first of its machine.' };
  const wanted = demo.domains.reduce((sum, d) => sum + (d.memoryMiB ?? 32), 0);
  if (wanted * FRAMES_PER_MIB > machine.freeFrames) {
    const free = Math.floor(machine.freeFrames / FRAMES_PER_MIB);
    return { kind: 'asks', why: `It needs ${wanted} MiB; ${free} MiB of this machine are free.` };
  }
  return { kind: 'joins' };
}

/** cpusText(1) = "1 CPU", cpusText(2) = "2 CPUs" */
export const cpusText = (cpus: number): string => (cpus === 1 ? '1 CPU' : `${cpus} CPUs`);
