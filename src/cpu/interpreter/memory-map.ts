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

/**
 * The log of what was filled into TLB and code tables (`tlb.ts`); the generated page walk writes it too.
 *
 *   LOG_ENTRIES      5 words each: filled word of the read or code table, address of the page-table entry, mfn or -1,
 *                    the next in the chain of that page-table entry, the next of that frame
 *   LOG_PTE_HEADS    first entry of a chain by hash of the page-table entry's address; 0: none
 *   LOG_FRAME_HEADS  the same by mfn
 *   FRAME_ROLES      one byte for each mfn that an address can name, so that none needs to be compared with the RAM
 */
export const LOG_CAPACITY = 1 << 16;
export const LOG_STRIDE = 5;
export const LOG_HASH_MASK = 0xffff;
export const LOG_ENTRIES = ENTRY_TABLES + ENTRY_TABLE_SIZE * ENTRY_TABLE_COUNT;
export const LOG_PTE_HEADS = LOG_ENTRIES + 2 * MIB;
export const LOG_FRAME_HEADS = LOG_PTE_HEADS + MIB;
export const FRAME_ROLES = LOG_FRAME_HEADS + MIB;
export const RECORDS = FRAME_ROLES + MIB;
export const RECORDS_END = RAM_BASE - MIB;

/** Instructions that this stint of the loop may still retire. */
export const STINT_LEFT = SCRATCH_BASE;
/** Read table of the current privilege (or TLB_EMPTY), and code table of it. */
export const TLB_BASE = SCRATCH_BASE + 4;
export const CODE_BASE = SCRATCH_BASE + 8;
/** Result of an address record: linear address. */
export const EA_LINEAR = SCRATCH_BASE + 12;
/** Where the dispatch loop stands while it is left: record, offset in CS of its page, address of the operand. */
export const AT_RECORD = SCRATCH_BASE + 24;
export const AT_PAGE_EIP = SCRATCH_BASE + 28;
export const AT_ADDRESS = SCRATCH_BASE + 32;
/** Set when entries of the TLB or code tables were dropped: the next instruction must be looked up anew. */
export const MUST_LOOK_UP = SCRATCH_BASE + 36;

/** What the generated page walk must know (`page-walk.ts`): 0 if it is to leave every access alone. */
export const WALK_MODE = SCRATCH_BASE + 40;
export const WALK_OFF = 0,
  WALK_TWO_LEVELS = 1,
  WALK_PAE = 2;
/** Machine address of the directory, or of the four entries above them. */
export const WALK_ROOT = SCRATCH_BASE + 44;
/** Bits of an entry's upper half that it does not deal with. */
export const WALK_REFUSED = SCRATCH_BASE + 48;
/** Rights that the privilege has whatever the tables say. */
export const WALK_IMPLIED = SCRATCH_BASE + 52;
/** Pages up to this linear address may be filled. */
export const WALK_LIMIT = SCRATCH_BASE + 56;
/** Frames of RAM. */
export const WALK_FRAMES = SCRATCH_BASE + 60;
/** Entries in the log. */
export const LOG_COUNT = SCRATCH_BASE + 64;
