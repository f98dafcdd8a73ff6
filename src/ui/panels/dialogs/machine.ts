/** Simulated physical CPUs that a machine can have. */
export const CPUS = [1, 2, 3, 4] as const;

export const cpuWords = (cpus: number): string => (cpus === 1 ? '1, as in most demos' : `${cpus}`);
