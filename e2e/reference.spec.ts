import { expect, test } from './pages/test.ts';

test('the reference tells what was called, and leads to the calls in the trace', async ({ lab }) => {
  await lab.boot('hello');
  await lab.printed('Goodbye.');
  await lab.page
    .getByRole('navigation', { name: 'Screens' })
    .getByRole('button', { name: 'Reference' })
    .click();
  const row = lab.page
    .getByRole('table', { name: 'Interfaces' })
    .getByRole('row')
    .filter({ hasText: /^event_channel_op EVTCHNOP_send/ });
  await expect(row).toHaveCount(1);
  const calls = Number((await row.getByRole('cell').allInnerTexts()).at(-1));
  expect(calls).toBeGreaterThan(0);

  await lab.page.getByLabel('Search the reference').fill('evtchnop_send event_channel_op');
  await lab.page.getByLabel('Search the reference').press('ArrowDown');
  await lab.page.keyboard.press('ArrowDown');
  await expect(row.getByRole('button')).toBeFocused();
  await lab.page.keyboard.press('Enter');

  const panel = lab.panel('Hypercalls');
  await expect(panel).toContainText('Only EVTCHNOP_send');
  const traced = panel.getByRole('row').filter({ hasText: 'EVTCHNOP_send' });
  await expect(traced).toHaveCount(calls);
  await expect(panel.getByRole('row').filter({ hasText: 'iret' })).toHaveCount(0);
  await panel.getByRole('button', { name: 'Show all' }).click();
  await expect(panel.getByRole('row').filter({ hasText: 'SCHEDOP_shutdown' })).not.toHaveCount(0);
});
