/** An event of the trace, chosen with the keys, can be read whole and copied. */
import { expect, test } from './pages/test.ts';

test('the arrow keys choose an event, whose whole text can be read and copied', async ({ lab }) => {
  await lab.boot('hello');
  await lab.printed('Goodbye.');
  const { page } = lab;
  const panel = lab.panel('Hypercalls');
  const list = panel.getByRole('grid', { name: 'Trace, newest first' });
  await list.focus();
  await page.keyboard.press('Home');
  const text = page.getByTestId('event-text');
  await expect(text).toContainText('offline');
  const chosen = list.getByRole('row', { selected: true });
  const seen: string[] = [];
  for (let i = 0; i < 12; i++) {
    await page.keyboard.press('ArrowDown');
    await expect(chosen).toHaveCount(1);
    seen.push((await text.textContent())!);
  }
  await page.keyboard.press('ArrowUp');
  await expect(text).toHaveText(seen.at(-2)!);
  await expect(list).toHaveAttribute('aria-activedescendant', (await chosen.getAttribute('id'))!);

  // Nothing of it is cut off, however long.
  const shutdown = list.getByRole('row').filter({ hasText: 'SCHEDOP_shutdown' });
  await shutdown.click();
  await expect(text).toHaveText(/^sched_op SCHEDOP_shutdown.*reason/);
  const cut = await text.evaluate((element) => element.scrollWidth > element.clientWidth);
  expect(cut).toBe(false);
  const detail = panel.getByRole('region', { name: 'The chosen event' });
  await detail.getByRole('button', { name: 'Copy' }).click();
  await expect
    .poll(() => page.evaluate(() => navigator.clipboard.readText()))
    .toMatch(/^\d\.\d{3} \d{3} \d{3} d1 v0 sched_op SCHEDOP_shutdown/);
  await list.focus();
  await page.keyboard.press('Escape');
  await expect(detail).toBeHidden();
});
