/**
 * Finds a Chromium or Chrome for the browser tests, or gets one: an installed one first, then Playwright's own
 * download, then the distribution's package where apt and root are at hand.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, join } from 'node:path';
import { root, run } from './modules.mjs';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome'];
const PLACES = [
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
  'C:\\Program Files (x86)\\Google\\Chrome\\Application\\chrome.exe',
];

/** Path of an installed browser, or null. RINGSIDE_BROWSER names one outright. */
export function findInstalled() {
  const named = process.env.RINGSIDE_BROWSER;
  if (named) return named;
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    for (const name of NAMES) {
      const path = join(folder, name);
      if (folder && existsSync(path)) return path;
    }
  }
  return PLACES.find((place) => existsSync(place)) ?? null;
}

/** Path of Playwright's own Chromium when it is downloaded, or null. */
function findPlaywrights() {
  try {
    const { chromium } = createRequire(`${root}package.json`)('@playwright/test');
    return existsSync(chromium.executablePath()) ? chromium.executablePath() : null;
  } catch {
    return null;
  }
}

export function findBrowser() {
  return findInstalled() ?? findPlaywrights();
}

/** As findBrowser, and installs one when there is none. Null when every way failed, which it explains. */
export function ensureBrowser() {
  const present = findBrowser();
  if (present) return present;
  console.log('No Chromium or Chrome found; downloading the one of Playwright ...');
  run('npx', ['playwright', 'install', 'chromium']);
  const downloaded = findBrowser();
  if (downloaded) return downloaded;
  if (process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')) {
    console.log("The download failed; installing the distribution's package ...");
    run('apt-get', ['update']);
    run('apt-get', ['install', '-y', '--no-install-recommends', 'chromium']);
    const packaged = findBrowser();
    if (packaged) return packaged;
  }
  console.error(
    'No browser for the browser tests: none installed, none could be downloaded. Install Chromium or Chrome, or name one in RINGSIDE_BROWSER.',
  );
  return null;
}
