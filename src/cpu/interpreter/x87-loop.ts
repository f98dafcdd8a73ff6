/**
 * Runs of x87 instructions. The hot loop must not call (loop.ts), and every x87 instruction calls the library; so they
 * have a loop of their own, which the driver enters at an x87 record and which goes on while more follow, with the
 * address records between them. Measured against a call through the table for each: a run of FNOPs 11.5 to 7 ns each,
 * mandel 9 % faster as a whole; an x87 instruction alone among others loses 4 ns.
 */
import type { Callable, FunctionBuilder, ModuleBuilder } from '../../wasm/encoder.ts';
import * as w from '../../wasm/opcodes.ts';
import { I32 } from '../../wasm/opcodes.ts';
import type { Emitter } from '../meaning/site.ts';
import type { Helpers } from './helpers.ts';
import { AT_ADDRESS, AT_RECORD, EA_LINEAR, MUST_LOOK_UP, STINT_LEFT } from './memory-map.ts';
import { R_HANDLER, RECORD_SIZE, STATUS_FAULT, STATUS_NEXT } from './records.ts';
import { type Frame, OuterSite, type Variant } from './sites.ts';

export interface X87Case {
  /** Index of the handler in the table. */
  readonly handler: number;
  readonly emitter: Emitter;
  readonly variant: Variant;
}

/** A case of the loop: as out of line, but a fault has to say where it was. */
class X87Site extends OuterSite {
  protected override leave(status: number): void {
    const { f, record } = this.frame;
    f.const(0).get(record).mem(w.I32_STORE, AT_RECORD).const(status).return();
  }
}

/**
 * (record, page's eip, address of the memory operand) -> STATUS_FAULT with the record in AT_RECORD, or STATUS_NEXT
 * with the record to go on at in AT_RECORD: it is of another kind, or STINT_LEFT is 0, or eip must be looked up.
 * @param cases with consecutive handlers @param address handler of the address record and its function
 */
export function writeX87Loop(
  m: ModuleBuilder,
  cases: readonly X87Case[],
  address: { readonly handler: number; readonly callable: Callable },
  helpers: Helpers,
): Callable {
  const f: FunctionBuilder = m.func([I32, I32, I32], [I32]);
  const handler = f.local(I32);
  const left = f.local(I32);
  const frame: Frame = {
    f,
    record: 0,
    pageEip: 1,
    address: 2,
    flagZero: f.local(I32),
    flagSign: f.local(I32),
    flagCarry: f.local(I32),
    scratchLocals: new Map(),
  };
  const { record } = frame;
  const first = cases[0]!.handler;
  const advance = (): void => {
    f.get(record).const(RECORD_SIZE).op(w.I32_ADD).set(record);
  };

  const stop = f.block();
  const next = f.loop();
  const retired = f.block();
  const other = f.block();
  // Forms that differ only in the operand size, which means nothing to these, share a case.
  const sharing = new Map<string, number>();
  const groups: X87Case[] = [];
  const groupOf = cases.map((c) => {
    const key = `${c.variant.row.id} ${c.variant.isMemory}`;
    const known = sharing.get(key);
    if (known !== undefined) return known;
    sharing.set(key, groups.length);
    return groups.push(c) - 1;
  });
  const labels: number[] = [];
  for (let i = groups.length - 1; i >= 0; i--) labels[i] = f.block();
  f.get(record).mem(w.I32_LOAD16_U, R_HANDLER).tee(handler).const(first).op(w.I32_SUB);
  f.brTable(
    groupOf.map((group) => labels[group]!),
    other,
  );
  for (const { emitter, variant } of groups) {
    f.end();
    const site = new X87Site(f, variant, helpers, frame);
    emitter(site);
    site.storeFlags();
    f.br(retired);
  }
  f.end(); // other
  f.get(handler).const(address.handler).op(w.I32_NE).brIf(stop);
  f.get(record).get(frame.pageEip).get(frame.address).call(address.callable).const(STATUS_FAULT).op(w.I32_EQ);
  f.if();
  f.const(0).get(record).mem(w.I32_STORE, AT_RECORD).const(STATUS_FAULT).return();
  f.end();
  f.const(0).mem(w.I32_LOAD, EA_LINEAR).set(frame.address);
  advance();
  f.br(next);

  f.end(); // retired
  advance();
  f.const(0)
    .const(0)
    .mem(w.I32_LOAD, STINT_LEFT)
    .const(1)
    .op(w.I32_SUB)
    .tee(left)
    .mem(w.I32_STORE, STINT_LEFT);
  f.get(left).op(w.I32_EQZ).brIf(stop);
  f.const(0).mem(w.I32_LOAD, MUST_LOOK_UP).op(w.I32_EQZ).brIf(next);
  f.br(stop).end().op(w.UNREACHABLE).end(); // next, stop
  f.const(0).get(record).mem(w.I32_STORE, AT_RECORD);
  f.const(0).get(frame.address).mem(w.I32_STORE, AT_ADDRESS);
  return f.const(STATUS_NEXT);
}

/** Rows for the loop: the escapes. */
export const isX87 = (opcode: number): boolean => opcode >= 0xd8 && opcode <= 0xdf;
