/** The rare x87 rows, for table.ts. */
import type { RareTable } from './rare.ts';
import { fbld, fbstp } from './x87-decimal.ts';
import { fldenv, fnclex, fninit, fnsave, fnstenv, frstor, fxrstor, fxsave } from './x87-environment.ts';
import { f2xm1, fcos, fpatan, fptan, fsin, fsincos, fyl2x, fyl2xp1 } from './x87-transcendental.ts';

export const x87Rare: RareTable = {
  fninit,
  fnclex,
  'fldenv Menv': fldenv,
  'fnstenv Menv': fnstenv,
  'frstor Mfst': frstor,
  'fnsave Mfst': fnsave,
  'fxsave Mfx': fxsave,
  'fxrstor Mfx': fxrstor,
  'fbld Mbcd': fbld,
  'fbstp Mbcd': fbstp,
  f2xm1,
  fyl2x,
  fyl2xp1,
  fpatan,
  fsin,
  fcos,
  fsincos,
  fptan,
};
