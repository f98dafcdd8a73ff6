/**
 * Random hypercalls, made from the hypercall table: each row and sub-operation gets its turn, register arguments and
 * structs are filled field by field from their descriptions, and structs are put into the guest's memory. Calls that
 * read more than one struct (batches, lists) say here what they read.
 */
import { type FieldSpec, readField, type StructType, writeField } from '../abi/struct.ts';
import {
  cpu_user_regs,
  evtchn_bind_interdomain,
  mmu_update,
  mmuext_op,
  trap_info,
  VCPU_CONTEXT_ARRAYS,
} from '../abi/structs.ts';
import { TYPE_l1, TYPE_l2, TYPE_l3 } from '../frames.ts';
import { GNTMAP_contains_pte, GNTMAP_readonly } from '../grant-map.ts';
import { xen_memory_exchange } from '../hypercalls/memory-op.ts';
import { PLATFORM_INTERFACE_VERSION } from '../hypercalls/platform-op.ts';
import type { HypercallRow, SubOpRow } from '../hypercalls/row.ts';
import { HYPERCALLS } from '../hypercalls/table.ts';
import { guestCr3 } from '../roots.ts';
import { ARGUMENT_BYTES } from './guest.ts';
import type { Context } from './values.ts';
import * as values from './values.ts';

/** What is called: a row and, if it has some, one of its sub-operations. */
export interface Plan {
  row: HypercallRow;
  sub: SubOpRow | null;
  weight: number;
  /** 'mmuext_op MMUEXT_PIN_L1_TABLE'. */
  name: string;
  issued: number;
  succeeded: number;
  /** [0] answers that are no errno, [n] those of -n. */
  results: Uint32Array;
}

/** Beyond every errno. */
export const RESULTS = 128;

export interface Call {
  plan: Plan;
  number: number;
  args: number[];
  /** Did it do what it was asked? Results at or above 0 in most calls; looked up before anything else happens. */
  succeeded: (result: number) => boolean;
}

const notNegative = (result: number): boolean => result >= 0;
const isZero = (result: number): boolean => result === 0;

const SET_TRAP_TABLE = 0;
const MMU_UPDATE = 1;
const SET_GDT = 2;
const UPDATE_DESCRIPTOR = 10;
const MEMORY_OP = 12;
const MULTICALL = 13;
const UPDATE_VA_MAPPING = 14;
const SCHED_OP_COMPAT = 6;
const CONSOLE_IO = 18;
const GRANT_TABLE_OP = 20;
const UPDATE_VA_MAPPING_OTHERDOMAIN = 22;
const IRET = 23;
const VCPU_OP = 24;
const MMUEXT_OP = 26;
const SCHED_OP = 29;

/** How often a row is called, all its sub-operations together. */
const ROW_WEIGHT: Record<number, number> = {
  [MMU_UPDATE]: 300,
  [MMUEXT_OP]: 240,
  [UPDATE_VA_MAPPING]: 120,
  [UPDATE_VA_MAPPING_OTHERDOMAIN]: 30,
  [MEMORY_OP]: 140,
  [GRANT_TABLE_OP]: 200,
  [SET_GDT]: 60,
  [UPDATE_DESCRIPTOR]: 50,
  [MULTICALL]: 40,
  16: 60,
  32: 90,
  [SCHED_OP_COMPAT]: 10,
  [SCHED_OP]: 25,
  [VCPU_OP]: 60,
  21: 8,
};
const OTHER_WEIGHT = 15;
/** Sub-operations that end a domain, by row and number: they must stay rare. */
const DEADLY = new Set([SCHED_OP_COMPAT * 64 + 2, SCHED_OP * 64 + 2, SCHED_OP * 64 + 4, VCPU_OP * 64 + 2]);

function makePlans(): Plan[] {
  const plans: Plan[] = [];
  for (const row of HYPERCALLS) {
    const weight = row.notOffered ? 1 : (ROW_WEIGHT[row.number] ?? OTHER_WEIGHT);
    const subs: (SubOpRow | null)[] = row.subOps ? [...row.subOps] : [null];
    for (const sub of subs) {
      const rare = sub !== null && (DEADLY.has(row.number * 64 + sub.number) || sub.notOffered !== undefined);
      plans.push({
        row,
        sub,
        weight: (weight / subs.length) * (rare ? 0.08 : 1),
        name: sub ? `${row.name} ${sub.name}` : row.name,
        issued: 0,
        succeeded: 0,
        results: new Uint32Array(RESULTS),
      });
    }
  }
  return plans;
}

export class CallMaker {
  readonly plans = makePlans();
  /** Sum of the weights up to each plan. */
  readonly #upTo: Float64Array;

  constructor() {
    this.#upTo = new Float64Array(this.plans.length);
    let sum = 0;
    for (const [i, plan] of this.plans.entries()) {
      sum += plan.weight;
      this.#upTo[i] = sum;
    }
  }

  #choose({ random }: Context): Plan {
    const upTo = this.#upTo;
    const at = (random.next() / 0x1_0000_0000) * upTo[upTo.length - 1]!;
    let low = 0;
    for (let high = upTo.length - 1; low < high; ) {
      const middle = (low + high) >> 1;
      if (at < upTo[middle]!) high = middle;
      else low = middle + 1;
    }
    return this.plans[low]!;
  }

  /** The next call; its structs are in the guest's memory already. */
  make(context: Context, inMulticall = false): Call {
    const { random } = context;
    for (;;) {
      const plan = this.#choose(context);
      if (inMulticall && (plan.row.number === MULTICALL || plan.row.number === IRET) && !random.chance(10))
        continue;
      const call: Call = { plan, number: plan.row.number, args: [], succeeded: notNegative };
      this.#fill(context, call);
      if (random.chance(1)) {
        // Noise over what was made with care.
        if (call.args.length > 0 && random.chance(80))
          call.args[random.below(call.args.length)] = values.boundary(context);
        else call.number = values.boundary(context);
      }
      return call;
    }
  }

  #fill(context: Context, call: Call): void {
    const { plan } = call;
    switch (plan.row.number) {
      case SET_TRAP_TABLE:
        call.args = [context.random.chance(5) ? 0 : trapTable(context)];
        return;
      case MMU_UPDATE:
        mmuUpdateBatch(context, call);
        return;
      case MMUEXT_OP:
        mmuextBatch(context, call);
        return;
      case SET_GDT:
        setGdtCall(context, call);
        return;
      case UPDATE_DESCRIPTOR:
        updateDescriptorCall(context, call);
        return;
      case MEMORY_OP:
        memoryOp(context, call);
        return;
      case MULTICALL:
        this.#multicall(context, call);
        return;
      case UPDATE_VA_MAPPING:
      case UPDATE_VA_MAPPING_OTHERDOMAIN:
        updateVa(context, call);
        return;
      case GRANT_TABLE_OP:
        grantOp(context, call);
        return;
      case IRET:
        return;
      case VCPU_OP:
        vcpuOp(context, call);
        return;
      case CONSOLE_IO:
        call.args = [command(context, plan), values.small(context, 100), pointer(context, 128)];
        return;
      default:
        generic(context, call);
    }
  }

  #multicall(context: Context, call: Call): void {
    const { random, guest } = context;
    const count = random.chance(97) ? 1 + random.below(4) : values.boundary(context);
    const list = guest.room(32 * 4);
    for (let i = 0; i < Math.min(count, 4); i++) {
      const inner = guest.hasRoom(4096) ? this.make(context, true) : null;
      const words = inner ? [inner.number, 0, ...inner.args] : [17, 0];
      putWords(context, list + 32 * i, words.slice(0, 8));
    }
    call.args = [list, count];
  }
}

// ---------------------------------------------------------------- memory

/** SCRATCH: a struct on its way into the guest's memory. */
const scratch = new Uint8Array(ARGUMENT_BYTES);
const scratchView = new DataView(scratch.buffer);

/** So many zero bytes to be filled. */
function blank(bytes: number): DataView {
  scratch.fill(0, 0, bytes);
  return scratchView;
}

function putWords({ guest }: Context, at: number, words: readonly number[]): void {
  for (let i = 0; i < words.length; i++) scratchView.setUint32(4 * i, words[i]! >>> 0, true);
  guest.store(at, scratch, words.length * 4);
}

/** Words in the guest's memory; their address. */
function list(context: Context, words: readonly number[]): number {
  const at = context.guest.room(words.length * 4);
  putWords(context, at, words);
  return at;
}

/** Room for so many bytes; rarely an address that is no good. */
function pointer(context: Context, bytes: number): number {
  const { random, guest } = context;
  if (random.chance(4) || !guest.hasRoom(bytes)) {
    const roll = random.below(4);
    if (roll === 0) return (guest.domain.holeStart - random.below(bytes + 1)) >>> 0;
    if (roll === 1) return values.va(context);
    return roll === 2 ? 0 : values.boundary(context);
  }
  // Sometimes across a page boundary, sometimes unaligned.
  if (random.chance(3) && guest.hasRoom(ARGUMENT_BYTES / 2)) {
    const at = guest.room(4);
    return guest.room(bytes, 4096 - (at & 4095) - 4 - random.below(Math.min(bytes, 64)));
  }
  return guest.room(bytes, random.chance(2) ? random.below(4) : 0);
}

/** What is done for each field of a struct: looked up once. */
interface Filling {
  name: string;
  field: FieldSpec;
  limit: number;
  out: boolean;
  list: ((context: Context) => number) | null;
}

const zero = (): number => 0;
const looseOrAny = (context: Context): number =>
  context.random.chance(80) ? values.looseMfn(context) : values.mfn(context);
/** Fields that point to lists get lists. */
const LISTS: Record<string, (context: Context) => number> = {
  ports: (context) => values.port(context),
  extent_start: looseOrAny,
  in_extent_start: looseOrAny,
  out_extent_start: values.boundary,
  frame_list: zero,
  buffer: zero,
};
const LIST_WORDS = 8;

const fillings = new Map<StructType, Filling[]>();
function fillingsOf(type: StructType): Filling[] {
  let rows = fillings.get(type);
  if (rows === undefined) {
    rows = [];
    for (const [name, field] of Object.entries(type.fields)) {
      const limit = field.type === 'u8' ? 0xff : field.type.endsWith('16') ? 0xffff : Infinity;
      rows.push({ name, field, limit, out: field.direction === 'out', list: LISTS[name] ?? null });
    }
    fillings.set(type, rows);
  }
  return rows;
}

function fillStruct(context: Context, type: StructType, view: DataView, at: number): void {
  const rows = fillingsOf(type);
  for (let i = 0; i < rows.length; i++) {
    const { out, field, name, limit } = rows[i]!;
    if (out && context.random.chance(90)) continue;
    let value = values.value(context, field.as, name);
    if (value > limit) value &= limit;
    writeField(view, at, field, value);
  }
  for (let i = 0; i < rows.length; i++) {
    const { list, field } = rows[i]!;
    if (list === null) continue;
    const to = randomList(context, list);
    if (to !== 0) writeField(view, at, field, to);
  }
  if (type === evtchn_bind_interdomain) {
    const offered = context.random.chance(85) ? values.offeredPort(context) : null;
    if (offered === null) return;
    writeField(view, at, evtchn_bind_interdomain.fields.remote_dom, offered.domid);
    writeField(view, at, evtchn_bind_interdomain.fields.remote_port, offered.port);
  }
}

const listScratch = new Uint8Array(LIST_WORDS * 4);
const listView = new DataView(listScratch.buffer);

/** A list of such values in the guest's memory; rarely 0. */
function randomList(context: Context, one: (context: Context) => number): number {
  const { guest, random } = context;
  for (let i = 0; i < LIST_WORDS; i++) listView.setUint32(4 * i, one(context) >>> 0, true);
  if (!random.chance(93) || !guest.hasRoom(64)) return 0;
  const at = guest.room(LIST_WORDS * 4);
  guest.store(at, listScratch, LIST_WORDS * 4);
  return at;
}

/** A struct of the type in the guest's memory; its address. */
function placeStruct(
  context: Context,
  type: StructType,
  before = 0,
  whole = type.size + before,
  command = 0,
): number {
  const bytes = Math.max(whole, type.size + before);
  const view = blank(bytes);
  if (before > 0) view.setUint32(0, command, true);
  if (before > 4) view.setUint32(4, PLATFORM_INTERFACE_VERSION - context.random.below(2), true);
  fillStruct(context, type, view, before);
  const at = pointer(context, bytes);
  context.guest.store(at, scratch, bytes);
  return at;
}

function command(context: Context, plan: Plan): number {
  const number = plan.sub ? plan.sub.number : context.random.below(2);
  return context.random.chance(99) ? number : values.boundary(context);
}

// ---------------------------------------------------------------- rows

const EMPTY: StructType = { name: 'nothing', size: 16, fields: {} };

function generic(context: Context, call: Call): void {
  const { row, sub } = call.plan;
  if (row.subOpsBy === 'struct') {
    const whole = row.structSize ?? 0;
    const body = row.structBodyAt ?? 4;
    call.args = [placeStruct(context, sub!.arg ?? EMPTY, body, whole, command(context, call.plan))];
    return;
  }
  for (const arg of row.args) {
    if (arg.as === 'cmd') call.args.push(command(context, call.plan));
    else if (arg.as === 'pointer') {
      call.args.push(sub?.arg ? placeStruct(context, sub.arg) : pointer(context, 1024));
    } else if (arg.as === 'u64') {
      const value = values.value(context, 'ns', arg.name === 'timeout' ? '' : arg.name);
      call.args.push(value >>> 0, Math.floor(value / 0x1_0000_0000) >>> 0);
    } else call.args.push(values.value(context, arg.as, arg.name) >>> 0);
  }
}

function trapTable(context: Context): number {
  const { random } = context;
  const count = random.below(4);
  const bytes = (count + 1) * trap_info.size;
  const view = blank(bytes);
  for (let i = 0; i < count; i++) {
    fillStruct(context, trap_info, view, i * trap_info.size);
    // Whoever has no handler for a fault dies of it.
    if (random.chance(90)) view.setUint16(i * trap_info.size + 2, 0xe019, true);
  }
  const at = pointer(context, bytes);
  context.guest.store(at, scratch, bytes);
  return at;
}

function foreign(context: Context): number {
  const { random } = context;
  if (random.chance(88)) return 0x7ff0;
  const domid = values.value(context, 'domid', '');
  return random.chance(60)
    ? domid
    : (domid | ((random.below(5) + (random.chance(5) ? 0x7ff0 : 0)) << 16)) >>> 0;
}

/** Number of entries, how many are really there, and the count argument. */
function batch(context: Context): { entries: number; count: number } {
  const { random } = context;
  const entries = random.chance(70) ? 1 : 1 + random.below(4);
  const roll = random.below(100);
  if (roll < 2) return { entries, count: values.boundary(context) };
  // As Xen itself passes the count of a call that it had interrupted.
  return { entries, count: roll < 4 ? (entries | 0x8000_0000) >>> 0 : entries };
}

function donePointer(context: Context): number {
  return context.random.chance(50) ? 0 : pointer(context, 4);
}

function mmuUpdateBatch(context: Context, call: Call): void {
  const { random, guest } = context;
  const { entries, count } = batch(context);
  const at = pointer(context, entries * mmu_update.size);
  const size = guest.domain.entryBytes;
  const words: number[] = [];
  for (let i = 0; i < entries; i++) {
    const level = random.chance(65) ? TYPE_l1 : random.chance(60) ? TYPE_l2 : TYPE_l3;
    const table =
      random.chance(15) && level === TYPE_l1 ? guest.l1 : values.mfn(context, random.chance(92) ? level : -1);
    const cmd = random.chance(95) ? call.plan.sub!.number : random.below(8);
    const { low, high } = values.entry(context, level);
    const maddr = table * 4096 + guest.entryIndex(random, table) * size + cmd;
    words.push(maddr, Math.floor(maddr / 0x1_0000_0000), low, high);
  }
  putWords(context, at, words);
  call.args = [at, count, donePointer(context), foreign(context)];
  call.succeeded = isZero;
}

function mmuextBatch(context: Context, call: Call): void {
  const { random, guest } = context;
  const { entries, count } = batch(context);
  const at = pointer(context, entries * mmuext_op.size);
  const words: number[] = [];
  for (let i = 0; i < entries; i++) {
    const cmd = i === 0 ? command(context, call.plan) : random.below(20);
    let arg1 = values.mfn(context);
    let arg2 = values.mfn(context);
    if (cmd <= 2) arg1 = values.tableMfn(context, cmd + 1);
    else if (cmd === 4) arg1 = pinned(context);
    else if (cmd === 5) {
      const level = guest.domain.entryBytes === 4 ? TYPE_l2 : TYPE_l3;
      // 3.0.2 ends a domain whose root is refused: it gets one that is in use already, mostly.
      const careful = guest.domain.personality === '3.0.2' && random.chance(85);
      if (careful) arg1 = random.chance(50) ? guest.root : guest.ownFrame(random, level);
      else arg1 = random.chance(25) ? guest.root : values.tableMfn(context, level);
      if (careful && context.hv.frames.type[arg1] !== level) arg1 = guest.root;
    } else if (cmd >= 6 && cmd <= 13) {
      arg1 = values.va(context);
      if (cmd === 13 && random.chance(80)) arg1 = guest.dataPage(random);
      arg2 = cmd === 13 ? values.small(context, 1100) : list(context, [random.next()]);
    }
    words.push(cmd, arg1, arg2);
  }
  putWords(context, at, words);
  call.args = [at, count, donePointer(context), foreign(context)];
  call.succeeded = isZero;
}

function pinned(context: Context): number {
  const { hv, guest, random } = context;
  const { frames } = hv;
  for (let tries = 0; tries < 12; tries++) {
    const mfn = guest.ownFrame(random, random.pick([TYPE_l1, TYPE_l2, TYPE_l3]));
    if (frames.flags[mfn]! & 4) return mfn;
  }
  return values.mfn(context);
}

function setGdtCall(context: Context, call: Call): void {
  const { random } = context;
  const entries = random.chance(10) ? 0 : values.value(context, 'dec', 'entries');
  const frames: number[] = [];
  for (let i = 0; i < 14; i++) frames.push(values.mfn(context, random.chance(40) ? 5 : 0));
  const at = pointer(context, frames.length * 4);
  putWords(context, at, frames);
  call.args = [at, entries];
}

const DESCRIPTORS = [
  0, 0x00cf_9a00, 0x00cf_9200, 0x00cf_f200, 0x00cf_fa00, 0x0000_8c00, 0x0000_ec00, 0x0000_8900, 0x00cf_b600,
];
/** Low words whose upper half is a selector that a gate may have, or must not. */
const GATES = [0xe019_1000, 0x0008_1000, 0x000c_1000, 0xe018_1000, 0xe021_1000];
function updateDescriptorCall(context: Context, call: Call): void {
  const { random } = context;
  const frame = random.chance(50) ? values.mfn(context, 5) : values.mfn(context);
  const maddr = frame * 4096 + random.below(512) * 8 + (random.chance(3) ? random.below(8) : 0);
  const high = random.chance(85) ? random.pick(DESCRIPTORS) : random.next();
  const low = random.chance(60) ? 0xffff : random.chance(60) ? random.pick(GATES) : random.next();
  call.args = [maddr >>> 0, random.chance(99) ? Math.floor(maddr / 0x1_0000_0000) : random.next(), low, high];
}

function memoryOp(context: Context, call: Call): void {
  const { random, guest } = context;
  const sub = call.plan.sub!;
  const bits = guest.domain.personality === '3.0.2' ? 4 : 6;
  const start = random.chance(95) ? 0 : random.below(4);
  const cmd = (command(context, call.plan) | (start << bits)) >>> 0;
  const at = sub.arg ? placeStruct(context, sub.arg) : pointer(context, 64);
  if (sub.arg === xen_memory_exchange && random.chance(80)) {
    // What goes out must come in.
    putWords(context, at, exchangeWords(context, guest.load32(at), guest.load32(at + 20)));
  }
  call.args = [cmd, at];
  if (sub.number === 0 || sub.number === 1 || sub.number === 6) {
    call.succeeded = (result) => result > 0 && result === guest.load32(at + 4);
  }
}

function exchangeWords({ random }: Context, inList: number, outList: number): number[] {
  const order = random.chance(70) ? 0 : 1 + random.below(2);
  const forward = random.chance(50);
  const extents = 1 + random.below(2);
  const [inCount, outCount] = forward ? [extents << order, extents] : [extents, extents << order];
  const [inOrder, outOrder] = forward ? [0, order] : [order, 0];
  return [inList, inCount, inOrder, 0, 0x7ff0, outList, outCount, outOrder, 0, 0x7ff0, 0];
}

function updateVa(context: Context, call: Call): void {
  const { random, guest } = context;
  const at = random.chance(85) ? guest.windowPage(random) : values.va(context);
  const { low, high } = values.entry(context);
  const roll = random.below(10);
  const flags = roll < 8 ? roll : roll === 8 ? values.boundary(context) : list(context, [random.next()]) | 1;
  call.args = [at, low, high, flags, foreign(context) & 0xffff];
}

function grantOp(context: Context, call: Call): void {
  const { random, guest } = context;
  const sub = call.plan.sub!;
  const count = random.chance(80) ? 1 : random.chance(90) ? random.below(4) : values.boundary(context);
  const { arg } = sub;
  if (arg === null) {
    call.args = [command(context, call.plan), pointer(context, 64), count];
    return;
  }
  const bytes = Math.min(count, 3) * arg.size;
  const view = blank(bytes);
  for (let at = 0; at < bytes; at += arg.size) {
    fillStruct(context, arg, view, at);
    shapeGrant(context, sub, view, at);
  }
  const at = pointer(context, bytes);
  guest.store(at, scratch, bytes);
  call.args = [command(context, call.plan), at, count];
  const { status } = arg.fields;
  if (status) {
    call.succeeded = (result) => {
      const word = guest.load32(at + (status.offset & ~3));
      return result === 0 && count > 0 && (word << (status.offset & 2 ? 0 : 16)) >> 16 === 0;
    };
  }
}

const MAP_GRANT = 0;
const UNMAP_GRANT = 1;
const TRANSFER = 4;
const COPY = 5;
const UNMAP_AND_REPLACE = 7;

type Fields = Readonly<Record<string, FieldSpec>>;
function set(view: DataView, at: number, fields: Fields, name: string, value: number): void {
  writeField(view, at, fields[name]!, value);
}
/** Flags of a grant entry. */
const isAccess = (flags: number): boolean => (flags & 3) === 1;
const isWritableAccess = (flags: number): boolean => (flags & 7) === 1;
const isTransfer = (flags: number): boolean => flags === 2;

/** What the fields of one grant operation have to do with each other. */
function shapeGrant(context: Context, sub: SubOpRow, view: DataView, at: number): void {
  const { random, guest } = context;
  const { fields } = sub.arg!;
  if (sub.number === MAP_GRANT) {
    const flags = random.chance(92) ? 2 | random.below(32) : values.boundary(context);
    set(view, at, fields, 'flags', flags);
    set(view, at, fields, 'host_addr', values.hostAddress(context, (flags & GNTMAP_contains_pte) !== 0));
    if (random.chance(92)) set(view, at, fields, 'dom', random.pick(context.guests).domain.id);
    const readonly = (flags & GNTMAP_readonly) !== 0;
    const fits = readonly ? isAccess : isWritableAccess;
    const offered = random.chance(85) ? values.offeredGrant(context, fits) : null;
    if (offered !== null) {
      set(view, at, fields, 'dom', offered.domid);
      set(view, at, fields, 'ref', offered.ref);
    }
  } else if (sub.number === UNMAP_GRANT || sub.number === UNMAP_AND_REPLACE) {
    const mapping = guest.domain.grants.mappings[readField(view, at, fields['handle']!)];
    const found = mapping ? findEntry(context, mapping.mfn, mapping.readonly) : null;
    if (found !== null && random.chance(90))
      set(view, at, fields, 'host_addr', mapping?.byEntry ? found.maddr : found.va);
    else
      set(
        view,
        at,
        fields,
        'host_addr',
        random.chance(30) ? 0 : values.hostAddress(context, mapping?.byEntry ?? false),
      );
    if (sub.number === UNMAP_GRANT) {
      set(
        view,
        at,
        fields,
        'dev_bus_addr',
        random.chance(60) || !mapping ? 0 : mapping.mfn * 4096 + (random.chance(5) ? 8192 : 0),
      );
    }
  } else if (sub.number === TRANSFER) {
    set(view, at, fields, 'mfn', values.looseMfn(context));
    const offered = random.chance(85) ? values.offeredGrant(context, isTransfer) : null;
    if (offered !== null) {
      set(view, at, fields, 'domid', offered.domid);
      set(view, at, fields, 'ref', offered.ref);
    }
  } else if (sub.number === COPY) {
    const flags = random.chance(97) ? random.below(4) : values.boundary(context) & 0xffff;
    set(view, at, fields, 'flags', flags);
    set(view, at, fields, 'source_u', flags & 1 ? random.below(10) : values.mfn(context));
    set(view, at, fields, 'dest_u', flags & 2 ? random.below(10) : values.mfn(context));
    set(view, at, fields, 'source_domid', flags & 1 ? values.value(context, 'domid', 'remote_dom') : 0x7ff0);
    set(view, at, fields, 'dest_domid', flags & 2 ? values.value(context, 'domid', 'remote_dom') : 0x7ff0);
    const source = flags & 1 ? values.offeredGrant(context, isAccess) : null;
    if (source !== null) {
      set(view, at, fields, 'source_domid', source.domid);
      set(view, at, fields, 'source_u', source.ref);
    }
    const dest = flags & 2 ? values.offeredGrant(context, isWritableAccess) : null;
    if (dest !== null) {
      set(view, at, fields, 'dest_domid', dest.domid);
      set(view, at, fields, 'dest_u', dest.ref);
    }
  }
}

/** An entry of the window that maps the frame. */
function findEntry(
  { hv, guest }: Context,
  mfn: number,
  readonly: boolean,
): { va: number; maddr: number } | null {
  const size = guest.domain.entryBytes;
  for (let index = 6; index < 48; index++) {
    const maddr = guest.l1 * 4096 + index * size;
    const low = hv.memory.read32(maddr);
    if (low & 1 && low >>> 12 === mfn && ((low & 2) === 0) === readonly)
      return { va: 0xc000_0000 + index * 4096, maddr };
  }
  return null;
}

function vcpuOp(context: Context, call: Call): void {
  const { random } = context;
  const sub = call.plan.sub!;
  const id = values.value(context, 'dec', 'vcpuid');
  let at = 0;
  if (sub.arg === null) at = pointer(context, 64);
  else if (sub.number === 0) at = initialContext(context, sub.arg);
  else at = placeStruct(context, sub.arg);
  const self = sub.number === 8 || sub.number === 9;
  call.args = [command(context, call.plan), self && random.chance(80) ? context.vcpu.id : id, at];
}

function initialContext(context: Context, type: StructType): number {
  const { random, guest } = context;
  const bytes = type.size;
  const view = blank(bytes);
  const { fields } = type;
  fillStruct(context, type, view, 0);
  const { user_regs, gdt_frames, ctrlreg } = VCPU_CONTEXT_ARRAYS;
  fillStruct(context, cpu_user_regs, view, user_regs.offset);
  for (let i = 0; i < gdt_frames.count; i++)
    view.setUint32(gdt_frames.offset + 4 * i, values.mfn(context), true);
  if (random.chance(90)) {
    set(view, 0, fields, 'gdt_ents', random.chance(80) ? 0 : random.below(600));
    set(view, 0, fields, 'ldt_ents', random.chance(80) ? 0 : random.below(600));
    set(view, 0, fields, 'ldt_base', guest.dataPage(random));
    set(view, 0, fields, 'flags', 4 | (random.chance(50) ? 8 << random.below(3) : 0));
    set(view, 0, fields, 'kernel_ss', 0xe021);
    set(view, 0, fields, 'kernel_sp', guest.stackTop(guest.domain.vcpus.length - 1));
    set(view, 0, fields, 'event_callback_cs', 0xe019);
    set(view, 0, fields, 'event_callback_eip', 0xc000_0080);
    set(view, 0, fields, 'vm_assist', random.below(64));
    const registers = cpu_user_regs.fields;
    for (const [name, value] of [
      ['cs', 0xe019],
      ['ss', 0xe021],
      ['ds', 0xe021],
      ['es', 0xe021],
      ['fs', 0],
      ['gs', 0],
      ['eflags', 0x1002],
      ['esp', guest.stackTop(guest.domain.vcpus.length - 1)],
    ] as const) {
      writeField(view, user_regs.offset, registers[name], value);
    }
    view.setUint32(ctrlreg.offset + 12, guestCr3(guest.domain, guest.root), true);
  }
  const at = pointer(context, bytes);
  guest.store(at, scratch, bytes);
  return at;
}
