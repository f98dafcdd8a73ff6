import { domainHue, domainLetter } from '../../store/selection.ts';
import type { PageTypeName } from '../../worker/protocol.ts';

/** A domain by hue, letter and pattern. */
export function DomainChip({ domid, patterned = false }: { domid: number; patterned?: boolean }) {
  const hue = domainHue(domid);
  return (
    <>
      <span className="domain-chip" data-hue={hue} title={`d${domid}`} aria-hidden="true">
        {domainLetter(domid)}
      </span>
      {patterned && <span className="domain-pattern" data-hue={hue} aria-hidden="true" />}
    </>
  );
}

const GLYPHS: Record<PageTypeName, { glyph: string; words: string }> = {
  none: { glyph: '·', words: 'no type' },
  L1: { glyph: '1', words: 'L1 page table' },
  L2: { glyph: '2', words: 'L2 page table' },
  L3: { glyph: '3', words: 'L3 page table' },
  descriptor: { glyph: 'D', words: 'descriptor page' },
  writable: { glyph: 'W', words: 'writable' },
  xen: { glyph: 'X', words: 'owned by Xen' },
  foreign: { glyph: 'F', words: 'of another domain' },
  io: { glyph: 'I', words: 'device memory' },
  free: { glyph: '–', words: 'free' },
};

/** What a frame is in use as. */
export function TypeChip({ type, pinned = false }: { type: PageTypeName; pinned?: boolean }) {
  const { glyph, words } = GLYPHS[type];
  const label = pinned ? `${words}, pinned` : words;
  return (
    <span
      className="type-chip"
      data-glyph={glyph}
      {...(pinned ? { 'data-pinned': '' } : {})}
      role="img"
      aria-label={label}
      title={label}
    >
      {glyph}
    </span>
  );
}
