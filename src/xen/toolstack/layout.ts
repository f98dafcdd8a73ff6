/**
 * Where everything of a new domain lies: the initial virtual layout of boot.md section 2, for both ABIs. Pure
 * arithmetic; build-domain.ts fills the frames.
 *
 *   kernel | ramdisk | p2m list | start_info | xenstore | console | page tables | stack | padding
 *
 * contiguous from virt_base, each page aligned, up to the next 4 MiB boundary that leaves 512 KiB behind the stack.
 */
import { type Abi, HOLE_START } from '../personality.ts';
import { hex, type ImageResult, imageError } from './image-error.ts';

const MIB = 1024 * 1024;
const END_ALIGNMENT = 4 * MIB;
const ROOM_BEHIND_STACK = 512 * 1024;
/** Tables inside the region enlarge it, which may need more tables: a few rounds at most. */
const ROUNDS = 8;

export interface LayoutRequest {
  abi: Abi;
  virtBase: number;
  /** One behind the kernel's last byte. */
  kernelEnd: number;
  ramdiskBytes: number;
  /** Frames of the domain. */
  frames: number;
  /** The initial domain has neither a xenstore nor a console page. */
  rings: boolean;
}

/** PFNs, counted from virt_base. */
export interface DomainLayout {
  kernelPages: number;
  ramdiskPfn: number;
  ramdiskPages: number;
  p2mPfn: number;
  p2mPages: number;
  startInfoPfn: number;
  /** -1 without rings. */
  storePfn: number;
  consolePfn: number;
  tablesPfn: number;
  /** Root, L2s (PAE), L1s. */
  tables: TableCounts;
  tableFrames: number;
  stackPfn: number;
  /** Pages mapped from virt_base on. */
  mappedPages: number;
}

interface TableCounts {
  l3: number;
  /** PAE: L3 slots that get an L2, ascending; 2-level: the root itself counts as the one L2. */
  l2Slots: number[];
  /** 2-level: first L2 index; PAE: first 2 MiB region. One L1 each. */
  firstL1: number;
  l1: number;
}

const pages = (bytes: number) => Math.ceil(bytes / 4096);

/**
 * The count of 2007: root, one L2 per touched GiB and one for slot 3, one L1 per touched region. Mini-OS derives how
 * far it is mapped from the number of tables, so it must be exact.
 */
function countTables(abi: Abi, virtBase: number, end: number): TableCounts {
  const reach = abi === 'x86_32p' ? 2 * MIB : 4 * MIB;
  const firstL1 = Math.floor(virtBase / reach);
  const l1 = Math.ceil(end / reach) - firstL1;
  if (abi === 'x86_32') return { l3: 0, l2Slots: [0], firstL1, l1 };
  const l2Slots: number[] = [];
  for (let slot = Math.floor(virtBase / 0x4000_0000); slot * 0x4000_0000 < end; slot++) l2Slots.push(slot);
  if (!l2Slots.includes(3)) l2Slots.push(3);
  return { l3: 1, l2Slots, firstL1, l1 };
}

export function layOut(request: LayoutRequest): ImageResult<DomainLayout> {
  const { abi, virtBase, frames } = request;
  const kernelPages = pages(request.kernelEnd - virtBase);
  const ramdiskPages = pages(request.ramdiskBytes);
  const ramdiskPfn = kernelPages;
  const p2mPfn = ramdiskPfn + ramdiskPages;
  const p2mPages = pages(frames * 4);
  const startInfoPfn = p2mPfn + p2mPages;
  const ringPages = request.rings ? 2 : 0;
  const tablesPfn = startInfoPfn + 1 + ringPages;

  let tableFrames = 2;
  for (let round = 0; round < ROUNDS; round++) {
    const stackPfn = tablesPfn + tableFrames;
    const end = regionEnd(virtBase + (stackPfn + 1) * 4096);
    const tables = countTables(abi, virtBase, end);
    const needed = tables.l3 + tables.l2Slots.length + tables.l1;
    if (needed > tableFrames) {
      tableFrames = needed;
      continue;
    }
    if (end > HOLE_START[abi]) {
      return imageError(
        'bad-virtual-base',
        `the domain would reach ${hex(end)}, into the hypervisor's area at ${hex(HOLE_START[abi])}`,
        {
          end,
          hole: HOLE_START[abi],
        },
      );
    }
    const mappedPages = (end - virtBase) / 4096;
    if (mappedPages > frames) return tooSmall(request, mappedPages);
    return {
      ok: true,
      value: {
        kernelPages,
        ramdiskPfn,
        ramdiskPages,
        p2mPfn,
        p2mPages,
        startInfoPfn,
        storePfn: request.rings ? startInfoPfn + 1 : -1,
        consolePfn: request.rings ? startInfoPfn + 2 : -1,
        tablesPfn,
        tables,
        tableFrames,
        stackPfn,
        mappedPages,
      },
    };
  }
  return tooSmall(request, tablesPfn + tableFrames);
}

function regionEnd(used: number): number {
  const end = Math.ceil(used / END_ALIGNMENT) * END_ALIGNMENT;
  return end - used < ROOM_BEHIND_STACK ? end + END_ALIGNMENT : end;
}

function tooSmall(request: LayoutRequest, needed: number) {
  const mib = (frames: number) => Math.ceil(frames / 256);
  const facts = { frames: request.frames, needed, ramdiskBytes: request.ramdiskBytes };
  if (request.ramdiskBytes > 0) {
    const without = layOut({ ...request, ramdiskBytes: 0 });
    if (without.ok) {
      return imageError(
        'ramdisk-too-big',
        `the ramdisk of ${mib(pages(request.ramdiskBytes))} MiB is too big: the domain has ${mib(request.frames)} MiB, its start alone needs ${mib(needed)} MiB`,
        facts,
      );
    }
  }
  return imageError(
    'memory-too-small',
    `${mib(request.frames)} MiB are too little memory: the kernel and its first page tables need ${mib(needed)} MiB`,
    facts,
  );
}
