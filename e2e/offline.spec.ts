import { expect, test } from '@playwright/test';

test.use({ serviceWorkers: 'allow' });

test('after the first load the lab works without a network', async ({ page, context }) => {
  await page.goto('./');
  await page.evaluate(async () => {
    await navigator.serviceWorker.ready;
  });
  // The worker answers from its store once everything is in it.
  await expect
    .poll(() => page.evaluate(async () => (await caches.keys()).length), { timeout: 30_000 })
    .toBeGreaterThan(0);
  await page.reload();
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  await context.setOffline(true);
  await page.reload();
  await page.getByRole('button', { name: 'Boot hello', exact: true }).click();
  await expect(page.locator('[data-console] .xterm-rows')).toContainText('Goodbye.');
});

test('the page asks for nothing but what the lab itself serves', async ({ page, baseURL }) => {
  const asked: string[] = [];
  page.on('request', (request) => asked.push(request.url()));
  await page.goto('./');
  await page.getByRole('button', { name: 'Boot hello', exact: true }).click();
  await expect(page.locator('[data-console] .xterm-rows')).toContainText('Goodbye.');
  expect(
    asked.filter((url) => !url.startsWith(baseURL!) && !url.startsWith('data:') && !url.startsWith('blob:')),
  ).toEqual([]);
});
