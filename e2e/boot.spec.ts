import { GUESTS } from './pages/lab-page.ts';
import { expect, test } from './pages/test.ts';

test.describe('booting', () => {
  test('one click in the gallery boots hello, whose words come on the console', async ({ lab }) => {
    await lab.boot('hello');
    const text = await lab.printed('Goodbye.');
    expect(text).toContain('Hello, ringside! This is ring 1.');
    expect(text).toContain('2048 pages (8192 KiB)');
    await expect(lab.domain('hello')).toContainText('powered off');
    await expect(lab.mode).toHaveText('Ended');
  });

  test('a kernel chosen from disk boots with its command line and memory', async ({ lab }) => {
    await lab.bootFile({ file: `${GUESTS}hello-x86_32p.elf`, commandLine: 'name=visitor', memoryMiB: 12 });
    const text = await lab.printed('Goodbye.');
    expect(text).toContain('Hello, visitor! This is ring 1.');
    expect(text).toContain('3072 pages (12288 KiB)');
    expect(text).toContain('command line "name=visitor"');
  });

  test('two domains of one demo meet through xenstore and an event channel', async ({ lab }) => {
    await lab.boot('pingpong');
    await lab.selectDomain('pingpong-1');
    expect(await lab.printed(/ping: 1000 rounds/)).toContain('the peer is d2');
    await lab.selectDomain('pingpong-2');
    await lab.printed('pong: answered 1000 events');
  });

  test('what is typed into the terminal reaches the guest', async ({ lab }) => {
    await lab.boot('userland');
    await lab.printed('sh: pid 1 in ring 3');
    await lab.type('hello\r');
    await lab.printed('hello from pid 2 in ring 3');
    await lab.type('exit\r');
    await lab.printed('the last process has ended');
  });

  test('a console can be searched and copied', async ({ lab }) => {
    await lab.boot('hello');
    await lab.printed('Goodbye.');
    const search = lab.page.getByLabel(/^Search the console/);
    await search.fill('ring 1');
    await expect(lab.panel('Console').getByRole('status')).toHaveText('1 of 1');
    await search.fill('no such text');
    await expect(lab.panel('Console').getByRole('status')).toHaveText('not found');
  });

  test('text of a guest is never markup', async ({ lab }) => {
    await lab.bootFile({ file: `${GUESTS}hello-x86_32p.elf`, commandLine: 'name=<b>bold</b>' });
    expect(await lab.printed('Goodbye.')).toContain('Hello, <b>bold</b>!');
    await expect(lab.terminal.locator('b')).toHaveCount(0);
  });
});
