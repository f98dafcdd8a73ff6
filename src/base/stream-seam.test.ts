import { describe, expect, it } from 'vitest';
import { StreamSeam } from './stream-seam.ts';

/** Ring text plain, emergency text in capitals' stead behind '!'. */
function shown(...printed: string[]): string {
  const seam = new StreamSeam();
  let all = '';
  for (const piece of printed) {
    const emergency = piece.startsWith('!');
    const text = emergency ? piece.slice(1) : piece;
    if (seam.turn(emergency)) all += '\n';
    seam.print(new TextEncoder().encode(text));
    all += text;
  }
  return all;
}

describe('where two streams meet on one terminal', () => {
  it('a line in its midst is ended', () => {
    expect(shown('!Initialising console ... ', 'Xen Minimal OS!\n')).toBe(
      'Initialising console ... \nXen Minimal OS!\n',
    );
    expect(shown('ring', '!emergency', 'ring')).toBe('ring\nemergency\nring');
  });
  it('a line that has ended is left alone, whatever ends it', () => {
    for (const end of [
      '\n',
      '\r\n',
      '\n\r',
      '\n\x1b[0m',
      '\n\x1b]0;title\x07',
      '\n\x1b]0;t\x1b\\',
      '\n\x1b(B\x07',
    ])
      expect(shown(`!a${end}`, 'b')).toBe(`a${end}b`);
  });
  it('a carriage return alone does not end it: the next text would stand on this one', () => {
    expect(shown('!50 %\r', 'b')).toBe('50 %\r\nb');
    expect(shown('!\r', 'b')).toBe('\rb');
  });
  it('a stream that goes on is never broken', () => {
    expect(shown('!a', '!b', '!c\n', 'd', 'e')).toBe('abc\nde');
  });
  it('nothing printed is nothing to end', () => {
    expect(shown('!', 'a', '!', 'b')).toBe('a\nb');
    expect(shown('', '!a')).toBe('a');
  });
  it('tabs, and letters beyond ASCII, stand on the line; colours and titles do not', () => {
    expect(shown('!\t', 'b')).toBe('\t\nb');
    expect(shown('!µ', 'b')).toBe('µ\nb');
    expect(shown('!\x1b[1;31m\x1b]2;kernel\x07', 'b')).toBe('\x1b[1;31m\x1b]2;kernel\x07b');
    expect(shown('!\x1b[1mx', 'b')).toBe('\x1b[1mx\nb');
  });
  it('a sequence cut in two by the other stream makes no text of that', () => {
    expect(shown('!\x1b[1', 'b', '!c')).toBe('\x1b[1b\nc');
  });
});
