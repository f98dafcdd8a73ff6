/**
 * Decoded instructions: 16 bytes each, in linear memory, in program order.
 *
 *   0  u16 handler      index in the dispatch table
 *   2  u16 position     offset of the instruction from the start of its page (4096 and more: behind the page)
 *   4  u8  reg          ModRM.reg or opcode register, as byte offset in gpr[]
 *   5  u8  rm           ModRM.rm register, as byte offset in gpr[]; x87: 4 * i
 *   6  u8  base         base register, as byte offset; 32 is the zero word behind gpr[]
 *   7  u8  index        index register as byte offset, | scale
 *   8  i32 displacement of the address; for jumps the target as offset from the start of the page
 *  12  i32 immediate; for jumps inside the page the target's record once known; for rare ones their number;
 *          x87: 4 * segment of the memory operand
 *
 * The record after the last one of a run leads on (GOTO), so that the offset of the next instruction is always the
 * position of the next record. An address record (EA) belongs to the instruction behind it and counts nothing.
 */
export const RECORD_SIZE = 16;
export const R_HANDLER = 0,
  R_POSITION = 2,
  R_REG = 4,
  R_RM = 5,
  R_BASE = 6,
  R_INDEX = 7;
export const R_DISPLACEMENT = 8,
  R_IMMEDIATE = 12;
export const NEXT_POSITION = RECORD_SIZE + R_POSITION;

/** Cases of the loop that belong to no row. */
export const HANDLER_NONE = 0;
/** Go on at this record's position, by look-up. */
export const HANDLER_GOTO = 1;
/** The same, for records whose code has changed. */
export const HANDLER_STALE = 2;
/** Go on at this record's position, in the same page; the immediate field is the record once it is known. */
export const HANDLER_CHAIN = 3;
/** The instruction here reaches into the next page. */
export const HANDLER_STRADDLE = 4;
/** Address record for flat 32-bit addressing. */
export const HANDLER_ADDRESS = 5;
export const FIRST_CASE = 6;

/** Results of an out-of-line handler. */
export const STATUS_NEXT = 0;
/** eip in the state block is where to go on; privilege and segments may have changed. */
export const STATUS_JUMP = 1;
export const STATUS_FAULT = 2;
/** The stint is over in the middle of a REP instruction. */
export const STATUS_REPEAT = 3;
/** The run loop has something to do first. eip is set; the instruction has been counted if it counts. */
export const STATUS_LEAVE = 4;
/** An address record: the address is in EA_LINEAR. */
export const STATUS_ADDRESS = 5;

/** What the loop returns. */
export const EXIT_BUDGET = 0;
export const EXIT_FAULT = 1;
export const EXIT_LEAVE = 2;
