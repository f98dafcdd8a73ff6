import { readFileSync } from 'node:fs';
import { realGuest } from './pages/real-guests.ts';
import { expect, test } from './pages/test.ts';

const GRUB = 'grub-i386-xen.bin';

test.describe('GRUB for Xen, a real guest', () => {
  test.setTimeout(180_000);

  for (const memoryMiB of [64, 128]) {
    test(`dropped on the page it reaches its prompt and answers, with ${memoryMiB} MiB`, async ({ lab }) => {
      const path = realGuest(GRUB);
      await lab.drop([{ name: GRUB, bytes: readFileSync(path) }]);
      await expect(lab.openDialog).toContainText(GRUB);
      await lab.openDialog.getByLabel('Memory, MiB').fill(String(memoryMiB));
      await lab.openDialog.getByRole('button', { name: 'Boot' }).click();
      await lab.printed('grub>', 90_000);

      const answer = async (command: string, until: RegExp): Promise<string> => {
        const before = (await lab.consoleText()).length;
        await lab.type(`${command}\r`);
        let text = '';
        await expect
          .poll(
            async () => {
              text = (await lab.consoleText()).slice(Math.max(0, before - 20));
              return until.test(text);
            },
            { message: `the answer to ${command}`, timeout: 40_000, intervals: [100, 250] },
          )
          .toBe(true);
        return text;
      };

      await answer('set pager=0', /grub>\s*$/);
      await answer('help', /lsmmap[\s\S]*grub>\s*$/);
      expect(await answer('set', /grub_cpu=\S+[\s\S]*grub>\s*$/)).toContain('grub_cpu=i386');
      await answer('ls', /grub>\s*$/);
      await answer('lsmod', /Name[\s\S]*grub>\s*$/);
      const echoed = await answer('echo $grub_platform', /\nxen\n[\s\S]*grub>\s*$/);
      expect(echoed).toMatch(/\nxen\n/);
      const map = await answer('lsmmap', /length[\s\S]*grub>\s*$/);
      const lengths = [...map.matchAll(/length\s*=\s*0x([0-9a-f]+)/g)].map((m) => Number.parseInt(m[1]!, 16));
      expect(lengths.reduce((sum, n) => sum + n, 0)).toBe(memoryMiB * 1024 * 1024);
    });
  }
});
