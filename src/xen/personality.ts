/**
 * Which hypervisor a domain believes to run on. The reference's tags [302] and [mod]; design.md section 4.
 * 2-level domains are always 3.0.2; PAE domains default to 4.17.
 */
export type Personality = '3.0.2' | '4.17';
/** 'x86_32': 2-level paging, 4-byte entries. 'x86_32p': PAE, 8-byte entries, 4-entry L3. */
export type Abi = 'x86_32' | 'x86_32p';

/** First linear address of the hypervisor's hole. */
export const HOLE_START: Record<Abi, number> = { x86_32: 0xfc00_0000, x86_32p: 0xf580_0000 };
/** One byte beyond the last address that a 3.0.2 guest segment reaches. */
export const SEGMENT_END: Record<Abi, number> = { x86_32: 0xfc40_0000, x86_32p: 0xf680_0000 };
