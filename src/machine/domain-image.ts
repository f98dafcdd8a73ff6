/**
 * What a suspended domain is made of, without the machine that it ran on: pages by pfn, page tables in which pfns
 * stand for frames, the states of its vcpus. The file's form; save-domain.ts writes it, restore-domain.ts reads it.
 *
 *   section DOMA  everything but the pages, as plain values
 *   section PAGE  the pages that are not empty: how many, their pfns, their bytes
 */
import { aCount, aFlag, aText, bytes, listOf, oneOf, orNull, record, words } from './shape.ts';

export const imageShape = record({
  name: aText,
  abi: oneOf('x86_32', 'x86_32p'),
  personality: oneOf('3.0.2', '4.17'),
  commandLine: aText,
  maxFrames: aCount,
  symbols: listOf(record({ name: aText, value: aCount, size: aCount })),
  /** Entries of the guest's p2m, holes counted. */
  p2mSize: aCount,
  /** The pfns that have a page, ascending. */
  pfns: words,
  /** Of each of these: what it is in use as (TYPE_l1 to TYPE_l3, 0 anything else), and 128 if it is pinned. */
  uses: bytes,
  /** The pages that hold the p2m itself, in order. */
  p2mPages: listOf(aCount),
  startInfoPfn: aCount,
  consolePfn: aCount,
  storePfn: aCount,
  /** null: never initialised. GDT frames in the context are pfns, CR3 is in rootPfn. */
  vcpus: listOf(orNull(record({ context: bytes, rootPfn: aCount, down: aFlag }))),
});
export type DomainImage = ReturnType<typeof imageShape>;

export const USE_PINNED = 128;
