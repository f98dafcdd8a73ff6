/**
 * What `xz`, `lzma` and `lz4 -l` made of one made-up program: unpacking must give it back. The packed bytes were
 * written by XZ Utils 5.4 and LZ4 1.9.
 */
import { describe, expect, it } from 'vitest';
import { unpackImage } from './compression.ts';
import { crc32, crc64 } from './crc.ts';

const PACKED: Record<string, string> = {
  'xz with the x86 filter':
    '/Td6WFoAAAFpIt42AgEEACEBEACLIW9J4CfOAUJdAHP//+AMK2v3aypZ31Hegz6LwrKZqiSxP3cPoOk3Z+F6wDvNKGK7x5D4+ITi' +
    '2klahD7zs/BFyie6LgZk/FSHl3R0IBBhvWOpZxx5VZtbIe4BZujYrm5CQy7BkEqgJ1or6UqgSEk/s9joZtMT0DiVh9Eqpu1ldbUW' +
    'q70E4GyEpcutU/HQ2qamvsPlVv5un864qH5xZ1js7mN1k9C65ynwgklk7mbHIjxKUMhevd/XFRnOjAxSsaeR8TsLIgPuuG6rlhNu' +
    'zCCgGKvIC1DcSrVdlTWSQYpDr7SB1CnwfsNHOzNDQJJDLmlnp0CKnbNOKty+tBm4c5SvI4Z0xJ53SMdG+Erotyj7i4SIf7BLGHIE' +
    'FeEwo+nQec0SsMYKoJzN5EFLtMjw0EuPowW04uOX1tdnN0zUGnsj22Guaaps+in0fdHqC3oAAAA6yDV9AAHaAs9PAABZjNhfPjAN' +
    'iwIAAAAAAVla',
  xz:
    '/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4CfOAg9dAHQ+v8ELygxBRRsyh5TB2yTCRNKvgF7ZoFnU7groY82iYsssZiZj9c2dvLPA' +
    '8GfGsfUOdDJTDdfd95xreFIPmvHeeU7MD2nY8HfhgjUSFhcVkugTtggGOgAsOtxtb94xxcgySc13ntkwVurdi6LxabPNhZT55yuy' +
    '0/cI1IZmvt3e6BEmRLKst3PVMEAs61NoDp0BCSczJZZS4w6B68YYKjUWJZnTsCW5JLFbC5M9GMiLfmAa1bV0M67hMK+/Z+D/v16q' +
    'hNda+DhiEQerkYpUqubDCL3Pygel3yHThGAy857CdemYJyiwkKnjwZUYwbkkLt2Booox6ZlrU6tWSPAuSvHsb3avc6Z6fBFUjoq5' +
    'Nq+AtmO46EeXxJhQ4cEZU6Vznc3kLtSNuPhziIdSnwt5VXCGS8IJPmjjoY+tD7awKSJ5VwTqVgXXyPvVYD1rgW9JUzCOSWXpytoC' +
    'zoGGCSvUBnbAMAmG4yNTsCFmozYbcTmFt/MJrhQDSN0U9BGaZ1yk33DvyfLLQ7S7DpMt8DEkhbgxZBXFJE2x8KixR5oFqIYHbPau' +
    'G0r0gHwmv7PY6k722fpfYH164f1hIoUEVTUylULUTI8+tN6Vb0FhpYIs7Alzg4rvzTNzooJg39cuMR+TdiN9m+RDRxOYid8O7Dsc' +
    'XEyzoN1rZ7eLFcCtoVEklAJxiBPoq/8xpVNIicTa65AAAAA5nT40YxJVfgABqwTPTwAAnafmELHEZ/sCAAAAAARZWg==',
  lzma:
    'XQAAgAD//////////wB0Pr/BC8oMQUUbMoeUwdskwkTSr4Be2aBZ1O4K6GPNomLLLGYmY/XNnbyzwPBnxrH1DnQyUw3X3feca3hS' +
    'D5rx3nlOzA9p2PB34YI1EhYXFZLoE7YIBjoALDrcbW/eMcXIMknNd57ZMFbq3Yui8WmzzYWU+ecrstP3CNSGZr7d3ugRJkSyrLdz' +
    '1TBALOtTaA6dAQknMyWWUuMOgevGGCo1FiWZ07AluSSxWwuTPRjIi35gGtW1dDOu4TCvv2fg/79eqoTXWvg4YhEHq5GKVKrmwwi9' +
    'z8oHpd8h04RgMvOewnXpmCcosJCp48GVGMG5JC7dgaKKMemZa1OrVkjwLkrx7G92r3OmenwRVI6KuTavgLZjuOhHl8SYUOHBGVOl' +
    'c53N5C7Ujbj4c4iHUp8LeVVwhkvCCT5o46GPrQ+2sCkieVcE6lYF18j71WA9a4FvSVMwjkll6craAs6Bhgkr1AZ2wDAJhuMjU7Ah' +
    'ZqM2G3E5hbfzCa4UA0jdFPQRmmdcpN9w78nyy0O0uw6TLfAxJIW4MWQVxSRNsfCosUeaBaiGB2z2rhtK9IB8Jr+z2OpO9tn6X2B9' +
    'euH9YSKFBFU1MpVC1EyPPrTelW9BYaWCLOwJc4OK780zc6KCYN/XLjEfk3YjfZvkQ0cTmInfDuw7HFxMs6Dda2e3ixXAraFRJJQC' +
    'cYgT6Kv/MaVTSInFY+H6vv/hy+Pd',
  lz4:
    'AiFMGAEDAACf6PsfAADo6egAAQD//////////////6+A6EsUAABs6HUGADFp6L4HAEFu6CYVCAAzdeitCQCReOhTFgAA6B4X7Qsy' +
    'bOgFMAASDh8AM+g2FjAAJH0XMABg4xQAAOhuGAAy6BgUNgAzaejeMAAjxhMwABXNYABh8xMAAOg+MAASqF0AEzFtAERpbujWkAAk' +
    'nRQwABCDMAARjjAAEbgeACPoAV0AFGlvAFRudejtEzAAEJMwABBeDwAh6EgVACLoURwAJOh5jQAlwBM5ADB46CNGABGuHQESWGAA' +
    'EiHlACToCTAAFRCNACE2FToAIeh+kAAS6GAAE3GQABQZMAAV4DAAY8YSAADo0agAMOj4EhgAD0IN//////////////+xIokJ6Asj' +
    '8QfoCyR4CugLIB4J4wsAGAA06NMGBQ0T2TAAIwEJMAAkSAgwAGGuBwAA6DkwACHjBkUMJawGBQ0jkQYwACSYBjAAEL4eABEJMAAR' +
    'c34AIuj8hQA26KQIBQ0kaAkwABBOMAARWTAAEYN1ACPozI0AFDS9ACe7CAUNEF4wABApKgAi6BOQABIcrAAk6ESNABWLvQAS8asA' +
    'IOh5UwAi6CNgABLsKAAz6NQFMAAV2zAAEAFqACNMBwUNErNgABM8MAAU5DAAJKsFMABgkQUAAOicDwA06MYFTQETDDAAE3SQAA9G' +
    'Df//////////////sUJD+///6AvQ6fv//+i0/P//bOie+RUAU+in+v//BQ0TzCcANOgT/TAAEHkeABEEMAASrjAAEnclADToX/k4' +
    'ADV16GNgABCJFgAQ1A8AMeg++jAAIsf8MAAUb10AFTZxAEB1eOgZMAARJGAAEU4hADLol/owACP/+TAAJIb5XQASLHMAMOj0+DAA' +
    'Id74MAAi5/gwABQPMAAVVjAAELwwABNHbwAi6O6QABO3wAAjn/gwABWmMAAQzCsAEReNABSB3gAj6AcwABSvMAAkdvowAGBc+P//' +
    '6GcPACLokY0AFtpNARQ/kACQxvv//2xpbnV4',
};

const fromBase64 = (text: string) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

/** Calls of a few functions near 0x2000, some opcodes that are none, words and holes. */
function program(): Uint8Array {
  const bytes: number[] = [];
  for (let i = 0; i < 150; i++) {
    const relative = 0x2000 - bytes.length - 5 + ((i * i) % 64) * 16;
    bytes.push(0xe8, ...[0, 8, 16, 24].map((shift) => (relative >> shift) & 255));
    if (i % 7 === 0) bytes.push(0xe8, 0xe9, 0xe8);
    for (const letter of 'linux'.slice(0, i % 6)) bytes.push(letter.charCodeAt(0));
    if (i % 50 === 0) bytes.push(...new Array<number>(3000).fill(0));
  }
  return Uint8Array.from(bytes);
}

describe.each(Object.entries(PACKED))('%s', (name, text) => {
  const packed = fromBase64(text);
  const plain = program();

  it('is unpacked to the byte, also with the size of the contents behind it', () => {
    for (const tail of [[], [plain.length & 255, plain.length >> 8, 0, 0]]) {
      const result = unpackImage(Uint8Array.from([...packed, ...tail]));
      expect(result).toEqual({ ok: true, value: plain });
    }
  });

  it('is refused when it is cut off, wherever that is', () => {
    // From the magic on; lz4 blocks that end early enough are whole by themselves.
    for (let length = 16; length < packed.length - 40; length += 7) {
      const result = unpackImage(packed.slice(0, length));
      expect(result).toMatchObject({ ok: false, error: { code: 'bad-compression' } });
    }
  });

  it('never throws, and never runs away, whatever single byte is wrong', () => {
    for (let at = 6; at < packed.length; at += 3) {
      const damaged = packed.slice();
      damaged[at]! ^= 0x55;
      const result = unpackImage(damaged);
      if (name.startsWith('xz') && at < packed.length - 40) expect(result.ok).toBe(false);
      else if (!result.ok) expect(result.error.code).toBe('bad-compression');
    }
  });
});

it('the checksums are those of their standards', () => {
  const digits = Uint8Array.from('123456789', (c) => c.charCodeAt(0));
  expect(crc32(digits)).toBe(0xcbf4_3926);
  expect(crc64(digits)).toEqual([0xdf19_39fa, 0x995d_c9bb]);
});
