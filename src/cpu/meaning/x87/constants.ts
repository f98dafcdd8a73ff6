/**
 * FLD1 to FLDZ: the significand rounded to nearest, whether that lies above (1) or below (2) the true value or is
 * exact (0), and the exponent. Source: Intel SDM vol. 2, "FLD1/FLDL2T/..."; the hardware vectors check every digit.
 */
export interface Constant {
  readonly sig: bigint;
  readonly above: 0 | 1 | 2;
  readonly se: number;
}
export const CONSTANTS = {
  fld1: { sig: 0x8000_0000_0000_0000n, above: 0, se: 0x3fff },
  fldl2t: { sig: 0xd49a_784b_cd1b_8afen, above: 2, se: 0x4000 },
  fldl2e: { sig: 0xb8aa_3b29_5c17_f0bcn, above: 1, se: 0x3fff },
  fldpi: { sig: 0xc90f_daa2_2168_c235n, above: 1, se: 0x4000 },
  fldlg2: { sig: 0x9a20_9a84_fbcf_f799n, above: 1, se: 0x3ffd },
  fldln2: { sig: 0xb172_17f7_d1cf_79acn, above: 1, se: 0x3ffe },
  fldz: { sig: 0n, above: 0, se: 0 },
} as const satisfies Record<string, Constant>;
