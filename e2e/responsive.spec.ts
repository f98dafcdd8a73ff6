import { GUESTS } from './pages/lab-page.ts';
import { expect, test } from './pages/test.ts';

const SPINNER = { file: `${GUESTS}hello-x86_32p.elf`, commandLine: 'hold=0x1000' };

test.describe('the lab stays in hand', () => {
  test('pause stops a spinning guest within 100 ms', async ({ lab }) => {
    await lab.bootFile(SPINNER);
    await lab.printed('holding');
    await expect(lab.mode).toHaveText('Running');
    const took: number[] = [];
    for (let i = 0; i < 5; i++) {
      took.push(
        await lab.page.evaluate(async () => {
          const button = document.querySelector<HTMLElement>('[role=toolbar] .primary')!;
          const mode = document.querySelector<HTMLElement>('[data-testid=mode]')!;
          const started = performance.now();
          button.click();
          while (!mode.textContent?.startsWith('Paused')) await new Promise((r) => setTimeout(r, 1));
          return performance.now() - started;
        }),
      );
      await lab.run();
      await expect(lab.mode).toHaveText('Running');
    }
    took.sort((a, b) => a - b);
    expect(took[2], `the median of ${took.map((t) => t.toFixed(0)).join(', ')} ms`).toBeLessThan(100);
  });

  test('a step takes one instruction and marks what it changed', async ({ lab }) => {
    await lab.bootFile(SPINNER);
    await lab.printed('holding');
    await lab.pause();
    const before = await lab.page.getByTestId('virtual-time').textContent();
    await lab.step('Instruction');
    expect(await lab.page.getByTestId('virtual-time').textContent()).not.toBe(before);
    // The guest spins on a jump to itself, so eip stays; a hypervisor tick may have moved it, but nothing else changes.
    await expect(lab.panel('Processor').getByRole('row').filter({ hasText: 'jmp' }).first()).toBeVisible();
  });

  test('a worker that dies is reported and started again, and the console text is kept', async ({ lab }) => {
    await lab.boot('hello');
    await lab.printed('Goodbye.');
    const [worker] = lab.page.workers();
    await worker!.evaluate(() => self.close()).catch(() => {});
    await expect(lab.page.getByRole('alert')).toContainText('The engine stopped', { timeout: 20_000 });
    expect(await lab.consoleText()).toContain('Hello, ringside!');
    await lab.boot('hello');
    await lab.printed('Goodbye.');
    const former = lab.panel('Console').getByLabel('Consoles of former machines');
    await expect(former.getByRole('option', { name: 'd1 hello' })).toHaveCount(1);
  });

  test('reset asks first and leaves an empty machine', async ({ lab }) => {
    await lab.boot('hello');
    await lab.printed('Goodbye.');
    await lab.machine.getByRole('button', { name: 'Reset' }).click();
    await lab.page.getByRole('alertdialog').getByRole('button', { name: 'Reset' }).click();
    await expect(lab.mode).toHaveText('Empty machine');
    await expect(lab.domain('hello')).toHaveCount(0);
  });
});
