/**
 * From `int $0x82` (or a multicall entry) to the handler: number range, sub-operation, arguments copied in and out,
 * counters and trace. Everything follows the table; no hypercall is known here by name, save iret, which has no
 * result. hypercalls.md section 1. A long call comes by in parts (continuation.ts).
 */
import { EAX, EBP, EBX, ECX, EDI, EDX, ESI } from '../../cpu/layout.ts';
import { EFAULT, EINVAL, ENOSYS, EPERM, errnoName } from '../abi/errno.ts';
import { type FieldSpec, readField, type StructType, writeField } from '../abi/struct.ts';
import { charge } from '../charge.ts';
import { beginPart } from '../continuation.ts';
import { BREAK_ON_HYPERCALL, type Hypervisor } from '../hypervisor.ts';
import { NO_RESULT, TRACE_hypercall, TRACE_WORDS } from '../trace.ts';
import { RELOAD_all, RELOAD_code, type Vcpu } from '../vcpu.ts';
import type { Caller, HypercallRow, SubOpRow } from './row.ts';
import { HYPERCALLS } from './table.ts';

const IRET = 23;
const SET_GDT = 2;
const UPDATE_DESCRIPTOR = 10;
const MMUEXT_OP = 26;

/**
 * Compiled from the table: rows by number, sub-operations by number, fields to copy out. What every call asks of its
 * row stands here again, in objects of one shape: the rows' own differ, and reading them costs ten times as much.
 */
interface CompiledSubOp {
  /** Of the row, only `run` is read at a call: tests put other handlers in its place. */
  row: SubOpRow;
  offered: boolean;
  privileged: boolean;
  takesStruct: boolean;
  fields: [string, FieldSpec][];
  outputs: [string, FieldSpec][];
  size: number;
}
interface CompiledRow {
  row: HypercallRow;
  offered: boolean;
  runs: boolean;
  /** The first argument is a command although the row runs by itself. */
  tracesCommand: boolean;
  byStruct: boolean;
  subOps: (CompiledSubOp | undefined)[];
  /** 'struct' forms: bytes of the whole struct. */
  structSize: number;
  structBodyAt: number;
}

function compileSubOp(row: SubOpRow): CompiledSubOp {
  const type: StructType | null = row.arg;
  const fields = type === null ? [] : Object.entries(type.fields);
  return {
    row,
    offered: row.notOffered === undefined && row.run !== undefined,
    privileged: row.privileged === true,
    takesStruct: row.arg !== null,
    fields: fields.filter(([, field]) => field.direction !== 'out'),
    outputs: fields.filter(([, field]) => field.direction !== 'in'),
    size: type?.size ?? 0,
  };
}

const compiled: (CompiledRow | undefined)[] = [];
for (const row of HYPERCALLS) {
  const subOps: (CompiledSubOp | undefined)[] = [];
  for (const sub of row.subOps ?? []) subOps[sub.number] = compileSubOp(sub);
  compiled[row.number] = {
    row,
    offered: row.notOffered === undefined,
    runs: row.run !== undefined,
    tracesCommand: row.run !== undefined && row.subOps !== undefined && row.args[0]?.as === 'cmd',
    byStruct: row.subOpsBy === 'struct',
    subOps,
    structSize: row.structSize ?? 0,
    structBodyAt: row.subOpsBy === 'struct' ? (row.structBodyAt ?? 4) : 0,
  };
}

/** What a sub-operation without a struct is given. */
const NO_STRUCT: Record<string, number> = Object.freeze({});

/** Registers of the call being dispatched at depth 0. */
const registers = new Uint32Array(TRACE_WORDS);

/** `int $0x82` from ring 1, eip still at the instruction. The caller runs the return path. */
export function enterHypercall(hv: Hypervisor, vcpu: Vcpu, instructionLength: number): void {
  const cpu = hv.cpu;
  const number = cpu.getReg(EAX);
  const { eip } = cpu;
  registers[0] = cpu.getReg(EBX);
  registers[1] = cpu.getReg(ECX);
  registers[2] = cpu.getReg(EDX);
  registers[3] = cpu.getReg(ESI);
  registers[4] = cpu.getReg(EDI);
  registers[5] = cpu.getReg(EBP);
  cpu.eip = (eip + instructionLength) >>> 0;
  cpu.retire();
  charge(hv, hv.costs.hypercall);
  const { continuation } = hv;
  const { unfinished } = hv.trace;
  continuation.begun = false;
  continuation.record = hv.trace.total;
  if (unfinished.some) {
    unfinished.begin(vcpu, eip, number, registers);
    beginPart(continuation, hv.now());
  }
  const result = executeHypercall(hv, vcpu, number, registers);
  if (continuation.wanted) {
    continuation.wanted = false;
    unfinished.end(vcpu, eip, number, registers);
    // EAX still holds the number.
    cpu.setReg(EBX, registers[0]!);
    cpu.setReg(ECX, registers[1]!);
    cpu.setReg(EDX, registers[2]!);
    cpu.setReg(ESI, registers[3]!);
    cpu.setReg(EDI, registers[4]!);
    cpu.eip = eip;
    return;
  }
  if (number !== IRET && vcpu.domain.end === null) cpu.setReg(EAX, result >>> 0);
  if (hv.breakOn & BREAK_ON_HYPERCALL) {
    hv.stopRequested = true;
    cpu.requestExit();
  }
}

/** The trace's record of a call that begins. @returns its sequence number */
function record(hv: Hypervisor, vcpu: Vcpu, number: number, args: Uint32Array): number {
  const { trace } = hv;
  const eip = (hv.cpu.eip - 2) >>> 0;
  const sequence = trace.record(
    hv.now(),
    TRACE_hypercall,
    vcpu.domain.id,
    vcpu.id,
    number | 0,
    -1,
    NO_RESULT,
    eip,
  );
  const slot = sequence & (trace.capacity - 1);
  const words = trace.words;
  for (let i = 0; i < TRACE_WORDS; i++) words[slot * TRACE_WORDS + i] = args[i]!;
  return sequence;
}

/**
 * One hypercall, by itself or as an entry of a multicall.
 * @returns EAX, signed; of a call that is to be met again (hv.continuation), nothing of meaning.
 */
export function executeHypercall(hv: Hypervisor, vcpu: Vcpu, number: number, args: Uint32Array): number {
  const trace = hv.trace;
  const begun = trace.unfinished.some ? trace.unfinished.take() : -1;
  const kept = begun >= 0 && trace.slotOf(begun) >= 0;
  const sequence = kept ? begun : record(hv, vcpu, number, args);
  const slot = sequence & (trace.capacity - 1);

  const entry = number < compiled.length ? compiled[number] : undefined;
  if (entry === undefined) {
    trace.result[slot] = ENOSYS;
    return ENOSYS;
  }
  const caller = hv.caller;
  caller.domain = vcpu.domain;
  caller.vcpu = vcpu;
  const ldtBase = vcpu.ldtBase;
  const ldtEntries = vcpu.ldtEntries;
  hv.lastRefusal = null;
  if (begun < 0) trace.calls[number]!++;

  let result: number;
  if (entry.tracesCommand && !kept) trace.sub[slot] = args[0]! | 0;
  if (!entry.offered) result = ENOSYS;
  else if (entry.runs) result = entry.row.run!(caller, args) | 0;
  else result = dispatchSubOp(caller, entry, args, sequence) | 0;

  if (
    number === SET_GDT ||
    number === UPDATE_DESCRIPTOR ||
    (number === MMUEXT_OP && (vcpu.ldtBase !== ldtBase || vcpu.ldtEntries !== ldtEntries))
  ) {
    // Selectors in use are loaded again on the way out: all of them in 3.0.2, CS and SS in 4.17.
    vcpu.reloadSegments = Math.max(
      vcpu.reloadSegments,
      vcpu.domain.personality === '3.0.2' ? RELOAD_all : RELOAD_code,
    );
  }
  if (hv.continuation.wanted) {
    if (trace.slotOf(sequence) >= 0) trace.continued[slot]!++;
    trace.unfinished.putAside(sequence);
    return result;
  }
  const refused = result < 0 && errnoName(result) !== undefined;
  if (refused) trace.refusedCalls[number]!++;
  if (trace.slotOf(sequence) >= 0) {
    if (vcpu.domain.end === null) trace.result[slot] = result;
    if (refused) trace.refusal[slot] = hv.lastRefusal;
    if (trace.onHypercall !== null) trace.onHypercall(slot);
  }
  return result;
}

/** Copies the sub-operation's struct in, runs it, copies its outputs back. */
function dispatchSubOp(caller: Caller, entry: CompiledRow, args: Uint32Array, sequence: number): number {
  const { hv, domain } = caller;
  const { row, byStruct } = entry;
  let cmd: number;
  let pointer: number;
  let view: DataView | null = null;
  if (byStruct) {
    pointer = args[0]!;
    // The old form is one struct of a fixed size: command first, then a union.
    view = hv.guest.read(domain, pointer, entry.structSize);
    if (view === null) return EFAULT;
    cmd = view.getUint32(0, true);
  } else {
    cmd = args[0]!;
    pointer = args[1]!;
  }
  const trace = hv.trace;
  const slot = sequence & (trace.capacity - 1);
  trace.sub[slot] = cmd | 0;
  if (row.admit !== undefined && view !== null) {
    const refused = row.admit(caller, view);
    if (refused !== 0) return refused;
  }
  const sub = entry.subOps[cmd];
  if (sub === undefined) {
    const old = row.unknownSubOp === 'EINVAL-302' && domain.personality === '3.0.2';
    return old || row.unknownSubOp === 'EINVAL' ? EINVAL : ENOSYS;
  }
  const result = runSubOp(caller, sub, view, entry.structBodyAt, pointer, slot, args);
  trace.countSubCall(row.number, cmd, result < 0);
  return result;
}

function runSubOp(
  caller: Caller,
  sub: CompiledSubOp,
  view: DataView | null,
  body: number,
  pointer: number,
  slot: number,
  args: Uint32Array,
): number {
  const { hv, domain } = caller;
  if (!sub.offered) return ENOSYS;
  const byStruct = body !== 0;
  const arg: Record<string, number> = sub.takesStruct ? {} : NO_STRUCT;
  if (sub.takesStruct) {
    if (!byStruct) view = hv.guest.read(domain, pointer, sub.size);
    if (view === null) return EFAULT;
    for (const [name, field] of sub.fields) arg[name] = readField(view, body, field);
    const words = hv.trace.words;
    for (let i = 0; i < TRACE_WORDS; i++) {
      words[slot * TRACE_WORDS + i] = 4 * i + 4 <= sub.size ? view.getUint32(body + 4 * i, true) : 0;
    }
  }
  if (sub.privileged && !domain.privileged) return EPERM;
  const result = sub.row.run!(caller, arg, byStruct ? pointer + body : args[1]!);
  if (result < 0 || sub.outputs.length === 0 || domain.end !== null) return result;
  // The whole struct goes back, outputs filled in: what was done stays done even if that fails.
  const fresh = hv.guest.readBytes(domain, pointer + body, sub.size);
  if (fresh === null) return EFAULT;
  const out = new DataView(fresh.buffer);
  for (const [name, field] of sub.outputs) {
    const value = arg[name];
    if (value !== undefined) writeField(out, 0, field, value);
  }
  const words = hv.trace.words;
  for (let i = 0; i < TRACE_WORDS && 4 * i + 4 <= sub.size; i++)
    words[slot * TRACE_WORDS + i] = out.getUint32(4 * i, true);
  return hv.guest.write(domain, pointer + body, fresh) ? result : EFAULT;
}
