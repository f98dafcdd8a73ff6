/** The tests' own `test`: a lab that is open, and no error in the page's console. */
import { test as base, expect } from '@playwright/test';
import { LabPage } from './lab-page.ts';

export const test = base.extend<{ lab: LabPage }>({
  lab: async ({ page, context }, use) => {
    await context.grantPermissions(['clipboard-read', 'clipboard-write']);
    const errors: string[] = [];
    page.on('pageerror', (error) => errors.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error') errors.push(message.text());
    });
    const lab = new LabPage(page);
    await lab.open();
    await use(lab);
    expect(errors, 'errors in the page').toEqual([]);
  },
});

export { expect };
