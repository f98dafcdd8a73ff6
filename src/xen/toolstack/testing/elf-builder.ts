/** Small ELF files for tests, made field by field so that each field can be made wrong. */

export interface SegmentSpec {
  type?: number;
  paddr: number;
  vaddr?: number;
  bytes?: Uint8Array;
  memSize?: number;
  flags?: number;
}
export interface SectionSpec {
  name: string;
  type?: number;
  bytes: Uint8Array;
  link?: number;
  entrySize?: number;
}
export interface ElfSpec {
  entry?: number;
  segments?: SegmentSpec[];
  sections?: SectionSpec[];
}

export const text = (s: string): Uint8Array => Uint8Array.from(s, (c) => c.charCodeAt(0));
export const words = (...values: number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);
export function joined(...parts: Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

export function buildElf(spec: ElfSpec): Uint8Array {
  const segments = spec.segments ?? [];
  const sections = spec.sections ?? [];
  const chunks: Uint8Array[] = [];
  const dataAt = 52 + segments.length * 32;
  let at = dataAt;
  const append = (bytes: Uint8Array): number => {
    const offset = at;
    const padded = new Uint8Array((bytes.length + 3) & ~3);
    padded.set(bytes);
    chunks.push(padded);
    at += padded.length;
    return offset;
  };
  const programHeaders: Uint8Array[] = [];
  for (const s of segments) {
    const bytes = s.bytes ?? new Uint8Array(0);
    const offset = append(bytes);
    programHeaders.push(
      words(
        s.type ?? 1,
        offset,
        s.vaddr ?? s.paddr,
        s.paddr,
        bytes.length,
        s.memSize ?? bytes.length,
        s.flags ?? 7,
        4096,
      ),
    );
  }
  let sectionHeaders: Uint8Array = new Uint8Array(0);
  let sectionsAt = 0;
  if (sections.length > 0) {
    let names = '\0';
    const rows = [words(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)];
    for (const s of sections) {
      const name = names.length;
      names += `${s.name}\0`;
      rows.push(
        words(name, s.type ?? 1, 0, 0, append(s.bytes), s.bytes.length, s.link ?? 0, 0, 1, s.entrySize ?? 0),
      );
    }
    const name = names.length;
    names += '.shstrtab\0';
    rows.push(words(name, 3, 0, 0, append(text(names)), names.length, 0, 0, 1, 0));
    sectionsAt = at;
    sectionHeaders = joined(...rows);
  }
  const header = new Uint8Array(52);
  const view = new DataView(header.buffer);
  header.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, 3, true);
  view.setUint32(20, 1, true);
  view.setUint32(24, spec.entry ?? 0, true);
  view.setUint32(28, segments.length ? 52 : 0, true);
  view.setUint32(32, sectionsAt, true);
  view.setUint16(40, 52, true);
  view.setUint16(42, 32, true);
  view.setUint16(44, segments.length, true);
  view.setUint16(46, 40, true);
  view.setUint16(48, sections.length ? sections.length + 2 : 0, true);
  view.setUint16(50, sections.length ? sections.length + 1 : 0, true);
  return joined(header, ...programHeaders, ...chunks, sectionHeaders);
}

/** One ELF note. `claimedSize` overrides the descriptor's size field. */
export function note(
  type: number,
  desc: Uint8Array | string | number,
  owner = 'Xen',
  claimedSize?: number,
): Uint8Array {
  const bytes = typeof desc === 'string' ? text(`${desc}\0`) : typeof desc === 'number' ? words(desc) : desc;
  const pad = (b: Uint8Array) => joined(b, new Uint8Array(-b.length & 3));
  return joined(
    words(owner.length + 1, claimedSize ?? bytes.length, type),
    pad(text(`${owner}\0`)),
    pad(bytes),
  );
}
