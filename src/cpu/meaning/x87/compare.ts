/** Comparing two registers: condition codes as FCOM and FUCOM set them. Source: Intel SDM vol. 2, FCOM, FUCOM. */
import type { ModuleBuilder } from '../../../wasm/encoder.ts';
import { type Callee, define, GIVES_32, give, i32, when } from './expression.ts';
import type { Rounding } from './round.ts';
import {
  bit,
  C0,
  C2,
  C3,
  DE,
  exponentOf,
  IE,
  isBad,
  isDenormal,
  isUnsupported,
  QUIET,
  SIGN,
} from './state.ts';

/** (a, b, 1 if quiet NaNs are no error) -> C3, C2, C0; sets flags. */
export function defineCompare(module: ModuleBuilder, r: Rounding): Callee {
  return define(module, GIVES_32, (s) => {
    const aSig = s.param64(),
      aSe = s.param32(),
      bSig = s.param64(),
      bSe = s.param32(),
      quiet = s.param32();
    const aE = s.local32(),
      bE = s.local32(),
      below = s.local32();
    const signalling = (sig: typeof aSig, e: typeof aE) =>
      isBad(sig, e).and(isUnsupported(sig, e).or(sig.and(QUIET).eqz()));
    return [
      aE.set(exponentOf(aSe)),
      bE.set(exponentOf(bSe)),
      r.flags.set(0),
      when(isBad(aSig, aE).or(isBad(bSig, bE)), [
        when(quiet.eqz().or(signalling(aSig, aE)).or(signalling(bSig, bE)), [r.flags.set(IE)]),
        give(i32(C3 | C2 | C0)),
      ]),
      r.flags.set(bit(isDenormal(aSig, aE).or(isDenormal(bSig, bE)), DE)),
      when(aSe.xor(bSe).and(SIGN), [
        when(aSig.or(bSig).eqz(), [give(i32(C3))]),
        give(bit(aSe.and(SIGN).ne(0), C0)),
      ]),
      // A pseudo-denormal has the value that exponent 1 gives it.
      aE.set(aE.or(aE.eqz().and(aSig.ne(0n)))),
      bE.set(bE.or(bE.eqz().and(bSig.ne(0n)))),
      when(aE.eq(bE).and(aSig.eq(bSig)), [give(i32(C3))]),
      below.set(aE.ltU(bE).or(aE.eq(bE).and(aSig.ltU(bSig)))),
      give(bit(below.ne(aSe.and(SIGN).ne(0)), C0)),
    ];
  });
}
