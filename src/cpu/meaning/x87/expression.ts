/**
 * WebAssembly written as typed expressions: `sig.shl(n).or(low)` is the bytes that compute it. The x87 arithmetic is
 * some hundred lines of integer formulas; as nested values they read like the formulas they are. Knows no x86.
 * Opcode numbers: WebAssembly Core Specification, "Binary Format, Instructions".
 */
import type { ModuleBuilder } from '../../../wasm/encoder.ts';
import { I32, I64, UNREACHABLE, type ValueType } from '../../../wasm/opcodes.ts';

/** Code: bytes, and code inside code; made flat once, when the function is finished. */
export type Bytes = readonly (number | Bytes)[];

function flattenInto(out: number[], code: Bytes): void {
  for (const part of code) {
    if (typeof part === 'number') out.push(part);
    else flattenInto(out, part);
  }
}
export function flatten(code: Bytes): number[] {
  const out: number[] = [];
  flattenInto(out, code);
  return out;
}

function signedLeb64(value: bigint): number[] {
  const out: number[] = [];
  for (;;) {
    const byte = Number(value & 0x7fn);
    value >>= 7n;
    const done = (value === 0n && !(byte & 0x40)) || (value === -1n && (byte & 0x40) !== 0);
    out.push(done ? byte : byte | 0x80);
    if (done) return out;
  }
}
function signedLeb(value: number): number[] {
  const out: number[] = [];
  for (;;) {
    const byte = value & 0x7f;
    value >>= 7;
    const done = (value === 0 && !(byte & 0x40)) || (value === -1 && (byte & 0x40) !== 0);
    out.push(done ? byte : byte | 0x80);
    if (done) return out;
  }
}
function unsignedLeb(value: number): number[] {
  const out: number[] = [];
  for (; value > 0x7f; value >>>= 7) out.push((value & 0x7f) | 0x80);
  out.push(value);
  return out;
}

type Operand32 = Int32 | number;
type Operand64 = Int64 | bigint;

export class Int32 {
  readonly bytes: Bytes;
  constructor(bytes: Bytes) {
    this.bytes = bytes;
  }
  private op(opcode: number, b: Operand32): Int32 {
    return new Int32([this.bytes, i32(b).bytes, opcode]);
  }
  private un(opcode: number): Int32 {
    return new Int32([this.bytes, opcode]);
  }
  eqz(): Int32 {
    return this.un(0x45);
  }
  eq(b: Operand32): Int32 {
    return this.op(0x46, b);
  }
  ne(b: Operand32): Int32 {
    return this.op(0x47, b);
  }
  ltS(b: Operand32): Int32 {
    return this.op(0x48, b);
  }
  ltU(b: Operand32): Int32 {
    return this.op(0x49, b);
  }
  gtS(b: Operand32): Int32 {
    return this.op(0x4a, b);
  }
  gtU(b: Operand32): Int32 {
    return this.op(0x4b, b);
  }
  leS(b: Operand32): Int32 {
    return this.op(0x4c, b);
  }
  geS(b: Operand32): Int32 {
    return this.op(0x4e, b);
  }
  geU(b: Operand32): Int32 {
    return this.op(0x4f, b);
  }
  clz(): Int32 {
    return this.un(0x67);
  }
  add(b: Operand32): Int32 {
    return this.op(0x6a, b);
  }
  sub(b: Operand32): Int32 {
    return this.op(0x6b, b);
  }
  mul(b: Operand32): Int32 {
    return this.op(0x6c, b);
  }
  and(b: Operand32): Int32 {
    return this.op(0x71, b);
  }
  or(b: Operand32): Int32 {
    return this.op(0x72, b);
  }
  xor(b: Operand32): Int32 {
    return this.op(0x73, b);
  }
  shl(b: Operand32): Int32 {
    return this.op(0x74, b);
  }
  shrS(b: Operand32): Int32 {
    return this.op(0x75, b);
  }
  shrU(b: Operand32): Int32 {
    return this.op(0x76, b);
  }
  /** Unsigned widening. */
  wide(): Int64 {
    return new Int64([this.bytes, 0xad]);
  }
  wideS(): Int64 {
    return new Int64([this.bytes, 0xac]);
  }
  /** this ? a : b, both evaluated. */
  pick(a: Operand32, b: Operand32): Int32 {
    return new Int32([i32(a).bytes, i32(b).bytes, this.bytes, 0x1b]);
  }
  pick64(a: Operand64, b: Operand64): Int64 {
    return new Int64([i64(a).bytes, i64(b).bytes, this.bytes, 0x1b]);
  }
}

export class Int64 {
  readonly bytes: Bytes;
  constructor(bytes: Bytes) {
    this.bytes = bytes;
  }
  private op(opcode: number, b: Operand64): Int64 {
    return new Int64([this.bytes, i64(b).bytes, opcode]);
  }
  private test(opcode: number, b: Operand64): Int32 {
    return new Int32([this.bytes, i64(b).bytes, opcode]);
  }
  eqz(): Int32 {
    return new Int32([this.bytes, 0x50]);
  }
  eq(b: Operand64): Int32 {
    return this.test(0x51, b);
  }
  ne(b: Operand64): Int32 {
    return this.test(0x52, b);
  }
  ltS(b: Operand64): Int32 {
    return this.test(0x53, b);
  }
  ltU(b: Operand64): Int32 {
    return this.test(0x54, b);
  }
  gtS(b: Operand64): Int32 {
    return this.test(0x55, b);
  }
  gtU(b: Operand64): Int32 {
    return this.test(0x56, b);
  }
  geS(b: Operand64): Int32 {
    return this.test(0x59, b);
  }
  geU(b: Operand64): Int32 {
    return this.test(0x5a, b);
  }
  negative(): Int32 {
    return this.ltS(0n);
  }
  clz(): Int64 {
    return new Int64([this.bytes, 0x79]);
  }
  add(b: Operand64): Int64 {
    return this.op(0x7c, b);
  }
  sub(b: Operand64): Int64 {
    return this.op(0x7d, b);
  }
  mul(b: Operand64): Int64 {
    return this.op(0x7e, b);
  }
  divU(b: Operand64): Int64 {
    return this.op(0x80, b);
  }
  and(b: Operand64): Int64 {
    return this.op(0x83, b);
  }
  or(b: Operand64): Int64 {
    return this.op(0x84, b);
  }
  xor(b: Operand64): Int64 {
    return this.op(0x85, b);
  }
  shl(b: Operand64): Int64 {
    return this.op(0x86, b);
  }
  shrS(b: Operand64): Int64 {
    return this.op(0x87, b);
  }
  shrU(b: Operand64): Int64 {
    return this.op(0x88, b);
  }
  /** The low word. */
  low(): Int32 {
    return new Int32([this.bytes, 0xa7]);
  }
}

export class Local32 extends Int32 {
  readonly index: number;
  constructor(index: number) {
    super([0x20, unsignedLeb(index)]);
    this.index = index;
  }
  set(value: Operand32): Bytes {
    return [i32(value).bytes, 0x21, unsignedLeb(this.index)];
  }
  tee(value: Operand32): Int32 {
    return new Int32([i32(value).bytes, 0x22, unsignedLeb(this.index)]);
  }
}
export class Local64 extends Int64 {
  readonly index: number;
  constructor(index: number) {
    super([0x20, unsignedLeb(index)]);
    this.index = index;
  }
  set(value: Operand64): Bytes {
    return [i64(value).bytes, 0x21, unsignedLeb(this.index)];
  }
  tee(value: Operand64): Int64 {
    return new Int64([i64(value).bytes, 0x22, unsignedLeb(this.index)]);
  }
}

export function i32(value: Operand32): Int32 {
  return typeof value === 'number' ? new Int32([0x41, signedLeb(value | 0)]) : value;
}
export function i64(value: Operand64): Int64 {
  return typeof value === 'bigint' ? new Int64([0x42, signedLeb64(BigInt.asIntN(64, value))]) : value;
}

const memarg = (align: number, offset: number): Bytes => [align, unsignedLeb(offset)];
export const load8 = (at: Operand32, offset = 0): Int32 =>
  new Int32([i32(at).bytes, 0x2d, memarg(0, offset)]);
export const load16 = (at: Operand32, offset = 0): Int32 =>
  new Int32([i32(at).bytes, 0x2f, memarg(1, offset)]);
export const load32 = (at: Operand32, offset = 0): Int32 =>
  new Int32([i32(at).bytes, 0x28, memarg(2, offset)]);
export const load64 = (at: Operand32, offset = 0): Int64 =>
  new Int64([i32(at).bytes, 0x29, memarg(3, offset)]);
export const store16 = (at: Operand32, value: Operand32, offset = 0): Bytes => [
  i32(at).bytes,
  i32(value).bytes,
  0x3b,
  memarg(1, offset),
];
export const store32 = (at: Operand32, value: Operand32, offset = 0): Bytes => [
  i32(at).bytes,
  i32(value).bytes,
  0x36,
  memarg(2, offset),
];
export const store64 = (at: Operand32, value: Operand64, offset = 0): Bytes => [
  i32(at).bytes,
  i64(value).bytes,
  0x37,
  memarg(3, offset),
];

type Value = Int32 | Int64;
/** Statements in a row. */
export const seq = (...parts: Bytes[]): Bytes => parts;
export const when = (condition: Int32, then: Bytes[], otherwise?: Bytes[]): Bytes => [
  condition.bytes,
  0x04,
  0x40,
  then,
  otherwise ? [0x05, otherwise] : [],
  0x0b,
];
/** The body if all conditions hold; each is looked at only if those before it hold. */
export const guarded = (conditions: Int32[], body: Bytes[]): Bytes => [
  0x02,
  0x40,
  conditions.map((condition) => [condition.eqz().bytes, 0x0d, 0]),
  body,
  0x0b,
];
/** Repeats the body while the condition at its end holds. */
export const repeatWhile = (body: Bytes[], condition: Int32): Bytes => [
  0x03,
  0x40,
  body,
  condition.bytes,
  0x0d,
  0,
  0x0b,
];
/** Values for `return`; two values for a pair. */
export const give = (...values: Value[]): Bytes => [values.map((v) => v.bytes), 0x0f];

/** Gives what a call gives. */
export const passOn = (callee: Callee, ...args: Value[]): Bytes => [callBytes(callee, args), 0x0f];

/** A function of the module, callable from the ones added after it. */
export interface Callee {
  readonly index: number;
  readonly results: readonly ValueType[];
}
const callBytes = (callee: Callee, args: Value[]): Bytes => [
  args.map((a) => a.bytes),
  0x10,
  unsignedLeb(callee.index),
];
export const call32 = (callee: Callee, ...args: Value[]): Int32 => new Int32(callBytes(callee, args));
export const call64 = (callee: Callee, ...args: Value[]): Int64 => new Int64(callBytes(callee, args));
export const callVoid = (callee: Callee, ...args: Value[]): Bytes => callBytes(callee, args);
/** Calls a function that gives (i64, i32) and keeps both. */
export const callPair = (sig: Local64, se: Local32, callee: Callee, ...args: Value[]): Bytes => [
  callBytes(callee, args),
  0x21,
  unsignedLeb(se.index),
  0x21,
  unsignedLeb(sig.index),
];

/** The locals of one function while it is written. */
export class Scope {
  readonly params: ValueType[] = [];
  readonly locals: ValueType[] = [];
  param32(): Local32 {
    return new Local32(this.params.push(I32) - 1);
  }
  param64(): Local64 {
    return new Local64(this.params.push(I64) - 1);
  }
  /** Parameters first, then locals. */
  local32(): Local32 {
    return new Local32(this.params.length + this.locals.push(I32) - 1);
  }
  local64(): Local64 {
    return new Local64(this.params.length + this.locals.push(I64) - 1);
  }
}

export const VOID: readonly ValueType[] = [];
export const GIVES_32: readonly ValueType[] = [I32];
export const GIVES_64: readonly ValueType[] = [I64];
/** Significand and sign-exponent. */
export const GIVES_PAIR: readonly ValueType[] = [I64, I32];

/** A mutable variable of the module. */
export class Global32 extends Int32 {
  private readonly index: number;
  constructor(module: ModuleBuilder) {
    const index = module.globalI32();
    super([0x23, unsignedLeb(index)]);
    this.index = index;
  }
  set(value: Operand32): Bytes {
    return [i32(value).bytes, 0x24, unsignedLeb(this.index)];
  }
}

/** Adds a function to the module. A function with results leaves through `give` or `passOn` on every path. */
export function define(
  module: ModuleBuilder,
  results: readonly ValueType[],
  write: (scope: Scope) => Bytes[],
): Callee {
  const scope = new Scope();
  const body = flatten(write(scope));
  const f = module.func(scope.params, results);
  for (const type of scope.locals) f.local(type);
  f.op(...body);
  if (results.length > 0) f.op(UNREACHABLE);
  return { index: f.index, results };
}
