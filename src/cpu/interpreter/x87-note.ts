/**
 * Where the last x87 instruction and its memory operand are (FCS:FIP, FDS:FDP). In the x87 loop an instruction only
 * stores its record and the operand's address; the fields are made of them before the page of the code changes and
 * when the loop is left.
 */
import type { FunctionBuilder } from '../../wasm/encoder.ts';
import * as w from '../../wasm/opcodes.ts';
import { addressOf, CS, SCRATCH_BASE } from '../layout.ts';
import { FOP_FROM_CODE } from '../meaning/x87/state.ts';
import { R_IMMEDIATE, R_POSITION } from './records.ts';
import type { Frame } from './sites.ts';

/** Record of the last x87 instruction, of the last one with a memory operand; 0: noted already. */
const LAST = SCRATCH_BASE + 160;
const LAST_WITH_MEMORY = SCRATCH_BASE + 164;

export function startX87Notes(f: FunctionBuilder): void {
  f.const(0).const(0).mem(w.I32_STORE, LAST).const(0).const(0).mem(w.I32_STORE, LAST_WITH_MEMORY);
}

/** Segments are flat in the loop: the address is the offset. */
export function writeX87Note({ f, record, address }: Frame, isMemory: boolean): void {
  f.const(0).get(record).mem(w.I32_STORE, LAST);
  if (!isMemory) return;
  f.const(0).get(record).mem(w.I32_STORE, LAST_WITH_MEMORY);
  f.const(0).get(address).mem(w.I32_STORE, addressOf('fdp'));
}

export function settleX87Notes({ f, pageEip }: Frame): void {
  f.const(0).mem(w.I32_LOAD, LAST).if();
  f.const(0).const(0).mem(w.I32_LOAD, LAST).mem(w.I32_LOAD16_U, R_POSITION).get(pageEip).op(w.I32_ADD);
  f.mem(w.I32_STORE, addressOf('fip'));
  f.const(0).const(0).mem(w.I32_LOAD, addressOf('segSelector', CS)).mem(w.I32_STORE, addressOf('fcs'));
  f.const(0).const(FOP_FROM_CODE).mem(w.I32_STORE16, addressOf('fop'));
  f.const(0).mem(w.I32_LOAD, LAST_WITH_MEMORY).if();
  f.const(0).const(0).mem(w.I32_LOAD, LAST_WITH_MEMORY).mem(w.I32_LOAD, R_IMMEDIATE);
  f.mem(w.I32_LOAD, addressOf('segSelector')).mem(w.I32_STORE, addressOf('fds'));
  f.end();
  startX87Notes(f);
  f.end();
}
