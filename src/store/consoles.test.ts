import { describe, expect, it } from 'vitest';
import { Consoles, consoleKey, hasRing } from './consoles.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

describe('console logs', () => {
  it('show from the first kept byte on what is attached later', async () => {
    const consoles = new Consoles();
    await consoles.write('0:1', bytes('before '), false);
    const shown: string[] = [];
    consoles.attach('0:1', { write: async (b) => void shown.push(new TextDecoder().decode(b)) });
    await consoles.write('0:1', bytes('after'), false);
    expect(shown.join('')).toBe('before after');
  });
  it('tell the streams apart, also to what is attached later', async () => {
    const consoles = new Consoles();
    await consoles.write('0:1', bytes('early '), true);
    const shown: [string, boolean][] = [];
    consoles.attach('0:1', { write: async (b, e) => void shown.push([new TextDecoder().decode(b), e]) });
    await consoles.write('0:1', bytes('ring '), false);
    expect(shown).toEqual([
      ['early ', true],
      ['ring ', false],
    ]);
    expect(consoles.text('0:1')).toBe('early ring ');
    expect([hasRing('3:10'), hasRing('3:0')]).toEqual([true, false]);
  });
  it('wait for the screen, which is the flow control', async () => {
    const consoles = new Consoles();
    let release = () => {};
    consoles.attach('0:1', { write: () => new Promise<void>((resolve) => (release = resolve)) });
    let written = false;
    const write = consoles.write('0:1', bytes('x'), false).then(() => (written = true));
    await Promise.resolve();
    expect(written).toBe(false);
    release();
    await write;
    expect(written).toBe(true);
  });
  it('keep the newest text when there is too much', async () => {
    const consoles = new Consoles();
    for (let i = 0; i < 5; i++) await consoles.write('0:1', bytes(String(i).repeat(400_000)), false);
    const text = consoles.text('0:1');
    expect(text.length).toBeLessThanOrEqual(1 << 20);
    expect(text.endsWith('4')).toBe(true);
  });
  it('put characters together that were cut in two', async () => {
    const consoles = new Consoles();
    const [a, b] = [bytes('µ').slice(0, 1), bytes('µ').slice(1)];
    await consoles.write('0:1', a, false);
    await consoles.write('0:1', b, false);
    expect(consoles.text('0:1')).toBe('µ');
  });
  it('of one machine are not those of the next', () => {
    expect(consoleKey(0, 1)).not.toBe(consoleKey(1, 1));
  });
});
