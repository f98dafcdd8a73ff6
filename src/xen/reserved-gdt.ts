/**
 * The hypervisor's page in every GDT, page 14: selectors 0xE000 to 0xEFFF (memory.md 4.1). The flat ring-1 and ring-3
 * segments are there before a guest sets any GDT of its own. Three forms: 3.0.2 limits its segments below the
 * hypervisor's hole, 4.17 does not.
 */
import { FRAME_SIZE, type PhysicalMemory } from '../cpu/physical-memory.ts';
import type { Domain } from './domain.ts';

export const RESERVED_GDT_KINDS = ['x86_32 3.0.2', 'x86_32p 3.0.2', 'x86_32p 4.17'] as const;

/** Which form a domain sees: index into RESERVED_GDT_KINDS and FrameTable.reservedGdt. */
export function reservedGdtKind(domain: Domain): number {
  if (domain.abi === 'x86_32') return 0;
  return domain.personality === '3.0.2' ? 1 : 2;
}

/** [selector, low, high] per form. Ring 0's own (0xE008, 0xE010) cannot be loaded by a guest. */
const XEN_CS = [0xe008, 0x0000_ffff, 0x00cf_9a00] as const;
const XEN_DS = [0xe010, 0x0000_ffff, 0x00cf_9200] as const;
const FLAT: readonly (readonly (readonly [number, number, number])[])[] = [
  [
    [0xe019, 0x0000_c3ff, 0x00cf_ba00],
    [0xe021, 0x0000_c3ff, 0x00cf_b200],
    [0xe02b, 0x0000_c3ff, 0x00cf_fa00],
    [0xe033, 0x0000_c3ff, 0x00cf_f200],
  ],
  [
    [0xe019, 0x0000_67ff, 0x00cf_ba00],
    [0xe021, 0x0000_67ff, 0x00cf_b200],
    [0xe02b, 0x0000_67ff, 0x00cf_fa00],
    [0xe033, 0x0000_67ff, 0x00cf_f200],
  ],
  [
    [0xe019, 0x0000_ffff, 0x00cf_bb00],
    [0xe021, 0x0000_ffff, 0x00cf_b300],
    [0xe02b, 0x0000_ffff, 0x00cf_fb00],
    [0xe033, 0x0000_ffff, 0x00cf_f300],
  ],
];
/** Selector of physical CPU 0's TSS; its LDT follows. Seen by LAR and LSL only. */
const FIRST_TSS = 0xe040;
const TSS_AND_LDT = [
  [FIRST_TSS, 0x0000_0067, 0xff00_8b00],
  [FIRST_TSS + 8, 0x0000_ffff, 0xfe80_8200],
] as const;

/** Fills a zeroed Xen frame with the page of form `kind`. */
export function writeReservedGdt(memory: PhysicalMemory, mfn: number, kind: number): void {
  for (const [selector, low, high] of [XEN_CS, XEN_DS, ...FLAT[kind]!, ...TSS_AND_LDT]) {
    const at = mfn * FRAME_SIZE + (selector & 0xff8);
    memory.write32(at, low);
    memory.write32(at + 4, high);
  }
}
