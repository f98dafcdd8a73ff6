/** A small domain for tests: PAGES pages of memory, mapped one after the other from BASE, for kernel and user alike. */
import type { Domain } from '../domain.ts';
import { createDomain } from '../domain-lifecycle.ts';
import { allocateDomainFrame, domainMemory } from '../domain-memory.ts';
import type { Hypervisor } from '../hypervisor.ts';
import type { Abi, Personality } from '../personality.ts';

export const BASE = 0xc000_0000;
export const PAGES = 16;
const TABLE_RIGHTS = 0x67;

export interface FlatDomain {
  domain: Domain;
  /** mfn of each page. */
  frames: number[];
  /** The L1 that maps them, and the root. */
  table: number;
  root: number;
}

export function flatDomain(
  hv: Hypervisor,
  options: { abi: Abi; personality: Personality; privileged: boolean; vcpus: number; maxFrames?: number },
): FlatDomain {
  const domain = createDomain(
    hv,
    { name: 'flat', maxFrames: 64, ...options, commandLine: '' },
    domainMemory,
  )!;
  const take = () => allocateDomainFrame(hv, domain);
  const frames = Array.from({ length: PAGES }, take);
  const table = take();
  const link = (mfn: number) => (mfn << 12) | TABLE_RIGHTS;
  for (const [i, mfn] of frames.entries()) {
    hv.m2p.set(mfn, i);
    hv.memory.write32(table * 4096 + domain.entryBytes * i, link(mfn));
  }
  const l2 = take();
  if (options.abi === 'x86_32') {
    hv.memory.write32(l2 * 4096 + 4 * (BASE >>> 22), link(table));
    return { domain, frames, table, root: l2 };
  }
  hv.memory.write32(l2 * 4096, link(table));
  const root = take();
  hv.memory.write32(root * 4096 + 8 * (BASE >>> 30), (l2 << 12) | 1);
  return { domain, frames, table, root };
}
