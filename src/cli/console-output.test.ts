import { describe, expect, it } from 'vitest';
import { ConsoleOutput } from './console-output.ts';

/** Pieces as `domid text`; a '!' in front: by console_io. */
function written(domains: number, ...pieces: string[]): string {
  let all = '';
  const output = new ConsoleOutput((bytes) => {
    all += new TextDecoder().decode(bytes);
  }, domains);
  for (const piece of pieces) {
    const [, sign, domid, text] = /^(!?)(\d) ([\s\S]*)$/.exec(piece)!;
    output.print(Number(domid), new TextEncoder().encode(text), sign === '!');
  }
  output.end();
  return all;
}

describe('consoles on standard output', () => {
  it('of one domain are its bytes', () => {
    expect(written(1, '1 a', '1 b\n', '1 \x1b[1mc')).toBe('ab\n\x1b[1mc');
  });
  it('begin a new line, and nothing else, where its two streams meet within one', () => {
    expect(written(1, '!1 console ... ', '1 Xen Minimal OS!\n', '!1 x\n', '1 y')).toBe(
      'console ... \nXen Minimal OS!\nx\ny',
    );
  });
  it('of several come by whole lines, each domain with seams of its own', () => {
    expect(written(2, '1 on', '!2 early ', '1 e\n', '2 ring\n', '!1 end')).toBe(
      'd1| one\nd2| early \nd2| ring\nd1| end\n',
    );
  });
});
