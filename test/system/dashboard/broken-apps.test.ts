import assert from 'node:assert/strict';
import { after, describe, type TestContext, test } from 'node:test';
import { startDaemon } from '../../support/process.js';
import { type Broken, brokenApps, startBroken } from './broken-apps.js';
import { closeBrowser, noBrowser, open, patience, picture, says } from './browser.js';

// Somebody who has never seen these apps opens the dashboard, clicks and reads, until he has the function and its line.
const skip = noBrowser;
after(closeBrowser);

/** `rom-agent dashboard` beside a daemon; its address. */
async function dashboard(t: TestContext, { env }: Broken): Promise<string> {
  const served = startDaemon({ t, args: ['dashboard', '--no-open'], env });
  const line = await served.waitForLine(/^http:\/\/127\.0\.0\.1:\d+\/\?token=/, patience);
  return line.trim();
}

const began = () => {
  const at = performance.now();
  return (t: TestContext, what: string) =>
    t.diagnostic(`${what} after ${((performance.now() - at) / 1_000).toFixed(1)} s`);
};

const size = { width: 1280, height: 800 };

describe('from the dashboard alone', { skip }, () => {
  test('the function in which a worker hangs is found, and the request', async (t) => {
    const { name, place } = brokenApps.hangs.culprit;
    const service = await startBroken(t, brokenApps.hangs);
    const url = await dashboard(t, service);
    const tell = began();
    const { page, complaints } = await open(t, url, { viewport: size });
    await says(
      page,
      'h1',
      new RegExp(`^Worker \\d has been hung for .* in ${name} at ${place}; it will be killed in`),
    );
    await says(page, '#hero-detail', /It is busy with GET \/report/);
    tell(t, 'the sentence names the function');
    await picture(page, 'hang');
    await page.getByRole('button', { name: /^Show the stack/ }).click();
    await says(page, 'dialog', new RegExp(`${name} \\(.*/shop/${place}:\\d+\\)`));
    tell(t, 'the stack is read');
    await picture(page, 'stack');
    assert.deepEqual(complaints, []);
  });

  test('the variable that leaks is found, and the function that fills it', async (t) => {
    const { name, place } = brokenApps.leaks.culprit;
    const service = await startBroken(t, brokenApps.leaks);
    const url = await dashboard(t, service);
    const tell = began();
    const { page, complaints } = await open(t, url, { viewport: size });
    await says(page, '#hero', /Worker \d looks like it leaks: its heap grew from .* to .*/);
    tell(t, 'the sentence says that it leaks');
    await picture(page, 'leak');
    await page
      .getByRole('button', { name: /^Heap snapshot of worker/ })
      .first()
      .click();
    await page.getByRole('button', { name: 'Take a snapshot' }).click();
    await says(
      page,
      'dialog .key-line',
      new RegExp(`^visitors \\(Array\\) keeps .* used by ${name} at ${place}\\.`),
    );
    tell(t, 'the snapshot names the variable');
    await picture(page, 'memory');
    assert.deepEqual(complaints, []);
  });

  test('the route on which workers crash is found, and the function', async (t) => {
    const { name, place } = brokenApps.crashes.culprit;
    const service = await startBroken(t, brokenApps.crashes);
    const url = await dashboard(t, service);
    const tell = began();
    const { page, complaints } = await open(t, url, { viewport: size });
    await says(page, 'h1', new RegExp(`^Worker \\d crashed .*TypeError: .*toFixed.* in ${name} at ${place}`));
    tell(t, 'the sentence names the function');
    await page.getByRole('link', { name: 'Evidence' }).first().click();
    await says(page, '#death-list', /GET \/checkout/);
    await page.locator('#death-list summary').first().click();
    await says(page, '#death-list pre', new RegExp(`${name} \\(.*/shop/${place}:\\d+\\)`));
    tell(t, 'route and stack are read');
    await picture(page, 'crash');
    assert.deepEqual(complaints, []);
  });

  test('a profile of a healthy service is drawn, and a reload is followed', async (t) => {
    const service = await startBroken(t, brokenApps.leaks);
    const url = await dashboard(t, service);
    const { page, complaints } = await open(t, url, { viewport: size });
    await says(page, '#link', /Live/);
    await page.locator('#worker-rows').getByRole('button', { name: 'Profile of worker 1' }).click();
    await page.getByLabel('Seconds').fill('3');
    await page.locator('dialog').getByRole('button', { name: 'Profile' }).click();
    await says(page, 'dialog', /Where the time went[\s\S]*leaks\.mjs/);
    await picture(page, 'profile');
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Reload', exact: true }).click();
    await page.getByLabel('Watch the first new worker').uncheck();
    await page.locator('dialog').getByRole('button', { name: 'Reload' }).click();
    await says(page, '#steps', /begun/);
    await says(page, '#reload-list', /Generation 2: done/);
    await page.locator('#timeline').scrollIntoViewIfNeeded();
    await picture(page, 'reload');
    assert.deepEqual(complaints, []);
  });
});
