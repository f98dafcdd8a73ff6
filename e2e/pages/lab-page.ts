/** The lab as its user sees it: verbs of the lab over roles and labels. Waits for state, never for time. */
import { expect, type Locator, type Page } from '@playwright/test';

export interface KernelFile {
  /** Path of a file, or bytes made up by the test. */
  file: string | { name: string; mimeType: string; buffer: Buffer };
  ramdisk?: string;
  commandLine?: string;
  memoryMiB?: number;
}

export const GUESTS = 'public/guests/';

export class LabPage {
  readonly page: Page;

  constructor(page: Page) {
    this.page = page;
  }

  async open(): Promise<void> {
    await this.page.goto('./');
    await expect(this.page.getByRole('button', { name: 'Boot hello', exact: true })).toBeEnabled();
  }

  // ---------------------------------------------------------------- booting

  /** One click in the gallery. */
  async boot(demo: string): Promise<void> {
    await this.page
      .getByRole('navigation', { name: 'Screens' })
      .getByRole('button', { name: 'Gallery' })
      .click();
    await this.page.getByRole('button', { name: `Boot ${demo}`, exact: true }).click();
    await expect(this.panel('Console')).toBeVisible();
  }

  get openDialog(): Locator {
    return this.page.getByRole('dialog', { name: 'Open a kernel' });
  }

  async fillOpenDialog(kernel: KernelFile): Promise<void> {
    const dialog = this.openDialog;
    await dialog.getByLabel('Kernel file').setInputFiles(kernel.file);
    if (kernel.ramdisk !== undefined) await dialog.getByLabel('Ramdisk file').setInputFiles(kernel.ramdisk);
    if (kernel.commandLine !== undefined) await dialog.getByLabel('Command line').fill(kernel.commandLine);
    if (kernel.memoryMiB !== undefined) await dialog.getByLabel('Memory, MiB').fill(String(kernel.memoryMiB));
  }

  /** By the file picker. */
  async bootFile(kernel: KernelFile): Promise<void> {
    await this.page
      .getByRole('button', { name: /^Open(…| kernel…)$/ })
      .first()
      .click();
    await this.fillOpenDialog(kernel);
    await this.openDialog.getByRole('button', { name: 'Boot' }).click();
  }

  /** Files dropped on the page, as the browser reports a drop. */
  async drop(files: { name: string; bytes: Buffer }[]): Promise<void> {
    const transfer = await this.page.evaluateHandle(
      (list) => {
        const data = new DataTransfer();
        for (const { name, base64 } of list) {
          const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
          data.items.add(new File([bytes], name));
        }
        return data;
      },
      files.map(({ name, bytes }) => ({ name, base64: bytes.toString('base64') })),
    );
    await this.page.dispatchEvent('body', 'dragover', { dataTransfer: transfer });
    await this.page.dispatchEvent('body', 'drop', { dataTransfer: transfer });
  }

  // ---------------------------------------------------------------- machine

  async showLab(): Promise<void> {
    await this.page.getByRole('navigation', { name: 'Screens' }).getByRole('button', { name: 'Lab' }).click();
  }

  get mode(): Locator {
    return this.page.getByTestId('mode');
  }

  async run(): Promise<void> {
    await this.machine.getByRole('button', { name: /^Run/ }).click();
  }
  async pause(): Promise<void> {
    await this.machine.getByRole('button', { name: /^Pause/ }).click();
    await expect(this.mode).toHaveText(/^Paused/);
  }
  async step(kind: 'Instruction' | 'Hypercall' | 'Event'): Promise<void> {
    const before = await this.page.getByTestId('virtual-time').textContent();
    await this.machine.getByRole('button', { name: new RegExp(`^${kind}`) }).click();
    await expect(this.page.getByTestId('virtual-time')).not.toHaveText(before!);
    await expect(this.mode).toHaveText(/^Paused/);
  }
  async setSpeed(speed: string): Promise<void> {
    await this.machine.getByRole('combobox', { name: /^Speed/ }).selectOption({ label: speed });
  }
  get machine(): Locator {
    return this.page.getByRole('toolbar', { name: 'Machine' });
  }

  // ---------------------------------------------------------------- panels

  panel(name: string): Locator {
    return this.page.getByRole('region', { name, exact: true });
  }

  get rail(): Locator {
    return this.page.getByRole('complementary', { name: 'Domains' });
  }

  /** Buttons of domains that suspended themselves. */
  get resume(): Locator {
    return this.rail.getByRole('button', { name: /^Resume/ });
  }

  domain(name: string): Locator {
    return this.rail.getByRole('listitem').filter({ hasText: name });
  }

  async selectDomain(name: string): Promise<void> {
    await this.domain(name).getByRole('button').first().click();
  }

  // ---------------------------------------------------------------- console

  get terminal(): Locator {
    return this.page.locator('[data-console]');
  }

  /** All that the console holds, scrollback included. */
  async consoleText(): Promise<string> {
    await this.panel('Console').getByRole('button', { name: 'Copy' }).click();
    const text = await this.page.evaluate(() => navigator.clipboard.readText());
    return text.replace(/\u00a0/g, ' ').replaceAll('\r', '');
  }

  /** Waits until the console holds the text, and returns all of it. */
  async printed(text: string | RegExp, timeout = 30_000): Promise<string> {
    let all = '';
    await expect
      .poll(
        async () => {
          all = await this.consoleText();
          return typeof text === 'string' ? all.includes(text) : text.test(all);
        },
        { message: `the console holds ${text}`, timeout, intervals: [50, 100, 250] },
      )
      .toBe(true);
    return all;
  }

  /** Waits until the console of any domain holds the text. */
  async printedByAny(text: string): Promise<void> {
    const buttons = this.rail.getByRole('listitem').locator('[aria-pressed]');
    await expect(async () => {
      let all = '';
      for (const button of await buttons.all()) {
        await button.click();
        all += await this.consoleText();
        if (all.includes(text)) return;
      }
      expect(all).toContain(text);
    }).toPass({ timeout: 20_000, intervals: [50, 100, 250] });
  }

  /** Typed on the keyboard, into the terminal. */
  async type(text: string): Promise<void> {
    await this.terminal.getByRole('textbox').focus();
    await this.page.keyboard.type(text, { delay: 5 });
  }

  // ---------------------------------------------------------------- what panels show

  /** A register's eight digits. */
  async register(name: string): Promise<string> {
    const cell = this.panel('Processor').locator(`[data-register="${name}"] dd`);
    return ((await cell.textContent()) ?? '').replace(/\s/g, '').slice(0, 8);
  }

  async pageTableRoot(): Promise<string> {
    return ((await this.page.getByTestId('page-table-root').textContent()) ?? '').trim();
  }

  async walk(address: string): Promise<void> {
    const field = this.panel('Page tables').getByLabel(/^Address to walk/);
    await field.fill(address);
    await field.press('Enter');
    await expect(this.page.getByTestId('walk-verdict')).toBeVisible();
  }

  /** The walk as rows of text: "2 023f1 slot 020, at 023f 1080 01c2 e067". */
  async walkRows(): Promise<string[]> {
    const rows = this.panel('Walk').getByRole('row');
    return (await rows.allInnerTexts()).map((row) => row.replace(/\s+/g, ' ').trim());
  }

  /** The row of a port: what it is bound to, and its bits. */
  port(number: number): Locator {
    return this.panel('Event channels')
      .getByRole('row')
      .filter({ hasText: new RegExp(`^${number}(?=\\D)`) });
  }

  /** ns in running, runnable, blocked, offline, and their sum, of a vcpu. */
  async runstateTimes(domid: number, vcpu = 0): Promise<{ state: string; times: number[] }> {
    const panel = this.panel('Runstates');
    await panel.getByRole('button', { name: 'Table' }).click();
    const row = panel.getByRole('row').filter({ hasText: `d${domid} v${vcpu}` });
    const cells = await row.getByRole('cell').allInnerTexts();
    return { state: cells[1]!.trim(), times: cells.slice(2).map((text) => Number(text.replace(/\s/g, ''))) };
  }
}
