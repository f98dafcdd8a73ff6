/**
 * What the interpreter keeps between ENGINE_AREA_BASE and RAM_BASE, and its words in the scratch page.
 *
 * TLB: for each privilege and kind of access a table of 2^20 words, indexed by linear page number. A word is what must
 * be added to a linear address to get its place in the linear memory; 0 means not known, ask the page walk. The write
 * table follows its read table at TLB_WRITE. CODE tables hold, for each linear page, the address of the entry table
 * of the code page that it maps to; an entry table has one word for each byte of the page: the record of the
 * instruction that starts there, or 0.
 */
import { ENGINE_AREA_BASE, RAM_BASE, SCRATCH_BASE } from '../layout.ts';

const MIB = 1 << 20;

/** From a read table to its write table. */
export const TLB_WRITE = 4 * MIB;
export const TLB_SUPERVISOR = ENGINE_AREA_BASE;
export const TLB_USER = ENGINE_AREA_BASE + 8 * MIB;
/** Tables that stay empty: every access goes the slow way (data breakpoints). */
export const TLB_EMPTY = ENGINE_AREA_BASE + 16 * MIB;
export const CODE_SUPERVISOR = ENGINE_AREA_BASE + 24 * MIB;
export const CODE_USER = ENGINE_AREA_BASE + 28 * MIB;

export const ENTRY_TABLES = ENGINE_AREA_BASE + 32 * MIB;
export const ENTRY_TABLE_SIZE = 4096 * 4;
export const ENTRY_TABLE_COUNT = 2048;
export const RECORDS = ENTRY_TABLES + ENTRY_TABLE_SIZE * ENTRY_TABLE_COUNT;
export const RECORDS_END = RAM_BASE - MIB;

/** Instructions that this stint of the loop may still retire. */
export const STINT_LEFT = SCRATCH_BASE;
/** Read table of the current privilege (or TLB_EMPTY), and code table of it. */
export const TLB_BASE = SCRATCH_BASE + 4;
export const CODE_BASE = SCRATCH_BASE + 8;
/** Result of an address record: linear address, offset, segment number. */
export const EA_LINEAR = SCRATCH_BASE + 12;
export const EA_OFFSET = SCRATCH_BASE + 16;
export const EA_SEGMENT = SCRATCH_BASE + 20;
/** Where the dispatch loop stands while it is left: record, offset in CS of its page, address of the operand. */
export const AT_RECORD = SCRATCH_BASE + 24;
export const AT_PAGE_EIP = SCRATCH_BASE + 28;
export const AT_ADDRESS = SCRATCH_BASE + 32;
/** Set when entries of the TLB or code tables were dropped: the next instruction must be looked up anew. */
export const MUST_LOOK_UP = SCRATCH_BASE + 36;
