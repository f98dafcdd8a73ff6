/** The privileged domain's hardware has buttons, in its row and in the palette. */
import { expect, test } from './pages/test.ts';

test('the lab button and the NMI button reach the guest', async ({ lab }) => {
  test.slow(); // each word waits for the one before it
  await lab.boot('io-2006');
  const row = lab.page.getByRole('complementary', { name: 'Domains' });
  const button = row.getByRole('button', { name: 'Lab button' });
  await lab.printed('press the lab button 3 times');
  await button.click();
  await lab.printed('so the next press will not be heard');
  await button.click();
  await lab.printed('seen by looking, 1 interrupts so far');
  await button.click();
  await lab.printed('button: 3 presses, 3 interrupts');
  await row.getByRole('button', { name: 'NMI' }).click();
  await lab.printed('nmi: 1 taken');
  await lab.printed('io: everything tried, all as expected');
  await expect(button).toBeHidden();
});

test('without a privileged domain the palette says why there is no button', async ({ lab }) => {
  await lab.boot('hello');
  await lab.printed('Goodbye.');
  await lab.page.keyboard.press('Control+k');
  const command = lab.page.getByRole('dialog').getByText('Press the lab button (IRQ 11)');
  await expect(command).toBeVisible();
  await expect(lab.page.getByRole('dialog')).toContainText(
    'Only a privileged domain has hardware; none was booted.',
  );
});
