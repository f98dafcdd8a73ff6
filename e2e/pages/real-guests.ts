/**
 * Kernels that nobody here wrote, where they are at hand: below RINGSIDE_GUESTS, or where Debian's package puts them.
 * Where they must be there (RINGSIDE_REQUIRE_GUESTS=1), their absence is a failure.
 */
import { existsSync } from 'node:fs';
import { test } from '@playwright/test';

const PLACES = [process.env['RINGSIDE_GUESTS'], '/usr/lib/grub-xen'];

export function realGuest(file: string): string {
  for (const place of PLACES) {
    if (place && existsSync(`${place}/${file}`)) return `${place}/${file}`;
  }
  const message = `${file} is not here: install Debian's grub-xen-host, or name its folder in RINGSIDE_GUESTS`;
  if (process.env['RINGSIDE_REQUIRE_GUESTS'] === '1') throw new Error(message);
  test.skip(true, message);
  return '';
}
