import assert from 'node:assert/strict';
import { closeSync, fstatSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { chooseLayout, wantsColour } from '../../../src/logging/layout.js';
import { openTerminal } from './terminal.js';

describe('the layout of log lines', () => {
  const dir = mkdtempSync(join(tmpdir(), 'rom-agent-layout-'));
  const fd = openSync(join(dir, 'out'), 'w');
  const { dev, ino } = fstatSync(fd);
  after(() => {
    closeSync(fd);
    rmSync(dir, { recursive: true });
  });

  it('is what was asked for, whatever standard output is', () => {
    for (const format of ['pretty', 'journal', 'json'] as const)
      assert.equal(chooseLayout(format, { fd, env: { JOURNAL_STREAM: `${dev}:${ino}` } }), format);
  });

  it('is the journal where JOURNAL_STREAM names the descriptor', () =>
    assert.equal(chooseLayout('auto', { fd, env: { JOURNAL_STREAM: `${dev}:${ino}` } }), 'journal'));

  it('is JSON where JOURNAL_STREAM names another stream, for it outlives a redirection', () => {
    for (const stream of [`${dev}:${ino + 1}`, `${dev + 1}:${ino}`, '', 'x'])
      assert.equal(chooseLayout('auto', { fd, env: { JOURNAL_STREAM: stream } }), 'json');
  });

  it('is JSON where the descriptor is closed', () =>
    assert.equal(chooseLayout('auto', { fd: 9999, env: { JOURNAL_STREAM: '1:2' } }), 'json'));

  it('is pretty on a terminal, in colours unless NO_COLOR is set', (t) => {
    const terminal = openTerminal();
    if (terminal === null) return t.skip('no pseudo-terminal can be opened here');
    t.after(() => closeSync(terminal));
    assert.equal(chooseLayout('auto', { fd: terminal, env: {} }), 'pretty');
    assert.equal(wantsColour({ fd: terminal, env: { NO_COLOR: '' } }), true);
    assert.equal(wantsColour({ fd: terminal, env: { NO_COLOR: '1' } }), false);
    assert.equal(wantsColour({ fd: terminal, env: { TERM: 'dumb' } }), false);
  });

  it('has no colours in a file', () => assert.equal(wantsColour({ fd, env: {} }), false));
});
