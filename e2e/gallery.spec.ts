/** The gallery as a lecturer uses it: one demo after the other in one page, each to its last word. */
import { readFileSync } from 'node:fs';
import { GUESTS } from './pages/lab-page.ts';
import { expect, test } from './pages/test.ts';

interface Listed {
  id: string;
  input: string[];
  presses?: object[];
  then?: string;
  expect: { console: string[] };
}
/** With a machine of its own after others, with two CPUs, with a part for the user, with a domain that comes back. */
const IN_A_ROW = ['pingpong', 'io', 'smp', 'hello-2006', 'suspend-2006'];

const { demos } = JSON.parse(readFileSync(`${GUESTS}manifest.json`, 'utf8')) as { demos: Listed[] };

test('many demos, one after the other in one page, each say their last word', async ({ lab }) => {
  test.setTimeout(180_000);
  await lab.showLab();
  await lab.setSpeed('unlimited');
  for (const id of IN_A_ROW) {
    const demo = demos.find((d) => d.id === id)!;
    await test.step(demo.id, async () => {
      await lab.boot(demo.id);
      // At this speed those that wait for their user are the only ones that still live.
      if (demo.input.length > 0 || demo.presses !== undefined)
        await lab.panel('Console').getByRole('button', { name: 'Play it' }).click();
      const last = demo.expect.console.at(-1)!;
      if (demo.then === 'restore') {
        const times = Number(/: (\d) times/.exec(last)![1]);
        for (let time = 1; time <= times; time++) {
          await lab.resume.last().click();
          await expect(lab.resume).toHaveCount(Math.min(time + 1, times));
        }
      }
      await lab.printedByAny(last);
      await expect(lab.page.getByRole('alert')).toHaveCount(0);
    });
  }
});

test('a demo that cannot join those that live asks for a machine of its own, and gets it', async ({
  lab,
}) => {
  await lab.boot('userland');
  await lab.printed('sh: pid 1 in ring 3');
  await lab.page.keyboard.press('F6');
  await lab.page
    .getByRole('navigation', { name: 'Screens' })
    .getByRole('button', { name: 'Gallery' })
    .click();
  const boot = lab.page.getByRole('button', { name: 'Boot smp', exact: true });
  const dialog = lab.page.getByRole('alertdialog', { name: 'A machine of its own' });
  await boot.click();
  await expect(dialog).toContainText('It needs 2 CPUs; this machine has 1.');
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  await lab.showLab();
  await expect(lab.domain('userland')).toBeVisible();

  await lab.page.keyboard.press('2');
  await boot.click();
  await dialog.getByRole('button', { name: 'New machine' }).click();
  expect(await lab.printed('smp: 4 vcpus, all as expected')).toContain('handed round');
  await expect(lab.domain('userland')).toHaveCount(0);
  await expect(lab.rail).toContainText('256 MiB, 2 CPUs');
  // What it printed can still be read.
  await lab.panel('Console').getByLabel('Consoles of former machines').selectOption('d1 userland');
  await lab.printed('sh: pid 1 in ring 3');
});

test('a kernel of one’s own gets the vcpus and the CPUs that were asked for', async ({ lab }) => {
  await lab.page.keyboard.press('o');
  await lab.fillOpenDialog({ file: `${GUESTS}smp-x86_32p.elf`, memoryMiB: 8 });
  await lab.openDialog.getByLabel('Vcpus').fill('33');
  await expect(lab.openDialog.getByRole('button', { name: 'Boot' })).toBeDisabled();
  await lab.openDialog.getByLabel('Vcpus').fill('3');
  await lab.openDialog.getByLabel('Machine CPUs').selectOption('3');
  await lab.openDialog.getByRole('button', { name: 'Boot' }).click();
  await lab.printed('smp: 3 vcpus, all as expected');
  await expect(lab.rail).toContainText('256 MiB, 3 CPUs');
});
