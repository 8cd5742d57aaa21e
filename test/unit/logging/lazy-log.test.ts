import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { lazyLog } from '../../../src/logging/lazy-log.js';
import type { Log } from '../../../src/logging/log.js';
import type { LogConfig, LogLevel } from '../../../src/settings/config.js';

describe('a lazy log', () => {
  test('loads nothing for lines that are not to be written', async () => {
    const { log, loads } = fakeLog('warn');
    log.debug('a detail');
    log.info('news');
    await log.close();
    assert.equal(loads(), 0);
  });

  test('loads once, and writes the lines that came before in their order', async () => {
    const { log, loads, written } = fakeLog('info');
    log.info('first', { n: 1 });
    log.error('second');
    assert.deepEqual(written, [], 'the caller does not wait');
    await log.close();
    assert.equal(loads(), 1);
    assert.deepEqual(written, ['info first {"n":1}', 'error second undefined', 'drained', 'flush']);
  });

  test('writes at once when it is loaded', async () => {
    const { log, written } = fakeLog('info');
    log.info('first');
    await log.close();
    log.warn('then');
    assert.equal(written.at(-1), 'warn then undefined');
  });

  test('is plain lines where it cannot be loaded, and tries again', async (t) => {
    const path = join(mkdtempSync(join(tmpdir(), 'rom-agent-log-')), 'out');
    const fd = openSync(path, 'w');
    t.after(() => closeSync(fd));
    let loads = 0;
    const config: LogConfig = { level: 'info', format: 'json', dir: null, statsInterval: 0 };
    const log = lazyLog({ config, bindings: { worker: 2 }, stdout: { fd } }, async () => {
      loads++;
      throw new Error('EMFILE');
    });
    log.warn('in trouble', { error: new Error('the cause') });
    await log.close();
    log.error('still');
    await log.close();
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
    const entries = lines.map((line) => JSON.parse(line));
    assert.deepEqual(
      entries.map(({ level, worker, msg }) => [level, worker, msg]),
      [
        ['error', 2, 'the log cannot be loaded: Error: EMFILE'],
        ['warn', 2, 'in trouble'],
        ['error', 2, 'the log cannot be loaded: Error: EMFILE'],
        ['error', 2, 'still'],
      ],
    );
    assert.match(entries[1].error, /^Error: the cause\n/);
    assert.equal(loads, 2);
  });

  test('has nothing to flush before its first line', () => {
    const { log, written } = fakeLog('info');
    log.flush();
    assert.deepEqual(written, []);
  });

  test('knows its format without being loaded', () => {
    const { log, loads } = fakeLog('info');
    assert.equal(log.format, 'json');
    assert.equal(loads(), 0);
  });
});

function fakeLog(level: LogLevel) {
  const written: string[] = [];
  let loads = 0;
  const config: LogConfig = { level, format: 'json', dir: null, statsInterval: 0 };
  const load = async () => {
    loads += 1;
    return { createLog: () => fakes(written) };
  };
  return { log: lazyLog({ config, bindings: {} }, load), written, loads: () => loads };
}

function fakes(written: string[]): Log {
  const at = (level: string) => (message: string, fields?: object) =>
    void written.push(`${level} ${message} ${JSON.stringify(fields)}`);
  return {
    ...{ trace: at('trace'), debug: at('debug'), info: at('info') },
    ...{ warn: at('warn'), error: at('error'), fatal: at('fatal') },
    flush: () => void written.push('flush'),
    drained: async () => void written.push('drained'),
    format: 'json',
    dropped: () => 0,
  };
}
