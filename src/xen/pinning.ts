/** Pins: a guest holds a frame to a type, so that it stays validated while no table or CR3 names it (memory.md 2.3). */
import { EINVAL } from './abi/errno.ts';
import { deny, hex } from './denial.ts';
import type { Domain } from './domain.ts';
import { FRAME_PINNED, TYPE_l2, TYPE_l3, typeNoun } from './frames.ts';
import type { Hypervisor } from './hypervisor.ts';
import { getPage, putPage } from './page-types.ts';
import { getPageAndType, l2SlotFor, putPageAndType } from './validate.ts';

/** Does the domain's hypervisor generation know tables of this level on their own? If not, pinning does nothing. */
export function pinsLevel(domain: Domain, type: number): boolean {
  if (type > TYPE_l3) return false;
  if (domain.entryBytes === 4) return type <= TYPE_l2;
  return domain.personality !== '3.0.2' || type !== TYPE_l2;
}

/** MMUEXT_PIN_Ln_TABLE. @param domain owner of the frame. */
export function pin(hv: Hypervisor, domain: Domain, mfn: number, type: number): number {
  if (!pinsLevel(domain, type)) return 0;
  const { frames } = hv;
  const errno = getPageAndType(hv, mfn, domain.id, type, type === TYPE_l2 ? l2SlotFor(domain, 0) : undefined);
  if (errno !== 0) return errno;
  if (frames.flags[mfn]! & FRAME_PINNED) {
    putPageAndType(hv, mfn);
    return deny(
      EINVAL,
      'already-pinned',
      `frame ${hex(mfn)} is pinned already as ${typeNoun(type)}`,
      'one pin per frame',
      mfn,
      type,
    );
  }
  frames.flags[mfn]! |= FRAME_PINNED;
  return 0;
}

/** MMUEXT_UNPIN_TABLE. */
export function unpin(hv: Hypervisor, domain: Domain, mfn: number): number {
  const { frames } = hv;
  const errno = getPage(frames, mfn, domain.id);
  if (errno !== 0) return errno;
  const pinned = releasePin(hv, mfn);
  const result = pinned
    ? 0
    : deny(EINVAL, 'not-pinned', `frame ${hex(mfn)} is not pinned`, 'a pinned frame', mfn, frames.type[mfn]);
  putPage(hv, mfn);
  return result;
}

/** Drops the pin of a frame if it has one. */
export function releasePin(hv: Hypervisor, mfn: number): boolean {
  if (!(hv.frames.flags[mfn]! & FRAME_PINNED)) return false;
  hv.frames.flags[mfn]! &= ~FRAME_PINNED;
  putPageAndType(hv, mfn);
  return true;
}
