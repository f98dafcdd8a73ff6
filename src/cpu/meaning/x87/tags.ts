/**
 * The tag word. While the processor runs, the word behind sign and exponent in a register's slot says whether the
 * register is empty (1) or in use (0); in saved states it is 0 and the tag word holds it, empty (11) or in use (00).
 * The valid, zero and special tags that FNSTENV shows are derived from the register when they are asked for, as the
 * processor does. Source: Intel SDM vol. 1, "x87 FPU Tag Word".
 */
import { addressOf } from '../../layout.ts';

const FPR = addressOf('fpr');
/** Of the word in a slot. */
export const EMPTY_OFFSET = 10;

/** Empty (11) or in use (00), by physical register. @param fpr where the registers are in the view */
export function emptyTags(view: DataView, fpr = FPR): number {
  let tags = 0;
  for (let i = 0; i < 8; i++) tags |= (view.getUint16(fpr + i * 16 + EMPTY_OFFSET, true) * 3) << (2 * i);
  return tags;
}
export function setEmptyTags(view: DataView, tags: number, fpr = FPR): void {
  for (let i = 0; i < 8; i++) view.setUint16(fpr + i * 16 + EMPTY_OFFSET, (tags >> (2 * i)) & 1, true);
}

/** The tag word as FNSTENV shows it: 00 valid, 01 zero, 10 special, 11 empty. @param view the whole linear memory */
export function tagWordOf(view: DataView): number {
  const tags = emptyTags(view);
  let word = 0;
  for (let i = 0; i < 8; i++) word |= tagOf(view, i, tags) << (2 * i);
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
