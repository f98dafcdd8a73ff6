/**
 * The tag word as FNSTENV shows it: 00 valid, 01 zero, 10 special, 11 empty, by physical register. In the state block
 * a register is only empty or in use; what is in it is looked at here.
 * Source: Intel SDM vol. 1, "x87 FPU Tag Word".
 */
import { addressOf } from '../../layout.ts';

const FPR = addressOf('fpr');
const FTW = addressOf('ftw');

/** @param view the whole linear memory */
export function tagWordOf(view: DataView): number {
  const inUse = view.getUint16(FTW, true);
  let word = 0;
  for (let i = 0; i < 8; i++) word |= tagOf(view, i, inUse) << (2 * i);
  return word;
}

function tagOf(view: DataView, register: number, tags: number): number {
  if ((tags >> (2 * register)) & 1) return 3;
  const at = FPR + register * 16;
  const exponent = view.getUint16(at + 8, true) & 0x7fff;
  const high = view.getUint32(at + 4, true);
  if (exponent === 0) return high === 0 && view.getUint32(at, true) === 0 ? 1 : 2;
  return exponent === 0x7fff || high < 0x80000000 ? 2 : 0;
}
