/**
 * What every peer prints: one line for each run of a kernel. CPU time of the process, not wall time: machines are
 * shared.
 */
export interface Run {
  kernel: string;
  n: number;
  checksum: string;
  /** CPU time in microseconds. */
  cpuUs: number;
  /** Guest instructions, where the peer counts them. */
  instructions?: number;
}

export function cpuTimeUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

export function report(run: Run): void {
  process.stdout.write(`${JSON.stringify(run)}\n`);
}
