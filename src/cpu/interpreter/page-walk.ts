/**
 * The page walk as generated code, for data: it fills the TLB where the tables allow the access, and leaves everything
 * else to the walk in TypeScript (paging.ts), which is the one that defines what happens. It never faults and never
 * marks a table as watched; after a flush the first walk through each table is the other's. A and D are set as there.
 *
 * Written down in the log as TlbLog.fillData does. Measured: a miss 139 to 45 ns (bench/README.md).
 */
import type { Callable, FunctionBuilder, Label, ModuleBuilder } from '../../wasm/encoder.ts';
import * as w from '../../wasm/opcodes.ts';
import { I32 } from '../../wasm/opcodes.ts';
import { FRAME_FLAGS_BASE, RAM_BASE } from '../layout.ts';
import { A, P, RW, US } from '../paging.ts';
import {
  LOG_FRAME,
  LOG_NEXT_OF_FRAME,
  LOG_NEXT_OF_PTE,
  LOG_PTE,
  LOG_WORD,
  ROLE_TABLE,
  ROLE_UPPER,
} from '../tlb.ts';
import * as map from './memory-map.ts';

/** What the second parameter is for a store: the bit of an entry that allows it, and moved up, the one that it sets. */
export const WALK_WRITE = RW;
const FROM_RW_TO_D = 5;
const FRAME_BITS = ~0xfff;
const LOG_HASH_SHIFT = 3;

/** Leaves if the frame of a table is not watched in that role: then it may not be read here. */
function leaveUnlessWatched(f: FunctionBuilder, address: number, role: number, leave: Label): void {
  f.get(address).const(12).op(w.I32_SHR_U).mem(w.I32_LOAD8_U, map.FRAME_ROLES);
  f.const(role).op(w.I32_AND).const(role).op(w.I32_NE).brIf(leave);
}
/** Leaves the entry at the machine address in a local. */
function loadPresent(f: FunctionBuilder, address: number, entry: number, leave: Label): void {
  f.get(address).mem(w.I32_LOAD, RAM_BASE).tee(entry).const(P).op(w.I32_AND, w.I32_EQZ).brIf(leave);
}
/** Leaves if the upper half of the entry says more than where the frame is. */
function leaveIfRefused(f: FunctionBuilder, address: number, leave: Label): void {
  f.get(address)
    .mem(w.I32_LOAD, RAM_BASE + 4)
    .const(0)
    .mem(w.I32_LOAD, map.WALK_REFUSED);
  f.op(w.I32_AND).brIf(leave);
}

/** (linear address, 0 or WALK_WRITE) -> what to add to it for the place in linear memory; 0: go the slow way. */
export function writePageWalk(m: ModuleBuilder): Callable {
  const f = m.func([I32, I32], [I32]);
  const [linear, write] = [0, 1];
  const local = (): number => f.local(I32);
  const [at, pdeAddress, pde, pteAddress, pte] = [local(), local(), local(), local(), local()];
  const [rights, frame, delta, read, count] = [local(), local(), local(), local(), local()];
  const load = (address: number): FunctionBuilder => f.const(0).mem(w.I32_LOAD, address);
  /** Pushes base + (linear >>> shift & mask). */
  const index = (base: number, shift: number, mask: number): FunctionBuilder =>
    f.get(base).get(linear).const(shift).op(w.I32_SHR_U).const(mask).op(w.I32_AND, w.I32_ADD);

  const leave = f.block();
  f.get(linear).const(4095).op(w.I32_OR);
  load(map.WALK_LIMIT).op(w.I32_GT_U).brIf(leave);
  load(map.WALK_ROOT).set(at);
  load(map.WALK_MODE).tee(rights).op(w.I32_EQZ).brIf(leave);
  f.get(rights).const(map.WALK_PAE).op(w.I32_EQ).if();
  f.get(at).get(linear).const(30).op(w.I32_SHR_U).const(3).op(w.I32_SHL, w.I32_ADD).set(at);
  leaveUnlessWatched(f, at, ROLE_UPPER, leave);
  f.get(at)
    .mem(w.I32_LOAD, RAM_BASE + 4)
    .brIf(leave);
  loadPresent(f, at, pde, leave);
  f.get(pde).const(FRAME_BITS).op(w.I32_AND).set(at);
  index(at, 18, 0xff8).set(pdeAddress);
  leaveUnlessWatched(f, pdeAddress, ROLE_UPPER, leave);
  loadPresent(f, pdeAddress, pde, leave);
  leaveIfRefused(f, pdeAddress, leave);
  f.get(pde).const(FRAME_BITS).op(w.I32_AND).set(at);
  index(at, 9, 0xff8).set(pteAddress);
  leaveUnlessWatched(f, pteAddress, ROLE_TABLE, leave);
  loadPresent(f, pteAddress, pte, leave);
  leaveIfRefused(f, pteAddress, leave);
  f.else();
  index(at, 20, 0xffc).set(pdeAddress);
  leaveUnlessWatched(f, pdeAddress, ROLE_UPPER, leave);
  loadPresent(f, pdeAddress, pde, leave);
  f.get(pde).const(FRAME_BITS).op(w.I32_AND).set(at);
  index(at, 10, 0xffc).set(pteAddress);
  leaveUnlessWatched(f, pteAddress, ROLE_TABLE, leave);
  loadPresent(f, pteAddress, pte, leave);
  f.end();

  // --- rights, and where the page is
  f.get(pde).get(pte).op(w.I32_AND);
  load(map.WALK_IMPLIED).op(w.I32_OR).tee(rights).const(US).op(w.I32_AND, w.I32_EQZ).brIf(leave);
  f.get(write).get(rights).const(-1).op(w.I32_XOR, w.I32_AND).brIf(leave);
  f.get(pte).const(12).op(w.I32_SHR_U).tee(frame);
  load(map.WALK_FRAMES).op(w.I32_GE_U).brIf(leave);
  f.get(pte).const(FRAME_BITS).op(w.I32_AND).get(linear).const(FRAME_BITS).op(w.I32_AND, w.I32_SUB);
  f.const(RAM_BASE).op(w.I32_ADD).tee(delta).op(w.I32_EQZ).brIf(leave);
  load(map.LOG_COUNT).tee(count).const(map.LOG_CAPACITY).op(w.I32_EQ).brIf(leave);

  // --- nothing refuses: the processor's own marks
  f.get(pde).const(A).op(w.I32_AND, w.I32_EQZ).if();
  f.get(pdeAddress).get(pde).const(A).op(w.I32_OR).mem(w.I32_STORE, RAM_BASE).end();
  f.get(pte).const(A).op(w.I32_OR).get(write).const(FROM_RW_TO_D).op(w.I32_SHL, w.I32_OR).tee(at);
  f.get(pte).op(w.I32_NE).if();
  f.get(pteAddress).get(at).mem(w.I32_STORE, RAM_BASE).end();

  // --- may stores go by unseen from now on? Otherwise there is no frame to watch for.
  f.get(frame).const(-1);
  f.get(rights).get(at).const(FROM_RW_TO_D).op(w.I32_SHR_U, w.I32_AND).const(RW).op(w.I32_AND);
  f.get(frame).mem(w.I32_LOAD8_U, FRAME_FLAGS_BASE).op(w.I32_EQZ).const(1).op(w.I32_SHL, w.I32_AND);
  f.op(w.SELECT).set(frame);
  load(map.TLB_BASE).get(linear).const(10).op(w.I32_SHR_U).const(0x3ffffc).op(w.I32_AND, w.I32_ADD).tee(read);
  f.mem(w.I32_LOAD).get(frame).const(31).op(w.I32_SHR_U, w.I32_AND).brIf(leave);

  // --- fill it, and write that down
  f.get(count).const(1).op(w.I32_ADD).set(count).const(0).get(count).mem(w.I32_STORE, map.LOG_COUNT);
  f.get(count).const(map.LOG_STRIDE).op(w.I32_MUL).tee(count).const(2).op(w.I32_SHL).set(at);
  const note = (word: number): FunctionBuilder => f.mem(w.I32_STORE, map.LOG_ENTRIES + 4 * word);
  /** The entry becomes the first of the chain whose head is at heads + the number in `pde`. */
  const chain = (heads: number, next: number): void => {
    f.get(at).get(pde).mem(w.I32_LOAD, heads);
    note(next);
    f.get(pde).get(count).mem(w.I32_STORE, heads);
  };
  f.get(at).get(read).const(2).op(w.I32_SHR_U);
  note(LOG_WORD);
  f.get(at).get(pteAddress);
  note(LOG_PTE);
  f.get(at).get(frame);
  note(LOG_FRAME);
  f.get(pteAddress)
    .const(LOG_HASH_SHIFT - 2)
    .op(w.I32_SHR_U)
    .const(map.LOG_HASH_MASK << 2);
  f.op(w.I32_AND).set(pde);
  chain(map.LOG_PTE_HEADS, LOG_NEXT_OF_PTE);
  f.get(read).get(delta).mem(w.I32_STORE);
  f.get(frame).const(0).op(w.I32_GE_S).if();
  f.get(frame).const(2).op(w.I32_SHL).set(pde);
  chain(map.LOG_FRAME_HEADS, LOG_NEXT_OF_FRAME);
  f.get(read).get(delta).mem(w.I32_STORE, map.TLB_WRITE);
  f.get(delta).return().end();
  f.const(0).get(delta).get(write).op(w.SELECT).return();
  f.end(); // leave
  return f.const(0);
}
