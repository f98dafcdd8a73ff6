/** A domain: what the hypervisor keeps per guest. Plain state; rules live in the files named after their subject. */
import { GrantBooks } from './grant-books.ts';
import type { Abi, Personality } from './personality.ts';
import type { Refusal } from './refusal.ts';
import type { Vcpu } from './vcpu.ts';

export const DOMID_SELF = 0x7ff0;
export const DOMID_IO = 0x7ff1;
export const DOMID_XEN = 0x7ff2;
/** The toolstack's back ends when domain 0 is a guest (--privileged). */
export const DOMID_TOOLSTACK = 0x7fe0;
export const EVTCHN_PORTS = 1024;

export interface DomainConfig {
  name: string;
  abi: Abi;
  personality: Personality;
  /** Domain 0 with PRIVILEGED and INITDOMAIN rights. */
  privileged: boolean;
  vcpus: number;
  /** Frames that the domain may own at most. */
  maxFrames: number;
  commandLine: string;
}

/** Why and how a domain ended. */
export interface DomainEnd {
  reason: 'poweroff' | 'reboot' | 'suspend' | 'crash' | 'watchdog' | 'soft_reset' | 'other';
  /** The reason code as the guest passed it; 3 for crashes. */
  code: number;
  /** For crashes: one sentence of what happened. */
  sentence: string | null;
  /** The refusals that led to it, oldest first. */
  refusals: readonly Refusal[];
  vcpu: number;
  eip: number;
  /** Virtual ns. */
  at: number;
}

export class Domain {
  readonly id: number;
  readonly config: DomainConfig;
  readonly abi: Abi;
  readonly personality: Personality;
  readonly privileged: boolean;
  /** 4 or 8: bytes of a page-table entry. */
  readonly entryBytes: 4 | 8;
  /** Start of the hypervisor's hole in its address space. */
  readonly holeStart: number;
  readonly vcpus: Vcpu[] = [];

  /** Virtual ns of creation. */
  createdAt = 0;
  paused = false;
  end: DomainEnd | null = null;
  /** The domain is being torn down: its mappings go first, then its frames. */
  dying = false;

  /** Frames owned and allocated. */
  totalFrames = 0;
  maxFrames: number;
  /**
   * Tables whose last use this domain has ended, and whose entries are still to be dropped (validate.ts): before one of
   * its vcpus goes on, in pieces between which anything else may happen.
   */
  readonly undone: number[] = [];
  sharedInfoMfn = 0;
  /** Xen-heap frames of the grant table. */
  readonly grantFrames: number[] = [];
  /** What it granted and mapped (grants.ts). */
  readonly grants = new GrantBooks();
  /** vm_assist bitmap. */
  vmAssist = 0;

  // --- event channels: one row per port (evtchn.ts is the only writer)
  readonly portState = new Uint8Array(EVTCHN_PORTS);
  /** interdomain, unbound: the remote domain. */
  readonly portRemoteDomain = new Uint16Array(EVTCHN_PORTS);
  /** interdomain: remote port; virq: its number; pirq: its number. */
  readonly portTarget = new Uint16Array(EVTCHN_PORTS);
  readonly portVcpu = new Uint8Array(EVTCHN_PORTS);
  /** Events sent to this port since it was bound. */
  readonly portCount = new Float64Array(EVTCHN_PORTS);

  /** Ports below this number are valid: 3.0.2 allocates them in buckets of 128. */
  portLimit: number;

  /** SCHEDOP_watchdog: absolute virtual ns, Infinity when not armed. */
  readonly watchdogs = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  /** SCHEDOP_shutdown_code: what a later shutdown reports instead of its own reason; -1 not set. */
  shutdownCode = -1;
  /** UUID, for XENVER_guest_handle. */
  readonly handle = new Uint8Array(16);

  // --- what the builder told the guest; 0 when absent (privileged)
  consoleMfn = 0;
  consolePort = 0;
  storeMfn = 0;
  storePort = 0;

  constructor(id: number, config: DomainConfig, holeStart: number) {
    this.id = id;
    this.config = config;
    this.abi = config.abi;
    this.personality = config.personality;
    this.privileged = config.privileged;
    this.entryBytes = config.abi === 'x86_32p' ? 8 : 4;
    this.holeStart = holeStart;
    this.maxFrames = config.maxFrames;
    this.portLimit = config.personality === '3.0.2' ? 128 : EVTCHN_PORTS;
  }
}
