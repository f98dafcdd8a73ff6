/**
 * What the hypervisor refused, remembered so that a domain's end can be explained in one sentence: which instruction,
 * which address, which frame, of which type, by which rule, and what would have been legal.
 */
export interface Refusal {
  /** Virtual ns. */
  at: number;
  eip: number;
  cpl: number;
  /** 'mmu_update', 'store', 'in', 'bounce', 'iret' ...: what was tried. */
  operation: string;
  /** Stable name of the rule, kebab-case, e.g. 'store-to-l2-table', 'writable-mapping-of-table', 'no-trap-handler'. */
  rule: string;
  /** The errno (negative) or fault vector that the guest got; null when the domain died of it. */
  outcome: { errno: number } | { vector: number; code: number } | null;
  /** Bytes at eip as hex, for faults: the instruction that was refused. */
  instruction?: string;
  /** Linear address concerned. */
  va?: number;
  /** Frame concerned, its type when it was refused, and which entry of it. */
  mfn?: number;
  frameType?: string;
  entry?: number;
  /** The value that was asked for. */
  valueLow?: number;
  valueHigh?: number;
  /** What is wrong, as a clause without capital or full stop: 'frame 1a2c4 is in use as an L1 table'. */
  because: string;
  /** What would have been legal, as a clause: 'an mmu_update or update_va_mapping call may change it'. */
  legal?: string;
}

export const REFUSALS_KEPT = 8;
