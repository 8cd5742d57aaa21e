import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { repoRoot } from '../../support/process.js';

/** A machine that is busy with other things takes this long at times, ms. */
export const patience = 180_000;

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';

/** Why these tests cannot run here; false: they can. */
export const noBrowser: string | false = existsSync(executablePath)
  ? false
  : `there is no ${executablePath}; packaging/system-deps.sh dashboard installs it on Debian`;

let running: Promise<Browser> | null = null;

/** One browser for all tests of a file. */
export function browser(): Promise<Browser> {
  // As root Chromium has no sandbox; it opens nothing here but our own pages.
  running ??= chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-dev-shm-usage'],
    timeout: patience,
  });
  return running;
}

export async function closeBrowser(): Promise<void> {
  await (await running)?.close();
  running = null;
}

export interface Opened {
  readonly page: Page;
  /** What the browser complained of: errors of the page, refusals of its policy, requests to other hosts. */
  readonly complaints: string[];
}

/** Opens a page in a context of its own, which ends with the test. */
export async function open(
  t: TestContext,
  url: string,
  options: BrowserContextOptions = {},
): Promise<Opened> {
  const context = await (await browser()).newContext({ viewport: { width: 1280, height: 800 }, ...options });
  t.after(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(patience);
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    // That a request failed is no fault of the page's, where the test has ended the server.
    if (message.type() === 'error' && !/^Failed to load resource/.test(message.text()))
      complaints.push(message.text());
  });
  page.on('request', (request) => {
    if (new URL(request.url()).host !== new URL(url).host) complaints.push(`asks ${request.url()}`);
  });
  await page.goto(url, { timeout: patience });
  return { page, complaints };
}

/** Waits until an element says what is expected; fails with what it says instead. */
export async function says(page: Page, selector: string, pattern: RegExp): Promise<string> {
  const text = (): Promise<string> => page.locator(selector).first().innerText({ timeout: patience });
  const until = Date.now() + patience;
  for (let last = await text(); ; last = await text()) {
    if (pattern.test(last)) return last;
    if (Date.now() > until) assert.match(last, pattern, `${selector} after ${patience} ms`);
    await page.waitForTimeout(100);
  }
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe finds: rule, what is wrong, and where. */
export async function axeFinds(page: Page): Promise<readonly string[]> {
  await page.evaluate(`${axe};0`);
  return page.evaluate(`axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) =>
    violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => id + ' ' + target.join(' ') + ': ' + failureSummary)))`);
}

/** `UPDATE_DOCS=1` puts what is seen into the documents. */
export async function picture(page: Page, name: string): Promise<void> {
  if (process.env.UPDATE_DOCS !== '1') return;
  // Not this machine's directories, but those of a host.
  await page.evaluate(`{
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let text = texts.nextNode(); text !== null; text = texts.nextNode()) {
      text.data = text.data.replaceAll(${JSON.stringify(repoRoot)}, '/usr/lib/rom-agent')
        .replaceAll(/\\/tmp\\/rom-agent-integration-\\w+/g, '/srv');
    }
  }`);
  const folder = join(repoRoot, 'docs/assets');
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `dashboard-${name}.png`) });
}

/** What a font of its own would make of the page: where its content is wider than the window, px. */
export function overflow(page: Page): Promise<number> {
  return page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
}
