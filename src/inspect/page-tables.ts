/**
 * The page tables of a vcpu as a flattened tree: the present entries of the root, and below each opened entry those
 * of its table. Consecutive leaves whose frames do not need telling apart (Xen's M2P window) are folded into one row.
 * Only the rows of the window are built; counting the others reads entries but makes no objects.
 */
import type { PageTableRow, PageTablesView, PageTableWindow, WalkStep } from '../worker/protocol.ts';
import type { Domain } from '../xen/domain.ts';
import type { Hypervisor } from '../xen/hypervisor.ts';
import {
  entryMfn,
  PTE_ACCESSED,
  PTE_DIRTY,
  PTE_GLOBAL,
  PTE_NX,
  PTE_PRESENT,
  PTE_RW,
  PTE_USER,
} from '../xen/page-table-entries.ts';
import { frameKind } from './frame-kind.ts';
import { findVcpu } from './vcpu-state.ts';
import { entrySpan, readEntry, rootLevel, walk } from './walk.ts';

/** flagLetters(0x67, 0) = "PWUAD··": present, writable, user, accessed, dirty, global, no-execute. */
export function flagLetters(low: number, high: number): string {
  return (
    (low & PTE_PRESENT ? 'P' : '·') +
    (low & PTE_RW ? 'W' : '·') +
    (low & PTE_USER ? 'U' : '·') +
    (low & PTE_ACCESSED ? 'A' : '·') +
    (low & PTE_DIRTY ? 'D' : '·') +
    (low & PTE_GLOBAL ? 'G' : '·') +
    (high & PTE_NX ? 'X' : '·')
  );
}

const entriesOf = (domain: Domain, level: number): number =>
  level === 3 ? 4 : domain.entryBytes === 4 ? 1024 : 512;

/** Present entries of a table. */
function countPresent(hv: Hypervisor, domain: Domain, table: number, level: number): number {
  let count = 0;
  for (let i = 0; i < entriesOf(domain, level); i++) {
    if (hv.memory.read32(table * 4096 + i * domain.entryBytes) & PTE_PRESENT) count++;
  }
  return count;
}

interface Cursor {
  hv: Hypervisor;
  domain: Domain;
  opened: Set<string>;
  from: number;
  to: number;
  /** Rows met so far, inside the window or not. */
  row: number;
  rows: PageTableRow[];
}

function pfnOf(hv: Hypervisor, domain: Domain, mfn: number): number | null {
  if (mfn >= hv.frames.total || hv.frames.owner[mfn] !== domain.id) return null;
  const pfn = hv.m2p.get(mfn);
  return pfn < 0x8000_0000 && pfn !== 0x5555_5555 ? pfn : null;
}

function makeRow(
  at: Cursor,
  path: string,
  level: 1 | 2 | 3,
  index: number,
  va: number,
  low: number,
  high: number,
): PageTableRow {
  const { hv, domain } = at;
  const mfn = entryMfn(low, high);
  const inside = level > 1 && mfn < hv.frames.total;
  return {
    path,
    level,
    index,
    va,
    low,
    high,
    flags: flagLetters(low, high),
    mfn,
    pfn: pfnOf(hv, domain, mfn),
    ...frameKind(hv.frames, domain, mfn),
    children: inside ? countPresent(hv, domain, mfn, level - 1) : null,
    span: 1,
  };
}

function visit(at: Cursor, table: number, level: 1 | 2 | 3, base: number, prefix: string): void {
  const { hv, domain } = at;
  const span = entrySpan(domain, level);
  const entries = entriesOf(domain, level);
  for (let index = 0; index < entries; index++) {
    const maddr = table * 4096 + index * domain.entryBytes;
    if (!(hv.memory.read32(maddr) & PTE_PRESENT)) continue;
    const { low, high } = readEntry(hv, domain, table, index);
    const va = (base + index * span) >>> 0;
    const path = prefix === '' ? `${index}` : `${prefix}.${index}`;
    if (at.row >= at.from && at.row < at.to) at.rows.push(makeRow(at, path, level, index, va, low, high));
    at.row++;
    if (level > 1 && at.opened.has(path)) {
      const below = entryMfn(low, high);
      if (below < hv.frames.total) visit(at, below, (level - 1) as 1 | 2, va, path);
    }
  }
}

/** Tables and leaves of the whole tree below a root. */
function countTree(hv: Hypervisor, domain: Domain, root: number): PageTablesView['counts'] {
  const counts = { l3: 0, l2: 0, l1: 0, leaves: 0 };
  const count = (table: number, level: number): void => {
    if (level === 3) counts.l3++;
    else if (level === 2) counts.l2++;
    else counts.l1++;
    for (let i = 0; i < entriesOf(domain, level); i++) {
      const { low, high } = readEntry(hv, domain, table, i);
      if (!(low & PTE_PRESENT)) continue;
      if (level === 1) counts.leaves++;
      // A 2-level linear mapping hooks an L2 where an L1 is expected: do not follow it round and round.
      else if (entryMfn(low, high) < hv.frames.total && entryMfn(low, high) !== table)
        count(entryMfn(low, high), level - 1);
    }
  };
  count(root, rootLevel(domain));
  return counts;
}

/** What the walk comes to, in words. */
export function walkVerdict(
  domain: Domain,
  va: number,
  steps: readonly WalkStep[],
  kindOf: (mfn: number) => string,
): string {
  const last = steps[steps.length - 1];
  if (last === undefined) return 'No page table is loaded.';
  if (!last.present)
    return `Not mapped: the L${last.level} entry is not present. Any access is a page fault, code 0 (read) or 2 (write).`;
  if (last.level !== 1) return 'The table named by this entry lies beyond RAM.';
  const writable = steps.every((s) => s.level === 3 || (s.low & PTE_RW) !== 0);
  const user = steps.every((s) => s.level === 3 || (s.low & PTE_USER) !== 0);
  const who = user
    ? 'Ring 1 and ring 3 may'
    : va >= domain.holeStart
      ? 'Ring 1 may'
      : 'Ring 1, not ring 3, may';
  return `${who} ${writable ? 'read and write' : 'only read'} it. The frame is ${kindOf(entryMfn(last.low, last.high))}.`;
}

export function pageTablesView(
  hv: Hypervisor,
  domid: number,
  vcpuId: number,
  window: PageTableWindow,
): PageTablesView | null {
  const vcpu = findVcpu(hv, domid, vcpuId);
  if (vcpu === undefined) return null;
  const { domain } = vcpu;
  const root = vcpu.rootMfn;
  const view: PageTablesView = {
    view: 'pageTables',
    domid,
    vcpu: vcpuId,
    abi: domain.abi,
    rootMfn: root,
    from: 0,
    rows: [],
    totalRows: 0,
    counts: { l3: 0, l2: 0, l1: 0, leaves: 0 },
    walk: null,
  };
  if (root === 0) return view;
  const count = Math.min(Math.max(window.count, 0), 400);
  const at: Cursor = {
    hv,
    domain,
    opened: new Set(window.opened),
    from: window.from,
    to: window.from + count,
    row: 0,
    rows: [],
  };
  visit(at, root, rootLevel(domain), 0, '');
  view.from = Math.min(window.from, at.row);
  view.rows = at.rows;
  view.totalRows = at.row;
  view.counts = countTree(hv, domain, root);
  if (window.walk !== null) {
    const va = window.walk >>> 0;
    const steps = walk(hv, domain, root, va);
    const leaf = steps[steps.length - 1];
    const reached = leaf?.level === 1 && leaf.present;
    const kind = (mfn: number) => {
      const k = frameKind(hv.frames, domain, mfn);
      return `mfn ${mfn.toString(16).padStart(5, '0')} of ${k.owner}, in use as ${k.type === 'none' ? 'no type' : k.type}`;
    };
    view.walk = {
      va,
      steps,
      maddr: reached ? entryMfn(leaf.low, leaf.high) * 4096 + (va & 4095) : null,
      verdict: walkVerdict(domain, va, steps, kind),
    };
  }
  return view;
}
