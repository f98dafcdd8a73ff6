/**
 * The dispatch loop and the driver around it.
 *
 * `hot` dispatches records and calls nothing: whatever needs a call leaves it with a code, and the driver acts and
 * enters it again. That is the point of the split: around calls the optimising compiler keeps the loop's variables in
 * memory, and the dispatch then waits for a store each time (measured: a third of the speed; bench/README.md).
 */
import type { Callable, FunctionBuilder, ModuleBuilder } from '../../wasm/encoder.ts';
import * as w from '../../wasm/opcodes.ts';
import { I32 } from '../../wasm/opcodes.ts';
import { addressOf, CS } from '../layout.ts';
import type { Emitter } from '../meaning/site.ts';
import type { HotX87 } from '../meaning/x87/frequent.ts';
import { X87Hot } from '../meaning/x87/hot.ts';
import type { Helpers } from './helpers.ts';
import {
  AT_ADDRESS,
  AT_PAGE_EIP,
  AT_RECORD,
  CODE_BASE,
  EA_LINEAR,
  MUST_LOOK_UP,
  STINT_LEFT,
  TLB_BASE,
} from './memory-map.ts';
import {
  EXIT_BUDGET,
  EXIT_FAULT,
  EXIT_LEAVE,
  FIRST_CASE,
  HANDLER_GOTO,
  HANDLER_STALE,
  R_BASE,
  R_DISPLACEMENT,
  R_HANDLER,
  R_IMMEDIATE,
  R_INDEX,
  R_POSITION,
  RECORD_SIZE,
} from './records.ts';
import { type AddressForm, type Exits, type Frame, InlineSite, type Variant } from './sites.ts';
import { settleX87Notes, startX87Notes } from './x87-note.ts';

const GPR = addressOf('gpr');
const EIP = addressOf('eip');

/** Why `hot` returned. */
const STOP_AT_RECORD = 0;
/** eip is set already. */
const STOP_AT_EIP = 1;
const OUT_OF_LINE = 2;
/** The place in eip has no record in the tables. */
const LOOK_UP = 3;
/** A jump inside the page, taken for the first time. */
const LINK = 4;
const CHAIN = 5;
const STRADDLE = 6;

export interface Case {
  readonly emitter: Emitter;
  /** Written instead of the emitter, to the end of the case; only in the x87 loop. */
  readonly x87: HotX87 | undefined;
  readonly variant: Variant;
  readonly form: AddressForm;
  /** Jumps: the target is in the page of the jump. */
  readonly near: boolean;
}

/** base + index << scale + displacement, of a record in `record`. */
export function pushFlatAddress(f: FunctionBuilder, record: number, withIndex: boolean): void {
  f.get(record).mem(w.I32_LOAD8_U, R_BASE).mem(w.I32_LOAD, GPR);
  f.get(record).mem(w.I32_LOAD, R_DISPLACEMENT).op(w.I32_ADD);
  if (!withIndex) return;
  f.get(record).mem(w.I32_LOAD8_U, R_INDEX).const(0xfc).op(w.I32_AND).mem(w.I32_LOAD, GPR);
  f.get(record).mem(w.I32_LOAD8_U, R_INDEX).const(3).op(w.I32_AND, w.I32_SHL, w.I32_ADD);
}

/** Pushes the linear address of an offset in CS. */
function pushLinear(f: FunctionBuilder, eip: number): void {
  f.get(eip).const(0).mem(w.I32_LOAD, addressOf('segBase', CS)).op(w.I32_ADD);
}
/** Looks a linear address up; leaves the record or 0 in `record`. */
function lookUp(f: FunctionBuilder, linear: number, record: number): void {
  f.const(0)
    .mem(w.I32_LOAD, CODE_BASE)
    .get(linear)
    .const(10)
    .op(w.I32_SHR_U)
    .const(0x3ffffc)
    .op(w.I32_AND, w.I32_ADD);
  f.mem(w.I32_LOAD).tee(record);
  f.if();
  f.get(record)
    .get(linear)
    .const(4095)
    .op(w.I32_AND)
    .const(2)
    .op(w.I32_SHL, w.I32_ADD)
    .mem(w.I32_LOAD)
    .set(record);
  f.end();
}
function recordEip(f: FunctionBuilder, record: number, pageEip: number): void {
  f.get(record).mem(w.I32_LOAD16_U, R_POSITION).get(pageEip).op(w.I32_ADD);
}

/** @param cases null: not in this loop @param withX87 x87 cases are among them */
export function writeHotLoop(m: ModuleBuilder, cases: readonly (Case | null)[], withX87: boolean): Callable {
  const f = m.func([], [I32]);
  const local = (): number => f.local(I32);
  const [left, tlb, target, code, lin] = [local(), local(), local(), local(), local()];
  const frame: Frame = {
    f,
    record: local(),
    pageEip: local(),
    address: local(),
    flagZero: local(),
    flagSign: local(),
    flagCarry: local(),
    scratchLocals: new Map(),
  };
  const { record, pageEip, address } = frame;
  const hotX87 = withX87 ? new X87Hot(f) : undefined;
  if (hotX87 !== undefined) {
    hotX87.run(X87Hot.isUnusable().bytes);
    f.if();
    // As a case leaves: with the operand's address, if it has one.
    f.const(0).mem(w.I32_LOAD, AT_RECORD).set(record).const(0);
    pushFlatAddress(f, record, true);
    f.mem(w.I32_STORE, AT_ADDRESS).const(OUT_OF_LINE).return().end();
    hotX87.enter();
    startX87Notes(f);
  }
  const kept = [
    [frame.flagZero, addressOf('flagZero')],
    [frame.flagSign, addressOf('flagSign')],
    [frame.flagCarry, addressOf('flagCarry')],
    [left, STINT_LEFT],
    [record, AT_RECORD],
    [pageEip, AT_PAGE_EIP],
  ] as const;
  for (const [variable, at] of kept) f.const(0).mem(w.I32_LOAD, at).set(variable);
  f.const(0).mem(w.I32_LOAD, AT_ADDRESS).set(address);
  f.const(0).mem(w.I32_LOAD, TLB_BASE).set(tlb);

  const leave = f.block();
  const stopAtTarget = f.block();
  const stopAtRecord = f.block();
  const next = f.loop();
  const resolve = f.block();
  const link = f.block();
  const slow = f.block();
  hotX87?.open(slow);
  const labels: number[] = [];
  for (let i = FIRST_CASE + cases.length - 1; i >= 0; i--)
    labels[i] = i >= FIRST_CASE && cases[i - FIRST_CASE] === null ? slow : f.block();
  f.get(record).mem(w.I32_LOAD16_U, R_HANDLER).brTable(labels, slow);
  let lastX87: InlineSite | undefined;
  const exits: Exits = { next, resolve, slow, link, stopAtRecord, stopAtTarget, target, left, tlb };
  const leaveWith = (why: number): void => {
    f.const(why).set(code).br(leave);
  };

  f.end().op(w.UNREACHABLE); // HANDLER_NONE
  for (const _ of [HANDLER_GOTO, HANDLER_STALE]) {
    f.end();
    recordEip(f, record, pageEip);
    f.set(target).br(resolve);
  }
  f.end(); // HANDLER_CHAIN
  f.get(record).mem(w.I32_LOAD, R_IMMEDIATE).tee(lin);
  f.if();
  f.get(lin).set(record).br(next);
  f.end();
  leaveWith(CHAIN);
  f.end(); // HANDLER_STRADDLE
  leaveWith(STRADDLE);
  f.end(); // HANDLER_ADDRESS
  pushFlatAddress(f, record, true);
  f.set(address).get(record).const(RECORD_SIZE).op(w.I32_ADD).set(record).br(next);

  for (const one of cases) {
    if (one === null) continue;
    const { emitter, x87, variant, form, near } = one;
    f.end();
    const site = new InlineSite(frame, variant, exits, near);
    if (form !== 'none') {
      pushFlatAddress(f, record, form === 'indexed');
      f.set(address);
    }
    if (x87 !== undefined && hotX87 !== undefined) {
      x87(site, hotX87);
      lastX87 = site;
      continue;
    }
    emitter(site);
    site.finishCase();
  }
  if (hotX87 !== undefined && lastX87 !== undefined) hotX87.writeTails(lastX87);

  f.end(); // slow
  leaveWith(OUT_OF_LINE);
  f.end(); // link
  leaveWith(LINK);
  f.end(); // resolve
  if (withX87) settleX87Notes(frame);
  pushLinear(f, target);
  f.set(lin);
  lookUp(f, lin, record);
  f.get(record);
  f.if();
  f.get(target).get(lin).const(4095).op(w.I32_AND, w.I32_SUB).set(pageEip).br(next);
  f.end();
  f.const(0).get(target).mem(w.I32_STORE, EIP);
  leaveWith(LOOK_UP);
  f.end().op(w.UNREACHABLE); // next
  f.end(); // stopAtRecord
  f.const(0);
  recordEip(f, record, pageEip);
  f.mem(w.I32_STORE, EIP);
  leaveWith(STOP_AT_RECORD);
  f.end(); // stopAtTarget
  f.const(0).get(target).mem(w.I32_STORE, EIP);
  leaveWith(STOP_AT_EIP);
  f.end(); // leave
  for (const [variable, at] of kept) f.const(0).get(variable).mem(w.I32_STORE, at);
  f.const(0).get(address).mem(w.I32_STORE, AT_ADDRESS);
  hotX87?.leave();
  if (withX87) settleX87Notes(frame);
  f.get(code);
  return f;
}

/** The exported function: runs from eip until STINT_LEFT is 0 or JavaScript is wanted. @returns EXIT_* */
export function writeDriver(
  f: FunctionBuilder,
  hot: Callable,
  firstOuter: number,
  x87: { readonly first: number; readonly loop: Callable },
  handlerType: number,
  helpers: Helpers,
): void {
  const local = (): number => f.local(I32);
  const [record, pageEip, target, lin, why, inX87] = [local(), local(), local(), local(), local(), local()];
  /** Pushes whether the record's handler is an x87 case. */
  const isX87 = (): FunctionBuilder =>
    f
      .get(record)
      .mem(w.I32_LOAD16_U, R_HANDLER)
      .const(x87.first)
      .op(w.I32_SUB)
      .const(firstOuter - x87.first)
      .op(w.I32_LT_U);
  const storeEip = (push: () => void): void => {
    f.const(0);
    push();
    f.mem(w.I32_STORE, EIP);
  };
  const keepRecord = (): void => {
    f.const(0).get(record).mem(w.I32_STORE, AT_RECORD);
  };
  const loadPlace = (): void => {
    f.const(0).mem(w.I32_LOAD, AT_RECORD).set(record).const(0).mem(w.I32_LOAD, AT_PAGE_EIP).set(pageEip);
  };
  /** One instruction has retired; pushes what is left. */
  const countOne = (): void => {
    f.const(0)
      .const(0)
      .mem(w.I32_LOAD, STINT_LEFT)
      .const(1)
      .op(w.I32_SUB)
      .tee(lin)
      .mem(w.I32_STORE, STINT_LEFT);
    f.get(lin);
  };
  /** After fetch or straddle gave no record. */
  const returnNoRecord = (): void => {
    f.const(EXIT_FAULT).const(EXIT_LEAVE);
    f.const(0).mem(w.I32_LOAD, addressOf('faultVector')).const(0).op(w.I32_GE_S, w.SELECT).return();
  };

  const start = f.loop();
  // --- find the record of eip
  f.const(0).const(0).mem(w.I32_STORE, MUST_LOOK_UP);
  f.const(0).mem(w.I32_LOAD, EIP).set(target);
  pushLinear(f, target);
  f.set(lin);
  lookUp(f, lin, record);
  f.get(record).op(w.I32_EQZ);
  f.if();
  f.get(target).call(helpers.fetch).tee(record).op(w.I32_EQZ);
  f.if();
  returnNoRecord();
  f.end().end();
  keepRecord();
  f.const(0).get(target).get(lin).const(4095).op(w.I32_AND, w.I32_SUB).mem(w.I32_STORE, AT_PAGE_EIP);

  const enter = f.loop();
  isX87().tee(inX87);
  f.if();
  f.call(x87.loop).set(why);
  f.else();
  f.call(hot).set(why);
  f.end();
  const atStraddle = f.block();
  const atChain = f.block();
  const atLink = f.block();
  const atLookUp = f.block();
  const outOfLine = f.block();
  const stop = f.block();
  f.get(why).brTable([stop, stop, outOfLine, atLookUp, atLink, atChain], atStraddle);
  f.end(); // stop
  f.const(EXIT_BUDGET).return();

  f.end(); // outOfLine
  loadPlace();
  // One for the other loop.
  isX87().get(inX87).op(w.I32_NE);
  f.get(record).mem(w.I32_LOAD16_U, R_HANDLER).const(firstOuter).op(w.I32_LT_U, w.I32_AND).brIf(enter);
  // One after the other, without the loop between.
  const outer = f.loop();
  const continueBehind = (): void => {
    f.get(record).mem(w.I32_LOAD16_U, R_HANDLER).const(firstOuter).op(w.I32_GE_U).brIf(outer);
    keepRecord();
    f.br(enter);
  };
  f.get(record).get(pageEip).const(0).mem(w.I32_LOAD, AT_ADDRESS);
  f.get(record).mem(w.I32_LOAD16_U, R_HANDLER).callIndirect(handlerType).set(why);
  const isAddress = f.block();
  const isLeave = f.block();
  const isRepeat = f.block();
  const isFault = f.block();
  const isJump = f.block();
  const isNext = f.block();
  f.get(why).brTable([isNext, isJump, isFault, isRepeat, isLeave], isAddress);
  f.end(); // next
  f.get(record).const(RECORD_SIZE).op(w.I32_ADD).set(record);
  countOne();
  f.if();
  // A store may have changed a page table that the code itself is mapped by.
  f.const(0).mem(w.I32_LOAD, MUST_LOOK_UP);
  f.if();
  storeEip(() => recordEip(f, record, pageEip));
  f.br(start);
  f.end();
  continueBehind();
  f.end();
  storeEip(() => recordEip(f, record, pageEip));
  f.const(EXIT_BUDGET).return();
  f.end(); // a jump
  countOne();
  f.brIf(start).const(EXIT_BUDGET).return();
  f.end(); // a fault
  storeEip(() => recordEip(f, record, pageEip));
  f.const(EXIT_FAULT).return();
  f.end(); // a REP instruction goes on later
  storeEip(() => recordEip(f, record, pageEip));
  f.const(EXIT_BUDGET).return();
  f.end(); // the run loop is wanted
  f.const(EXIT_LEAVE).return();
  f.end(); // an address record
  f.const(0).const(0).mem(w.I32_LOAD, EA_LINEAR).mem(w.I32_STORE, AT_ADDRESS);
  f.get(record).const(RECORD_SIZE).op(w.I32_ADD).set(record);
  continueBehind();
  f.end().op(w.UNREACHABLE); // outer

  f.end(); // atLookUp: the tables do not know it, or it is entered anew
  f.br(start);

  const fetchInPage = (): void => {
    f.call(helpers.fetch).tee(lin).op(w.I32_EQZ);
    f.if();
    returnNoRecord();
    f.end();
    f.get(record).get(lin).mem(w.I32_STORE, R_IMMEDIATE).get(lin).set(record);
    keepRecord();
  };
  f.end(); // atLink
  loadPlace();
  f.get(record).mem(w.I32_LOAD, R_DISPLACEMENT).get(pageEip).op(w.I32_ADD).set(target);
  storeEip(() => f.get(target));
  countOne();
  f.op(w.DROP).get(target);
  fetchInPage();
  f.const(0).mem(w.I32_LOAD, STINT_LEFT).brIf(enter).const(EXIT_BUDGET).return();

  f.end(); // atChain
  loadPlace();
  recordEip(f, record, pageEip);
  f.set(target);
  storeEip(() => f.get(target));
  f.get(target);
  fetchInPage();
  f.br(enter);

  f.end(); // atStraddle
  loadPlace();
  recordEip(f, record, pageEip);
  f.set(target);
  storeEip(() => f.get(target));
  f.get(target).call(helpers.straddle).tee(record).op(w.I32_EQZ);
  f.if();
  returnNoRecord();
  f.end();
  keepRecord();
  f.br(enter);
  f.end().end().op(w.UNREACHABLE);
}
