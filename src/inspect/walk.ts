/**
 * The processor's way from a root to a page, step by step, for looking only: no A or D bit is set, no fault raised.
 * Intel SDM vol. 3A, "32-Bit Paging" and "PAE Paging".
 */
import type { WalkStep } from '../worker/protocol.ts';
import type { Domain } from '../xen/domain.ts';
import type { Hypervisor } from '../xen/hypervisor.ts';
import { entryMfn, PTE_PRESENT } from '../xen/page-table-entries.ts';

/** Index into the table of `level` for a linear address. */
export function tableIndex(domain: Domain, level: number, va: number): number {
  if (domain.entryBytes === 4) return level === 2 ? va >>> 22 : (va >>> 12) & 1023;
  if (level === 3) return va >>> 30;
  return level === 2 ? (va >>> 21) & 511 : (va >>> 12) & 511;
}

/** Bytes of linear address space behind one entry of a table of `level`. */
export function entrySpan(domain: Domain, level: number): number {
  if (level === 1) return 4096;
  if (level === 2) return domain.entryBytes === 4 ? 0x40_0000 : 0x20_0000;
  return 0x4000_0000;
}

export function rootLevel(domain: Domain): 2 | 3 {
  return domain.entryBytes === 4 ? 2 : 3;
}

export function readEntry(
  hv: Hypervisor,
  domain: Domain,
  table: number,
  index: number,
): { low: number; high: number } {
  const maddr = table * 4096 + index * domain.entryBytes;
  return {
    low: hv.memory.read32(maddr),
    high: domain.entryBytes === 8 ? hv.memory.read32(maddr + 4) : 0,
  };
}

/** Steps down to the leaf, or to the first entry that is not present. */
export function walk(hv: Hypervisor, domain: Domain, root: number, va: number): WalkStep[] {
  const steps: WalkStep[] = [];
  let table = root;
  for (let level = rootLevel(domain); level >= 1; level--) {
    if (table >= hv.frames.total) break;
    const index = tableIndex(domain, level, va);
    const { low, high } = readEntry(hv, domain, table, index);
    const present = (low & PTE_PRESENT) !== 0;
    steps.push({
      level: level as 1 | 2 | 3,
      tableMfn: table,
      index,
      entryMaddr: table * 4096 + index * domain.entryBytes,
      low,
      high,
      present,
    });
    if (!present) break;
    table = entryMfn(low, high);
  }
  return steps;
}

/** Machine address of va in a vcpu's address space, or -1. */
export function peek(hv: Hypervisor, domain: Domain, root: number, va: number): number {
  const steps = walk(hv, domain, root, va);
  const leaf = steps[steps.length - 1];
  if (leaf === undefined || leaf.level !== 1 || !leaf.present) return -1;
  const mfn = entryMfn(leaf.low, leaf.high);
  return mfn < hv.frames.total ? mfn * 4096 + (va & 4095) : -1;
}

/** Up to `length` bytes at va; shorter where the mapping ends. */
export function peekBytes(
  hv: Hypervisor,
  domain: Domain,
  root: number,
  va: number,
  length: number,
): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) {
    const maddr = peek(hv, domain, root, (va + i) >>> 0);
    if (maddr < 0) return bytes.subarray(0, i);
    bytes[i] = hv.memory.read8(maddr);
  }
  return bytes;
}
