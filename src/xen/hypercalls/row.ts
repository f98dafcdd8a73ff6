/**
 * The form of a hypercall row. One table describes each hypercall and sub-operation once; dispatch, multicall, trace
 * text, counters, the reference pages and the VMI map derive from it. The rules themselves live in the files named
 * after their subject (evtchn.ts, mmu-update.ts) and take no guest pointers.
 */
import type { FieldSpec, StructType } from '../abi/struct.ts';
import type { Domain } from '../domain.ts';
import type { Hypervisor } from '../hypervisor.ts';
import type { Vcpu } from '../vcpu.ts';

/** Who calls. One reused object per hypervisor: do not keep it. */
export interface Caller {
  hv: Hypervisor;
  domain: Domain;
  vcpu: Vcpu;
}

export interface ArgSpec {
  name: string;
  /** How the trace prints it. 'u64' takes two registers, low half first. */
  as: 'hex' | 'dec' | 'va' | 'mfn' | 'maddr' | 'port' | 'domid' | 'pointer' | 'u64' | 'cmd' | 'flags' | 'ns';
}

export interface SubOpRow<S extends StructType = StructType> {
  number: number;
  /** ABI spelling: 'EVTCHNOP_bind_virq', 'MMUEXT_PIN_L2_TABLE'. */
  name: string;
  /** Argument struct (copied in before run, 'out' fields copied back on success); null: none or handled by run. */
  arg: S | null;
  doc: string;
  /** The seed's spelling when it lists this interface. */
  seed?: string;
  vmi?: string;
  /** Only the privileged domain may; the table itself answers -EPERM otherwise. */
  privileged?: boolean;
  /** In the ABI, but not offered: always -ENOSYS, and shown so. */
  notOffered?: string;
  run?: (caller: Caller, arg: { [K in keyof S['fields']]: number }, rawArg: number) => number;
}

export interface HypercallRow {
  number: number;
  name: string;
  args: readonly ArgSpec[];
  doc: string;
  seed?: string;
  vmi?: string;
  /** Where the sub-operation number is: register argument 0 ('cmd'), or field 0 of the struct ('struct', the 3.0.2 form). */
  subOpsBy?: 'cmd' | 'struct';
  subOps?: readonly SubOpRow[];
  notOffered?: string;
  /** @param args EBX ECX EDX ESI EDI EBP, unsigned. @returns EAX, signed. */
  run?: (caller: Caller, args: Uint32Array) => number;
}
export type { FieldSpec };
