import { gzipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { chooseAbi, readImage } from './image.ts';
import { readSymbols } from './symbols.ts';
import { buildElf, joined, note, text, words } from './testing/elf-builder.ts';

const code = new Uint8Array(0x3000).fill(0x90);
const GOOD = 'GUEST_OS=lab,XEN_VER=xen-3.0,LOADER=generic,VIRT_BASE=0xC0000000,HYPERCALL_PAGE=0x2';
const withString = (guest: string, paddr = 0xc000_0000) =>
  buildElf({
    entry: paddr,
    segments: [{ paddr, bytes: code }],
    sections: [{ name: '__xen_guest', bytes: text(`${guest}\0`) }],
  });
const withNotes = (...notes: Uint8Array[]) =>
  buildElf({
    entry: 0xc010_0000,
    segments: [
      { paddr: 0x10_0000, vaddr: 0xc010_0000, bytes: code },
      { type: 4, paddr: 0, bytes: joined(...notes) },
    ],
  });
const read = (file: Uint8Array) => {
  const result = readImage(file);
  if (!result.ok) throw new Error(`${result.error.code}: ${result.error.message}`);
  return result.value;
};
const codeOf = (file: Uint8Array) => {
  const result = readImage(file);
  return result.ok ? 'ok' : result.error.code;
};

describe('a __xen_guest string', () => {
  it('places p_paddr minus VIRT_BASE and counts the hypercall page in pages', () => {
    const image = read(withString(GOOD));
    expect(image).toMatchObject({
      virtBase: 0xc000_0000,
      paddrOffset: 0xc000_0000,
      kernelStart: 0xc000_0000,
      kernelEnd: 0xc000_3000,
      hypercallPfn: 2,
      pae: 'no',
      source: '__xen_guest string',
    });
  });
  it('takes the hypercall page as hexadecimal without 0x, and the keys in any order', () => {
    const guest = 'HYPERCALL_PAGE=10,LOADER=generic,VIRT_BASE=0xC0000000,XEN_VER=xen-3.0';
    const big = buildElf({
      entry: 0xc000_0000,
      segments: [{ paddr: 0xc000_0000, memSize: 0x20000 }],
      sections: [{ name: '__xen_guest', bytes: text(`${guest}\0`) }],
    });
    expect(read(big).hypercallPfn).toBe(0x10);
  });
  it("starts at the lowest physical address when VIRT_BASE is missing, as the 2006 Mini-OS's", () => {
    const guest = 'GUEST_OS=Mini-OS,XEN_VER=xen-3.0,HYPERCALL_PAGE=0x2,LOADER=generic,PT_MODE_WRITABLE';
    expect(read(withString(guest))).toMatchObject({
      virtBase: 0xc000_0000,
      paddrOffset: 0xc000_0000,
      hypercallPfn: 2,
    });
  });
  it('honours ELF_PADDR_OFFSET', () => {
    const file = buildElf({
      entry: 0xc010_0000,
      segments: [{ paddr: 0x10_0000, bytes: code }],
      sections: [
        {
          name: '__xen_guest',
          bytes: text(
            `${GOOD},ELF_PADDR_OFFSET=0x0,HYPERCALL_PAGE=0x101\0`.replace(',HYPERCALL_PAGE=0x2', ''),
          ),
        },
      ],
    });
    expect(read(file)).toMatchObject({ kernelStart: 0xc010_0000, hypercallPfn: 0x101 });
  });
  it.each([
    ['PAE=no', 'no'],
    ['PAE=yes', 'yes'],
    ['PAE=yes[extended-cr3]', 'extended-cr3'],
  ])('%s is PAE mode %s', (key, mode) => {
    expect(read(withString(`${GOOD},${key}`)).pae).toBe(mode);
  });
});

describe('ELF notes', () => {
  const good = [
    note(5, 'xen-3.0'),
    note(8, 'generic'),
    note(3, 0xc000_0000),
    note(4, 0),
    note(2, 0xc010_1000),
  ];
  it('take the hypercall page as an address', () => {
    expect(read(withNotes(...good))).toMatchObject({
      virtBase: 0xc000_0000,
      paddrOffset: 0,
      hypercallPfn: 0x101,
      source: 'note segment',
    });
  });
  it("are read to the end although the last one claims more than is there (GRUB's PAE_MODE)", () => {
    expect(read(withNotes(...good, note(9, 'yes', 'Xen', 12))).pae).toBe('extended-cr3');
  });
  it('of another owner do not count; the string does (GNU Mach)', () => {
    const file = buildElf({
      entry: 0xc000_0000,
      segments: [{ paddr: 0xc000_0000, bytes: code }],
      sections: [
        { name: '__xen_guest', bytes: text(`${GOOD},PAE=yes[extended-cr3]\0`) },
        { name: '.note.Xen', type: 7, bytes: joined(note(5, 'xen-3.0', 'name'), note(3, 0, 'name')) },
      ],
    });
    expect(read(file)).toMatchObject({
      source: '__xen_guest string',
      virtBase: 0xc000_0000,
      pae: 'extended-cr3',
    });
  });
  it('are found in a note section without a note segment', () => {
    const file = buildElf({
      entry: 0,
      segments: [{ paddr: 0, bytes: code }],
      sections: [
        { name: '.note', type: 7, bytes: joined(note(5, 'xen-3.0'), note(8, 'generic'), note(3, 0)) },
      ],
    });
    expect(read(file)).toMatchObject({ source: 'note section', virtBase: 0 });
  });
  it('may hold numbers of 8 bytes', () => {
    expect(
      read(withNotes(note(5, 'xen-3.0'), note(8, 'generic'), note(3, words(0xc000_0000, 0)))).virtBase,
    ).toBe(0xc000_0000);
  });
  it('PADDR_OFFSET without VIRT_BASE is an error', () => {
    expect(codeOf(withNotes(note(5, 'xen-3.0'), note(8, 'generic'), note(4, 0)))).toBe('bad-note');
  });
  it('of which a required feature need not be reported, only known', () => {
    expect(codeOf(withNotes(...good, note(10, '!writable_page_tables|pae_pgdir_above_4gb')))).toBe('ok');
    expect(codeOf(withNotes(...good, note(10, '!time_travel')))).toBe('unknown-required-feature');
    expect(codeOf(withNotes(...good, note(10, 'time_travel')))).toBe('ok');
    expect(codeOf(withNotes(...good, note(10, '!auto_translated_physmap')))).toBe('unsupported-feature');
  });
});

describe('a file that is no good is refused with its reason', () => {
  const good = withString(GOOD);
  const changed = (offset: number, ...bytes: number[]) => {
    const copy = good.slice();
    copy.set(bytes, offset);
    return copy;
  };
  it.each<[string, Uint8Array, string]>([
    ['nothing', new Uint8Array(0), 'empty-file'],
    ['text', text('#!/bin/sh\n'), 'not-an-elf'],
    ['two bytes', text('\x7fE'), 'not-an-elf'],
    ['a 64-bit ELF', changed(4, 2), 'elf-64-bit'],
    ['a big-endian ELF', changed(5, 2), 'elf-big-endian'],
    ['an ARM ELF', changed(18, 40, 0), 'wrong-machine'],
    ['an object file', changed(16, 1, 0), 'not-executable'],
    ['half a header', good.slice(0, 40), 'truncated'],
    ['half the program headers', good.slice(0, 60), 'truncated'],
    ['half a segment', good.slice(0, 4000), 'truncated'],
    ['half the section headers', good.slice(0, good.length - 10), 'truncated'],
    [
      'no segment',
      buildElf({ sections: [{ name: '__xen_guest', bytes: text(GOOD) }] }),
      'no-loadable-segment',
    ],
    [
      'overlapping segments',
      buildElf({
        segments: [
          { paddr: 0x1000, bytes: code },
          { paddr: 0x2000, bytes: code },
        ],
      }),
      'overlapping-segments',
    ],
    [
      'a segment beyond 4 GiB',
      buildElf({ segments: [{ paddr: 0xffff_f000, memSize: 0x2000 }] }),
      'huge-segment',
    ],
    [
      'a kernel that is no guest',
      buildElf({ segments: [{ paddr: 0x1000, bytes: code }] }),
      'not-a-xen-guest',
    ],
    ['a guest of another Xen', withString('XEN_VER=xen-2.0,LOADER=generic'), 'wrong-xen-version'],
    ['a guest that names no Xen', withString('LOADER=generic'), 'wrong-xen-version'],
    ['a guest of another loader', withString('XEN_VER=xen-3.0,LOADER=special'), 'wrong-loader'],
    ['a number that is none', withString(`${GOOD.replace('0xC0000000', 'home')}`), 'bad-guest-string'],
    ['an odd virtual base', withString(GOOD.replace('0xC0000000', '0xBFFFF800')), 'bad-virtual-base'],
    [
      'a base above the kernel',
      withString(`${GOOD.replace('0xC0000000', '0xD0000000')}`),
      'bad-virtual-base',
    ],
    ['an entry outside', withString(`${GOOD},VIRT_ENTRY=0xC0003000`), 'entry-outside'],
    ['a hypercall page outside', withString(GOOD.replace('=0x2', '=0x3')), 'hypercall-page-outside'],
    ['damaged gzip', gzipSync(good).fill(0, 100, 120), 'bad-gzip'],
    ['truncated gzip', gzipSync(good).slice(0, 200), 'bad-gzip'],
    ['xz that is cut off', Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 0), 'bad-compression'],
    ['bzip2', text('BZh91AY'), 'unsupported-compression'],
  ])('%s', (_, file, expected) => {
    expect(codeOf(file)).toBe(expected);
  });
  it('says what was found and what was expected', () => {
    const result = readImage(changed(18, 62, 0));
    expect(result).toMatchObject({
      ok: false,
      error: {
        message: 'the image is built for x86-64, not for the i386',
        facts: { machine: 62, expected: 3 },
      },
    });
  });
  it('and never throws, whatever single byte is wrong', () => {
    for (let offset = 0; offset < 84; offset++)
      for (const byte of [0, 1, 0x7f, 0x80, 0xff]) codeOf(changed(offset, byte));
    for (let length = 0; length < 200; length++) expect(codeOf(good.slice(0, length))).not.toBe('ok');
  });
});

describe('packed images', () => {
  it('gzip is unpacked', () => {
    expect(codeOf(gzipSync(withString(GOOD)))).toBe('ok');
  });
  it("a bzImage's gzip payload is taken out", () => {
    const payload = gzipSync(withString(GOOD));
    const file = new Uint8Array(0x800 + payload.length);
    const view = new DataView(file.buffer);
    file[0x1f1] = 1;
    file.set([0x55, 0xaa], 0x1fe);
    file.set(text('HdrS'), 0x202);
    view.setUint16(0x206, 0x0208, true);
    view.setUint32(0x248, 0x400, true);
    view.setUint32(0x24c, payload.length, true);
    file.set(payload, 0x800);
    expect(codeOf(file)).toBe('ok');
    view.setUint16(0x206, 0x0207, true);
    expect(codeOf(file)).toBe('bzimage-too-old');
    view.setUint16(0x206, 0x0208, true);
    expect(codeOf(file.slice(0, -100))).toBe('truncated');
    file.set([0x28, 0xb5, 0x2f, 0xfd], 0x800);
    expect(codeOf(file)).toBe('unsupported-compression');
  });
});

describe('the ABI of a domain', () => {
  const flat = read(withString(GOOD));
  const pae = read(withString(`${GOOD},PAE=yes`));
  it('follows the image', () => {
    expect(chooseAbi(flat, 'auto', 'auto')).toMatchObject({ value: { abi: 'x86_32', personality: '3.0.2' } });
    expect(chooseAbi(pae, 'auto', 'auto')).toMatchObject({ value: { abi: 'x86_32p', personality: '4.17' } });
    expect(chooseAbi(pae, 'auto', '3.0.2')).toMatchObject({
      value: { abi: 'x86_32p', personality: '3.0.2' },
    });
  });
  it('is refused when the image cannot speak it', () => {
    expect(chooseAbi(flat, 'x86_32p', 'auto')).toMatchObject({ error: { code: 'wrong-abi' } });
    expect(chooseAbi(pae, 'x86_32', 'auto')).toMatchObject({ error: { code: 'wrong-abi' } });
    expect(chooseAbi(flat, 'auto', '4.17')).toMatchObject({ error: { code: 'wrong-xen' } });
  });
});

describe('symbols', () => {
  const names = text('\0start\0main\0');
  const symbol = (name: number, value: number, size: number, info: number, section = 1) =>
    joined(words(name, value, size), Uint8Array.of(info, 0, section, 0));
  const file = buildElf({
    entry: 0xc000_0000,
    segments: [{ paddr: 0xc000_0000, bytes: code }],
    sections: [
      { name: '__xen_guest', bytes: text(`${GOOD}\0`) },
      {
        name: '.symtab',
        type: 2,
        bytes: joined(symbol(1, 0xc000_0000, 0x10, 0x12), symbol(7, 0xc000_0100, 0, 0x12)),
        link: 3,
        entrySize: 16,
      },
      { name: '.strtab', type: 3, bytes: names },
    ],
  });
  const symbols = readSymbols(read(file).elf);
  it('name an address by the symbol before it', () => {
    expect(symbols.symbolAt(0xc000_0000)).toBe('start');
    expect(symbols.symbolAt(0xc000_000f)).toBe('start+0xf');
    expect(symbols.symbolAt(0xc000_0180)).toBe('main+0x80');
  });
  it('but not beyond its end', () => {
    expect(symbols.symbolAt(0xc000_0010)).toBeNull();
    expect(symbols.symbolAt(0xbfff_ffff)).toBeNull();
  });
});
