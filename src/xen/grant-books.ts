/** What the hypervisor remembers of a domain's grants: plain state, changed by grants.ts only. */
export const MAX_GRANT_FRAMES = 64;
export const GRANTS_PER_FRAME = 512;
const MAX_GRANTS = MAX_GRANT_FRAMES * GRANTS_PER_FRAME;

/** One handle of the mapping domain. */
export interface GrantMapping {
  /** The granting domain; -1 once it is gone. */
  granter: number;
  ref: number;
  mfn: number;
  readonly: boolean;
  /** Mapped into the page tables: the L1 entry there holds the reference. */
  host: boolean;
  /** host_addr was the machine address of the L1 entry. */
  byEntry: boolean;
  /** Mapped for a device: holds a reference of its own. */
  device: boolean;
}

export class GrantBooks {
  /** Indexed by handle; null: free. */
  readonly mappings: (GrantMapping | null)[] = [];
  /** As granter, per reference: how many handles map it for reading, for writing, and what they map. */
  readonly readers = new Uint16Array(MAX_GRANTS);
  readonly writers = new Uint16Array(MAX_GRANTS);
  readonly pinnedMfn = new Uint32Array(MAX_GRANTS);
  readonly pinnedBy = new Uint16Array(MAX_GRANTS);
}
