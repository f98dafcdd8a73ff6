/** The run mode, always written out. */
import type { DomainSummary, MachineView } from '../../../worker/protocol.ts';

export interface ModeText {
  title: string;
  detail: string;
  moving: boolean;
}

const TITLES: Record<MachineView['mode'], string> = {
  empty: 'Empty machine',
  running: 'Running',
  paused: 'Paused',
  idle: 'Running, idle',
  ended: 'Ended',
  failed: 'Stopped by an error of the lab',
};

/** Real guest instructions per second, in millions: formatRate(7.04) = "7.0". */
export const formatRate = (mips: number): string => mips.toFixed(mips < 10 ? 1 : 0);

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** Who is on which CPU: "CPU 0 d1 v3, CPU 1 idle". */
export function onCpus(cpus: number, domains: readonly DomainSummary[]): string {
  const on = domains.flatMap((d) =>
    d.vcpus.map(({ vcpu, pcpu }) => ({ pcpu, name: `d${d.domid} v${vcpu}` })),
  );
  return Array.from(
    { length: cpus },
    (_, cpu) => `CPU ${cpu} ${on.find(({ pcpu }) => pcpu === cpu)?.name ?? 'idle'}`,
  ).join(', ');
}

export function describeMode(
  machine: MachineView | undefined,
  connection: 'starting' | 'ready' | 'restarting',
  domains: readonly DomainSummary[] = [],
): ModeText {
  if (machine === undefined) {
    const title = connection === 'restarting' ? 'Starting again' : 'Starting';
    return { title, detail: 'the engine is being made ready', moving: false };
  }
  const moving = machine.mode === 'running' || machine.mode === 'idle';
  if (machine.failure !== null) return { title: TITLES.failed, detail: machine.failure, moving: false };
  const title = TITLES[machine.mode];
  const size = machine.cpus > 1 ? onCpus(machine.cpus, domains) : `${machine.memoryMiB} MiB machine`;
  const rate = moving && machine.mips > 0 ? `${formatRate(machine.mips)} MIPS, ${size}` : size;
  const reason = machine.reason;
  // 'paused after a step' says the mode already; written once, as the title.
  if (reason.toLowerCase().startsWith(machine.mode) && reason.length > machine.mode.length) {
    return { title: capital(reason), detail: rate, moving };
  }
  return { title, detail: reason === machine.mode ? rate : reason, moving };
}
