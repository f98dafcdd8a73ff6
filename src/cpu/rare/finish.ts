/** How a rare function ends: done, or with the refusal that its checks gave. */
import { refusalCode, refusalVector } from './descriptors.ts';
import { RARE_NEXT, type RareMachine, type RareStatus } from './rare.ts';

/** #DF, #TS, #NP, #SS, #GP, #PF and #AC push an error code. */
const WITH_ERROR_CODE = (1 << 8) | (1 << 10) | (1 << 11) | (1 << 12) | (1 << 13) | (1 << 14) | (1 << 17);
export const hasErrorCode = (vector: number): boolean =>
  vector < 32 && ((WITH_ERROR_CODE >>> vector) & 1) !== 0;

export function finish(m: RareMachine, refused: number, done: RareStatus = RARE_NEXT): RareStatus {
  if (refused === 0) return done;
  const vector = refusalVector(refused);
  return m.raise(vector, hasErrorCode(vector) ? refusalCode(refused) : -1);
}
