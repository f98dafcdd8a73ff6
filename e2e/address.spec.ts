/** The address of the page says what is shown. */
import { expect, test } from './pages/test.ts';

test('a link opens the same demo and view again', async ({ lab }) => {
  await lab.boot('pingpong');
  await lab.selectDomain('pingpong-2');
  await lab.printed('pong: answered 1000 events');
  await lab.panel('Processor').getByRole('button', { name: 'Stack' }).click();
  await lab.panel('Hypercalls').getByRole('button', { name: 'Counts' }).click();
  await lab.walk('c0000000');
  await expect(lab.page).toHaveURL(
    /#lab\?demo=pingpong&at=2\.0&walk=c0000000&processor=stack&hypercalls=counts$/,
  );

  const there = lab.page.url();
  await lab.page.goto('about:blank');
  await lab.page.goto(there);
  await lab.printed('pong: answered 1000 events');
  await expect(lab.panel('Hypercalls').getByRole('button', { name: 'Counts' })).toHaveAttribute(
    'aria-pressed',
    'true',
  );
  await expect(lab.panel('Page tables').getByLabel(/^Address to walk/)).toHaveValue(/c000 ?0000/);
  expect(lab.page.url()).toBe(there);
});

test('back and forward go through screens and domains; nothing is booted again', async ({ lab }) => {
  await lab.boot('pingpong');
  await lab.printed('ping: 1000 rounds');
  await lab.page.keyboard.press('F6');
  await lab.selectDomain('pingpong-2');
  await lab.page.keyboard.press('3');
  await expect(lab.page).toHaveURL(/#reference/);
  await lab.page.goBack();
  await expect(lab.page).toHaveURL(/#lab\?demo=pingpong&at=2\.0/);
  await lab.printed('pong: answered 1000 events');
  await lab.page.goBack();
  await lab.printed('ping: 1000 rounds');
  await lab.page.goForward();
  await lab.printed('pong: answered 1000 events');
  await expect(lab.mode).toHaveText('Ended');
  await expect(lab.domain('pingpong')).toHaveCount(2);
});

test('an address that nobody could have meant is taken calmly', async ({ lab }) => {
  for (const hash of ['#%E0%A4%A', '#lab?at=9.9&walk=<b>&call=77.7']) {
    await lab.page.goto('about:blank');
    await lab.page.goto(`./${hash}`);
    await expect(lab.page.getByRole('navigation', { name: 'Screens' })).toBeVisible();
  }
  await lab.page.goto('about:blank');
  await lab.page.goto('./#lab?demo=nobody');
  await expect(lab.page.getByRole('alert')).toContainText("There is no demo 'nobody' in the gallery.");
  await lab.boot('hello');
  await lab.printed('Goodbye.');
});
