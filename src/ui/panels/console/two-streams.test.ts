import { describe, expect, it } from 'vitest';
import { Rendition } from './rendition.ts';
import { TwoStreams } from './two-streams.ts';

/** Pieces that begin with '!' come by console_io. CAN is shown as <, CSI as [. */
function shown(pieces: readonly string[], dims = true): string {
  const streams = new TwoStreams(dims);
  const decoder = new TextDecoder();
  return pieces
    .map((piece) => {
      const emergency = piece.startsWith('!');
      const bytes = new TextEncoder().encode(emergency ? piece.slice(1) : piece);
      return decoder.decode(streams.show(bytes, emergency), { stream: true });
    })
    .join('')
    .replaceAll('\x18', '<')
    .replaceAll('\x1b[', '[');
}

describe('two streams on one terminal', () => {
  it('the ring alone goes as it is', () => {
    expect(shown(['a\n', '\x1b[31mb\x1b[0m', 'c'])).toBe('a\n[31mb[0mc');
  });
  it('console_io is faint, and nothing of that is left behind it', () => {
    expect(shown(['!boot\n', 'ring\n', '!panic\n'])).toBe('<[0m[2mboot\n<[0mring\n<[0m[2mpanic\n');
  });
  it('a line in its midst is ended with everything plain', () => {
    expect(shown(['!console ... ', 'Xen Minimal OS!\n'])).toBe(
      '<[0m[2mconsole ... <[0m\r\nXen Minimal OS!\n',
    );
  });
  it('is faint again behind a sequence that takes the faintness away', () => {
    expect(shown(['!a\x1b[0mb\x1b[mc\x1b[1;22md\x1b[31me'])).toBe('<[0m[2ma[0m[2mb[m[2mc[1;22m[2md[31m[2me');
    expect(shown(['!a\x1b[0', '!mb'])).toBe('<[0m[2ma[0m[2mb');
  });
  it('colours of one do not colour the other, and are there again when it goes on', () => {
    expect(shown(['\x1b[1;31mred ', '!\x1b[44mblue ', 'red ', '!blue'])).toBe(
      '[1;31mred <[0m\r\n[2m[44m[2mblue <[0m\r\n[1;31mred <[0m\r\n[2m[44mblue',
    );
  });
  it('a sequence that one has left open is broken off', () => {
    expect(shown(['a\n\x1b[3', '!b\n'])).toBe('a\n[3<[0m[2mb\n');
    expect(shown(['a\n\x1b]0;title', '!b\n'])).toBe('a\n\x1b]0;title<[0m[2mb\n');
  });
  it('a terminal that one starts anew has no colours of either', () => {
    expect(shown(['\x1b[31ma\n', '!\x1bcb\n', 'c'])).toBe('[31ma\n<[0m[2m\x1bc[2mb\n<[0mc');
  });
  it('where console_io is the only console, it is not faint', () => {
    expect(shown(['!login: ', 'uart\n'], false)).toBe('<[0mlogin: <[0m\r\nuart\n');
  });
});

describe('a graphic rendition', () => {
  const chosen = (...parameters: string[]) => {
    const rendition = new Rendition();
    for (const p of parameters) rendition.choose(p);
    return rendition.sequence.replace('\x1b', '');
  };
  it('is what was chosen since the last reset', () => {
    expect(chosen('1', '31')).toBe('[1;31m');
    expect(chosen('1;31', '')).toBe('');
    expect(chosen('1;31;0;4')).toBe('[4m');
  });
  it('holds one colour of the text and one behind it', () => {
    expect(chosen('31', '92', '44', '103')).toBe('[92;103m');
    expect(chosen('31;44', '39')).toBe('[44m');
  });
  it('does not take the numbers of a colour for attributes', () => {
    expect(chosen('38;5;0', '48;2;0;0;22')).toBe('[38;5;0;48;2;0;0;22m');
    expect(chosen('38:2::0:0:0;1')).toBe('[38:2::0:0:0;1m');
  });
  it('loses what is taken back', () => {
    expect(chosen('1;2;4;7', '22;27')).toBe('[4m');
  });
});
