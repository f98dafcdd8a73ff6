import { domainHue, domainLetter } from '../../store/selection.ts';
import type { PageTypeName } from '../../worker/protocol.ts';

/** A domain by hue, letter and pattern. */
export function DomainChip(props: {
  domid: number;
  patterned?: boolean;
  /** Spoken where no text beside it names the domain. */
  label?: string;
}) {
  const { domid, patterned = false, label } = props;
  const hue = domainHue(domid);
  const spoken = label === undefined ? { 'aria-hidden': true } : { role: 'img', 'aria-label': label };
  return (
    <>
      <span className="domain-chip" data-hue={hue} title={label ?? `d${domid}`} {...spoken}>
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
