import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { firstLook } from '../../../src/admin/first-look.js';
import { repoRoot } from '../../support/process.js';
import { death, stateOf, stats, worker } from '../../system/dashboard/scenes.js';

const html = readFileSync(join(repoRoot, 'src/admin/page/index.html'), 'utf8');

describe('the first look at the dashboard', () => {
  test('has its sentence before any script ran, in the page and in the title of the window', () => {
    const page = firstLook(html, stateOf(stats([worker(1), worker(2)])));
    assert.match(
      page,
      /<h1 id="headline">All is well: 2 of 2 workers are ready and serve 603 requests per second\.</,
    );
    assert.match(page, /<title>shop · rom-agent<\/title>/);
    assert.match(page, /<strong id="name">shop</);
    assert.match(page, /data-severity="good"/);
    assert.match(page, /<span id="hero-icon"[^>]*>✓/);
  });

  test('says what is wrong', () => {
    const page = firstLook(html, stateOf(stats([worker(1)], { deaths: [death()] })));
    assert.match(page, /<h1 id="headline">Worker 2 crashed .* in checkout at server\.js:40/);
    assert.match(page, /data-severity="serious"/);
  });

  test('says what index.html says while nothing is known', () => {
    assert.equal(firstLook(html, stateOf(null)), html);
  });

  test('has what comes from the app as text, never as HTML', () => {
    const evil = '</h1><script>"\'$&$1';
    const page = firstLook(
      html,
      stateOf(stats([worker(1)], { deaths: [death({ cause: evil })] }), { name: evil }),
    );
    const text = '&#60;/h1&#62;&#60;script&#62;&#34;&#39;$&#38;$1';
    assert.ok(page.includes(`<strong id="name">${text}</strong>`));
    assert.ok(page.includes(`<title>`) && page.includes(`${text} · rom-agent</title>`));
    assert.ok(page.match(/<h1 id="headline">[^<]*/)?.[0].includes(text), page.match(/<h1.*/)?.[0]);
    assert.equal(page.split('<script').length, html.split('<script').length);
  });
});
