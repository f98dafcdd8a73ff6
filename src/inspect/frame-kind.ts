/** What a frame is in use as, in the words of the page-table views. */
import type { PageTypeName } from '../worker/protocol.ts';
import type { Domain } from '../xen/domain.ts';
import { DOMID_IO, DOMID_XEN } from '../xen/domain.ts';
import {
  FRAME_PINNED,
  type FrameTable,
  OWNER_FREE,
  OWNER_ORPHAN,
  TYPE_descriptor,
  TYPE_l1,
  TYPE_l2,
  TYPE_l3,
  TYPE_ldt,
  TYPE_writable,
} from '../xen/frames.ts';

export interface FrameKind {
  type: PageTypeName;
  /** 'd1', 'Xen', 'I/O', 'free' ... */
  owner: string;
  pinned: boolean;
}

export function ownerName(owner: number): string {
  if (owner === DOMID_XEN) return 'Xen';
  if (owner === DOMID_IO) return 'I/O';
  if (owner === OWNER_FREE) return 'free';
  if (owner === OWNER_ORPHAN) return 'nobody';
  return `d${owner}`;
}

function typeName(frames: FrameTable, domain: Domain, mfn: number): PageTypeName {
  const owner = frames.owner[mfn]!;
  if (owner === OWNER_FREE) return 'free';
  if (owner === DOMID_IO) return 'io';
  if (owner === DOMID_XEN) return 'xen';
  if (owner !== domain.id) return 'foreign';
  if (frames.typeCount[mfn] === 0) return 'none';
  switch (frames.type[mfn]) {
    case TYPE_l1:
      return 'L1';
    case TYPE_l2:
      return 'L2';
    case TYPE_l3:
      return 'L3';
    case TYPE_descriptor:
    case TYPE_ldt:
      return 'descriptor';
    case TYPE_writable:
      return 'writable';
    default:
      return 'none';
  }
}

/** As `domain` sees the frame: another domain's frame is foreign. */
export function frameKind(frames: FrameTable, domain: Domain, mfn: number): FrameKind {
  if (mfn >= frames.total) return { type: 'io', owner: 'beyond RAM', pinned: false };
  return {
    type: typeName(frames, domain, mfn),
    owner: ownerName(frames.owner[mfn]!),
    pinned: (frames.flags[mfn]! & FRAME_PINNED) !== 0,
  };
}
