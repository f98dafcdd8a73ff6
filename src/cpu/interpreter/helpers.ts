/**
 * Functions of the generated module that out-of-line handlers share: memory access with the TLB in front, segment
 * checks, and the imports behind both. A fault is told by faultVector >= 0 in the state block.
 */
import type { Callable, FunctionBuilder, ModuleBuilder } from '../../wasm/encoder.ts';
import * as w from '../../wasm/opcodes.ts';
import { I32, I64 } from '../../wasm/opcodes.ts';
import { addressOf, MEMORY_PAGES_BELOW_RAM } from '../layout.ts';
import { TLB_BASE, TLB_WRITE } from './memory-map.ts';
import { WALK_WRITE, writePageWalk } from './page-walk.ts';

export interface Helpers {
  /** (linear, size) -> value, unsigned. */
  readonly slowRead: Callable;
  /** (linear, size, value) */
  readonly slowWrite: Callable;
  /** (linear, size, write): faults if one of the bytes is not accessible. */
  readonly slowCheck: Callable;
  /** (segment, offset, size, write) -> linear address. */
  readonly slowSegment: Callable;
  /** (eip) -> record, 0 on a fault or if the run loop is wanted. */
  readonly fetch: Callable;
  /** (eip) -> record of the instruction that straddles two pages, 0 likewise. */
  readonly straddle: Callable;
  /** (record, page's eip) -> STATUS_*. */
  readonly rare: Callable;
  readonly load: Readonly<Record<8 | 16 | 32 | 64, Callable>>;
  readonly store: Readonly<Record<8 | 16 | 32 | 64, Callable>>;
  /** (linear, size) */
  readonly checkWrite: Callable;
  readonly segment: Callable;
  /** (linear, 0 or WALK_WRITE) -> what to add for the place in linear memory, or 0. */
  readonly walk: Callable;
}

export const LOAD = { 8: w.I32_LOAD8_U, 16: w.I32_LOAD16_U, 32: w.I32_LOAD, 64: w.I64_LOAD } as const;
export const STORE = { 8: w.I32_STORE8, 16: w.I32_STORE16, 32: w.I32_STORE, 64: w.I64_STORE } as const;

/** data, writable, not expand-down: the segments that the fast check knows. */
const TYPE_BITS = 0x1e00;
const PLAIN_DATA = 0x1200;

/** The module takes a memory of any size. */
export function defineHelpers(m: ModuleBuilder): Helpers {
  m.importMemory('env', 'memory', MEMORY_PAGES_BELOW_RAM, 65536);
  const imported = (name: string, params: number, result: boolean): Callable =>
    m.importFunction('env', name, new Array<typeof I32>(params).fill(I32), result ? [I32] : []);
  const slowRead = imported('slowRead', 2, true);
  const slowWrite = imported('slowWrite', 3, false);
  const slowCheck = imported('slowCheck', 3, false);
  const slowSegment = imported('slowSegment', 4, true);
  const fetch = imported('fetch', 1, true);
  const straddle = imported('straddle', 1, true);
  const rare = imported('rare', 2, true);

  const walk = writePageWalk(m);

  /**
   * Opens a block that ends with the slow way, and leaves for it if local 0 is the address of an operand in two pages
   * or of a page that may not be accessed; what to add to it for its place in linear memory is then in `delta`.
   */
  const openFastWay = (
    f: FunctionBuilder,
    delta: number,
    pushBytes: (() => void) | null,
    write: boolean,
  ): void => {
    const slow = f.block();
    if (pushBytes !== null) {
      f.get(0).const(4095).op(w.I32_AND);
      pushBytes();
      f.op(w.I32_ADD).const(4096).op(w.I32_GT_U).brIf(slow);
    }
    f.const(0).mem(w.I32_LOAD, TLB_BASE);
    f.get(0).const(10).op(w.I32_SHR_U).const(0x3ffffc).op(w.I32_AND, w.I32_ADD);
    f.mem(w.I32_LOAD, write ? TLB_WRITE : 0)
      .tee(delta)
      .op(w.I32_EQZ);
    f.if();
    f.get(0)
      .const(write ? WALK_WRITE : 0)
      .call(walk)
      .tee(delta)
      .op(w.I32_EQZ)
      .brIf(slow);
    f.end();
  };
  const openFor = (f: FunctionBuilder, bytes: number, write: boolean, delta: number): void =>
    openFastWay(f, delta, bytes > 1 ? () => f.const(bytes) : null, write);

  const narrowLoad = (bits: 8 | 16 | 32): Callable => {
    const f = m.func([I32], [I32]);
    const delta = f.local(I32);
    openFor(f, bits / 8, false, delta);
    f.get(0).get(delta).op(w.I32_ADD).mem(LOAD[bits]).return();
    f.end();
    f.get(0)
      .const(bits / 8)
      .call(slowRead);
    return f;
  };
  const load32 = narrowLoad(32);
  const load64 = m.func([I32], [I64]);
  {
    const f = load64;
    const delta = f.local(I32);
    openFor(f, 8, false, delta);
    f.get(0).get(delta).op(w.I32_ADD).mem(w.I64_LOAD).return();
    f.end();
    // A fault at the lower half is the one that is told.
    f.get(0).call(load32).op(w.I64_EXTEND_I32_U);
    f.const(0).mem(w.I32_LOAD, addressOf('faultVector')).const(0).op(w.I32_GE_S).if(I64);
    f.const64(0).else();
    f.get(0).const(4).op(w.I32_ADD).call(load32).op(w.I64_EXTEND_I32_U).const64(32).op(w.I64_SHL);
    f.end();
    f.op(w.I64_OR);
  }
  const narrowStore = (bits: 8 | 16 | 32): Callable => {
    const f = m.func([I32, I32], []);
    const delta = f.local(I32);
    openFor(f, bits / 8, true, delta);
    f.get(0).get(delta).op(w.I32_ADD).get(1).mem(STORE[bits]).return();
    f.end();
    f.get(0)
      .const(bits / 8)
      .get(1)
      .call(slowWrite);
    return f;
  };
  const store32 = narrowStore(32);
  const store64 = m.func([I32, I64], []);
  {
    const f = store64;
    const delta = f.local(I32);
    openFor(f, 8, true, delta);
    f.get(0).get(delta).op(w.I32_ADD).get(1).mem(w.I64_STORE).return();
    f.end();
    // checkStore comes before: neither half faults.
    f.get(0).get(1).op(w.I32_WRAP_I64).call(store32);
    f.get(0).const(4).op(w.I32_ADD).get(1).const64(32).op(w.I64_SHR_U, w.I32_WRAP_I64).call(store32);
  }
  const checkWrite = m.func([I32, I32], []);
  {
    const f = checkWrite;
    openFastWay(f, f.local(I32), () => f.get(1), true);
    f.return().end();
    f.get(0).get(1).const(1).call(slowCheck);
  }
  const segment = m.func([I32, I32, I32, I32], [I32]);
  {
    const f = segment;
    const last = f.local(I32);
    const at = f.local(I32);
    f.get(0).const(2).op(w.I32_SHL).set(at);
    f.get(1).get(2).op(w.I32_ADD).const(1).op(w.I32_SUB).set(last);
    f.get(at)
      .mem(w.I32_LOAD, addressOf('segAccess'))
      .const(TYPE_BITS)
      .op(w.I32_AND)
      .const(PLAIN_DATA)
      .op(w.I32_EQ);
    f.get(last).get(at).mem(w.I32_LOAD, addressOf('segLimit')).op(w.I32_LE_U, w.I32_AND);
    f.get(last).get(1).op(w.I32_GE_U, w.I32_AND);
    f.if(I32);
    f.get(at).mem(w.I32_LOAD, addressOf('segBase')).get(1).op(w.I32_ADD);
    f.else();
    f.get(0).get(1).get(2).get(3).call(slowSegment);
    f.end();
  }
  return {
    slowRead,
    slowWrite,
    slowCheck,
    slowSegment,
    fetch,
    straddle,
    rare,
    load: { 8: narrowLoad(8), 16: narrowLoad(16), 32: load32, 64: load64 },
    store: { 8: narrowStore(8), 16: narrowStore(16), 32: store32, 64: store64 },
    checkWrite,
    segment,
    walk,
  };
}
