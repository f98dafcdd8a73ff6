/**
 * What the hypervisor's work costs, in virtual cycles (1 GHz: also nanoseconds). The only such table: runstates,
 * timers and the Xen/VMI comparison follow it. It is part of the configuration, and its hash of every golden file.
 */
export const COST_DOCS = {
  hypercall: 'entering and leaving the hypervisor by int $0x82',
  bounce: 'delivering an exception, software interrupt or upcall to the guest',
  emulation: 'fetching, decoding and carrying out a privileged instruction after #GP',
  entryCheck: 'checking one page-table entry or descriptor',
  pageValidation: 'validating or devalidating one page as a table',
  baseSwitch: 'loading CR3, or flushing the whole TLB',
  invlpg: 'flushing one page from the TLB',
  vcpuSwitch: 'taking one vcpu off the processor and putting another on',
} as const;

export type CostName = keyof typeof COST_DOCS;
export type Costs = { readonly [K in CostName]: number };

export const DEFAULT_COSTS: Costs = {
  hypercall: 300,
  bounce: 500,
  emulation: 1500,
  entryCheck: 40,
  pageValidation: 3000,
  baseSwitch: 500,
  invlpg: 100,
  vcpuSwitch: 2000,
};

const NAMES = Object.keys(COST_DOCS) as CostName[];

/** One `name cycles` per line, in table order: the form of --costs files. */
export function formatCosts(costs: Costs): string {
  return NAMES.map((name) => `${name} ${costs[name]}\n`).join('');
}

/**
 * Reads the text form; lines may be missing (the default stays), empty or comments (#).
 * @returns the costs, or a sentence that says what is wrong.
 */
export function parseCosts(text: string): Costs | string {
  const costs: Record<CostName, number> = { ...DEFAULT_COSTS };
  for (const [index, line] of text.split('\n').entries()) {
    const body = line.replace(/#.*/, '').trim();
    if (body === '') continue;
    const match = /^(\w+)[\s=:]+(\d+)$/.exec(body);
    if (!match) return `line ${index + 1}: expected a name and a number of cycles, found "${body}"`;
    const name = match[1]! as CostName;
    const cycles = Number(match[2]);
    if (!Object.hasOwn(COST_DOCS, name)) return `line ${index + 1}: there is no cost named ${name}`;
    if (cycles > 1_000_000) return `line ${index + 1}: ${cycles} cycles are more than a million`;
    costs[name] = cycles;
  }
  return costs;
}

/** FNV-1a of the text form: names a cost table in golden files. */
export function hashCosts(costs: Costs): number {
  let hash = 0x811c9dc5;
  for (const char of formatCosts(costs)) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193) >>> 0;
  return hash;
}
