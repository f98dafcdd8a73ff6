/**
 * Who the processor says it is: one table of features, from which CPUID, the bits that CR4 and EFER accept, and the
 * text of `lab cpuid` derive. Intel SDM vol. 2, CPUID. A feature is listed as present only when all of it works.
 */

interface Feature {
  readonly name: string;
  readonly bit: number;
  readonly present: boolean;
  readonly doc: string;
}
const feature = (name: string, bit: number, present: boolean, doc: string): Feature => ({
  name,
  bit,
  present,
  doc,
});

/** Leaf 1, EDX. */
export const FEATURES_1_EDX: readonly Feature[] = [
  feature('FPU', 0, true, 'x87 on chip'),
  feature('VME', 1, false, 'virtual-8086 extensions'),
  feature('DE', 2, false, 'I/O breakpoints'),
  feature('PSE', 3, false, '4 MiB pages'),
  feature('TSC', 4, true, 'RDTSC'),
  feature('MSR', 5, true, 'RDMSR and WRMSR'),
  feature('PAE', 6, true, 'three-level paging, 8-byte entries'),
  feature('MCE', 7, false, 'machine-check exception'),
  feature('CX8', 8, true, 'CMPXCHG8B'),
  feature('APIC', 9, false, 'local APIC'),
  feature('SEP', 11, false, 'SYSENTER and SYSEXIT'),
  feature('MTRR', 12, false, 'memory type range registers'),
  feature('PGE', 13, false, 'global pages'),
  feature('MCA', 14, false, 'machine-check architecture'),
  feature('CMOV', 15, true, 'CMOVcc, FCMOVcc, FCOMI'),
  feature('PAT', 16, false, 'page attribute table'),
  feature('PSE36', 17, false, '36-bit addresses of 4 MiB pages'),
  feature('MMX', 23, false, 'MMX'),
  feature('FXSR', 24, true, 'FXSAVE and FXRSTOR'),
  feature('SSE', 25, false, 'SSE'),
  feature('SSE2', 26, false, 'SSE2'),
];
/** Leaf 0x80000001, EDX. */
export const FEATURES_EXT_EDX: readonly Feature[] = [
  feature('NX', 20, true, 'no-execute bit in PAE entries'),
];

const bits = (features: readonly Feature[]): number =>
  features.reduce((sum, f) => (f.present ? sum | (1 << f.bit) : sum), 0) >>> 0;

export function hasFeature(name: string): boolean {
  return [...FEATURES_1_EDX, ...FEATURES_EXT_EDX].some((f) => f.name === name && f.present);
}

const FAMILY = 6;
const MODEL = 8;
const STEPPING = 6;
const SIGNATURE = (FAMILY << 8) | (MODEL << 4) | STEPPING;
const VENDOR = 'GenuineIntel';
const BRAND = 'Ringside i686 at 1000 MHz';

export interface CpuidResult {
  readonly eax: number;
  readonly ebx: number;
  readonly ecx: number;
  readonly edx: number;
}

/** Four ASCII characters, the first in the lowest byte; zero-padded. */
function packed(text: string, at: number): number {
  let word = 0;
  for (let i = 0; i < 4; i++) word |= (at + i < text.length ? text.charCodeAt(at + i) : 0) << (8 * i);
  return word >>> 0;
}
const brandLeaf = (part: number): CpuidResult => ({
  eax: packed(BRAND, part * 16),
  ebx: packed(BRAND, part * 16 + 4),
  ecx: packed(BRAND, part * 16 + 8),
  edx: packed(BRAND, part * 16 + 12),
});

const HIGHEST_BASIC = 2;
const HIGHEST_EXTENDED = 0x80000004;

/** [leaf, answer, what it says]. */
const LEAVES: readonly (readonly [number, CpuidResult, string])[] = [
  [
    0,
    { eax: HIGHEST_BASIC, ebx: packed(VENDOR, 0), edx: packed(VENDOR, 4), ecx: packed(VENDOR, 8) },
    `highest leaf and vendor, ${VENDOR}`,
  ],
  [
    1,
    { eax: SIGNATURE, ebx: 0, ecx: 0, edx: bits(FEATURES_1_EDX) },
    `family ${FAMILY} model ${MODEL} stepping ${STEPPING}, features`,
  ],
  // Descriptors: 01, 03 TLBs for 4 KiB pages; 08, 0c level 1 caches of 16 KiB; 82 level 2 cache of 256 KiB.
  [2, { eax: 0x00030101, ebx: 0, ecx: 0, edx: 0x000c0882 }, 'cache and TLB descriptors'],
  [0x80000000, { eax: HIGHEST_EXTENDED, ebx: 0, ecx: 0, edx: 0 }, 'highest extended leaf'],
  [0x80000001, { eax: 0, ebx: 0, ecx: 0, edx: bits(FEATURES_EXT_EDX) }, 'extended features'],
  [0x80000002, brandLeaf(0), `brand, ${BRAND}`],
  [0x80000003, brandLeaf(1), 'brand, continued'],
  [0x80000004, brandLeaf(2), 'brand, continued'],
];
const BY_LEAF = new Map(LEAVES.map(([leaf, answer]) => [leaf, answer]));

/** A leaf that does not exist answers like the highest basic one, as Intel's processors do. */
export function cpuid(leaf: number): CpuidResult {
  return BY_LEAF.get(leaf >>> 0) ?? BY_LEAF.get(HIGHEST_BASIC)!;
}

const hex = (n: number): string => n.toString(16).padStart(8, '0');

/** What `lab cpuid` prints. */
export function cpuidText(): string {
  const lines = LEAVES.map(
    ([leaf, a, doc]) =>
      `${hex(leaf)}  eax ${hex(a.eax)}  ebx ${hex(a.ebx)}  ecx ${hex(a.ecx)}  edx ${hex(a.edx)}  ${doc}`,
  );
  const list = (features: readonly Feature[]) =>
    features.map((f) => `  ${f.present ? 'yes' : 'no '} ${f.name.padEnd(5)} ${f.doc}`);
  return [...lines, '', 'features:', ...list(FEATURES_1_EDX), ...list(FEATURES_EXT_EDX), ''].join('\n');
}
