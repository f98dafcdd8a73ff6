import AxeBuilder from '@axe-core/playwright';
import type { LabPage } from './pages/lab-page.ts';
import { expect, test } from './pages/test.ts';

async function findings(lab: LabPage): Promise<string[]> {
  const { violations } = await new AxeBuilder({ page: lab.page }).analyze();
  return violations.map(
    (v) =>
      `${v.id}: ${v.nodes
        .map((n) => n.target.join(' '))
        .slice(0, 3)
        .join(', ')}`,
  );
}

async function withGuest(lab: LabPage): Promise<void> {
  await lab.boot('userland');
  await lab.printed('sh: pid 1 in ring 3');
  await lab.pause();
  await lab.panel('Page tables').getByRole('button', { name: 'eip', exact: true }).click();
  await expect(lab.page.getByTestId('walk-verdict')).toBeVisible();
  await lab.step('Hypercall');
}

test.describe('nobody is shut out', () => {
  for (const look of ['light', 'dark', 'light projector', 'dark projector']) {
    test(`axe finds nothing, ${look}`, async ({ lab }) => {
      expect(await findings(lab), 'gallery, as it opens').toEqual([]);
      await withGuest(lab);
      if (look.includes('dark')) await lab.page.keyboard.press('t');
      if (look.includes('projector')) await lab.page.keyboard.press('p');
      await expect(lab.page.locator('html')).toHaveAttribute('data-theme', look.split(' ')[0]!);
      expect(await findings(lab), 'lab').toEqual([]);
      await lab.page.keyboard.press('2');
      expect(await findings(lab), 'gallery').toEqual([]);
      await lab.page.keyboard.press('o');
      await expect(lab.openDialog).toBeVisible();
      expect(await findings(lab), 'dialog').toEqual([]);
    });
  }

  test('the keyboard alone boots, types, pauses, steps, walks and looks around', async ({ lab }) => {
    const { page } = lab;
    const keys = page.keyboard;
    await keys.press('Control+k');
    await keys.type('boot processes in ring 3');
    await keys.press('Enter');
    await lab.printed('sh: pid 1 in ring 3');

    await page.locator('body').press('c');
    await keys.type('hello\r');
    await lab.printed('hello from pid 2 in ring 3');
    await lab.terminal.getByRole('textbox').focus();
    await keys.press('F6');
    await expect(lab.panel('Processor')).toBeFocused();

    await keys.press('r');
    await expect(lab.mode).toHaveText(/^Paused/);
    await keys.press('i');
    // The shell waits for a key, so there is no instruction to run; the lab says so.
    await expect(lab.mode).toHaveText('Paused: all wait for input');

    await keys.press('w');
    await keys.type('c0000000');
    await keys.press('Enter');
    await expect(page.getByTestId('walk-verdict')).toBeVisible();
    await keys.press('F6');

    await keys.press('t');
    await expect(page.locator('html')).toHaveAttribute('data-theme', 'dark');
    await keys.press('?');
    await expect(page.getByRole('dialog', { name: 'The keys' })).toBeVisible();
    await keys.press('Escape');
    await keys.press('r');
    await expect(lab.mode).toHaveText(/^Running/);
  });

  for (const [width, height] of [
    [1280, 720],
    [1440, 900],
    [1920, 1080],
  ] as const) {
    test(`no row is cut at ${width} by ${height}`, async ({ lab }) => {
      await lab.page.setViewportSize({ width, height });
      await withGuest(lab);
      const cut = await lab.page.evaluate(() => {
        const problems: string[] = [];
        for (const table of document.querySelectorAll<HTMLElement>('[role=table]')) {
          const box = table.getBoundingClientRect();
          for (const row of table.querySelectorAll<HTMLElement>('.row')) {
            const at = row.getBoundingClientRect();
            const showsTop = at.top < box.bottom - 1 && at.bottom > box.bottom + 1;
            if (at.height > 0 && showsTop) problems.push(`${table.ariaLabel}: ${row.textContent}`);
          }
        }
        if (document.documentElement.scrollWidth > innerWidth)
          problems.push('the page is wider than the window');
        if (document.documentElement.scrollHeight > innerHeight)
          problems.push('the page is higher than the window');
        return problems;
      });
      expect(cut).toEqual([]);
    });
  }
});
