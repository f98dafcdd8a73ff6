import { readFileSync, writeFileSync } from 'node:fs';
import { GUESTS } from './pages/lab-page.ts';
import { expect, test } from './pages/test.ts';

test.describe('files of the lab', () => {
  test('a lab is saved, and opened again in the middle of its work', async ({ lab }, info) => {
    await lab.boot('userland');
    await lab.printed('sh: pid 1 in ring 3');
    const download = lab.page.waitForEvent('download');
    await lab.rail.getByRole('button', { name: 'Save' }).click();
    const saved = await download;
    expect(saved.suggestedFilename()).toBe('lab.ringside');
    const path = info.outputPath('lab.ringside');
    await saved.saveAs(path);

    await lab.page.reload();
    await lab.open();
    await lab.drop([{ name: 'lab.ringside', bytes: readFileSync(path) }]);
    await expect(lab.mode).toHaveText(/paused as it was saved/i);
    await lab.run();
    await lab.terminal.click();
    await lab.page.keyboard.type('hello\r');
    await lab.printed('hello from pid 2 in ring 3');

    // A damaged file says so; the lab that is open goes on.
    const damaged = readFileSync(path);
    damaged[damaged.length - 9]! ^= 4;
    writeFileSync(path, damaged);
    await lab.drop([{ name: 'lab.ringside', bytes: readFileSync(path) }]);
    await expect(lab.page.getByText(/is damaged: its checksum differs/).first()).toBeVisible();
  });

  test('a suspended domain goes on beside its former self', async ({ lab }) => {
    await lab.page.keyboard.press('o');
    await lab.fillOpenDialog({ file: `${GUESTS}suspend-x86_32p.elf`, memoryMiB: 8 });
    await lab.openDialog.getByRole('button', { name: 'Boot' }).click();
    await lab.printed('suspend 1: domain 1');
    await expect(lab.mode).toHaveText(/ended/i);
    await lab.resume.click();
    await lab.printed('suspend: 1 times, 24 checks, all as expected');
  });
});
