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
  /** 'struct' forms: bytes of the whole struct, command included. */
  structSize?: number;
  /** 'struct' forms: where the sub-operation's own struct lies in the whole; 4 where nothing is said. */
  structBodyAt?: number;
  /** 'struct' forms: what is asked before the command is looked at. @returns 0 or an errno. */
  admit?: (caller: Caller, whole: DataView) => number;
  /** Answer to a command that is in no row: ENOSYS, or EINVAL where 3.0.2 says so. */
  unknownSubOp?: 'ENOSYS' | 'EINVAL' | 'EINVAL-302';
  notOffered?: string;
  /** @param args EBX ECX EDX ESI EDI EBP, unsigned. @returns EAX, signed. */
  run?: (caller: Caller, args: Uint32Array) => number;
}

/** Checks a row against its own struct and forgets the struct's type, so that different rows fit one list. */
export function subOp<S extends StructType>(row: SubOpRow<S>): SubOpRow {
  return row as unknown as SubOpRow;
}
/** A sub-operation without a struct; `run` is given the raw argument. */
export function plainSubOp(
  row: Omit<SubOpRow, 'arg' | 'run'> & { run: (caller: Caller, rawArg: number) => number },
): SubOpRow {
  const { run, ...rest } = row;
  return { ...rest, arg: null, run: (caller, _arg, rawArg) => run(caller, rawArg) };
}
/** In the ABI, but answered with -ENOSYS, and why. */
export function missingSubOp(number: number, name: string, doc: string, notOffered: string): SubOpRow {
  return { number, name, arg: null, doc, notOffered };
}
/** Who reads the sub-operation's struct: dispatch ('table'), or the row's own run ('row'). */
export function subOpReaderOf(row: HypercallRow): 'table' | 'row' {
  return row.run === undefined ? 'table' : 'row';
}
export type { FieldSpec };
