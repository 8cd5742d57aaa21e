import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, fstatSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { createLog, type Fields, type LogOptions } from '../../../src/logging/log.js';
import type { LogConfig } from '../../../src/settings/config.js';
import { until } from './wait.js';

const noon = new Date(2026, 2, 1, 12).getTime();
const quiet: LogConfig = { level: 'info', format: 'json', dir: null, statsInterval: 0 };

describe('the log', () => {
  let dir = '';
  let fd = 0;
  const read = () => readFileSync(join(dir, 'out'), 'utf8');
  const settled = (lines: number) => until(read, (text) => text.split('\n').length > lines);
  const make = (config: Partial<LogConfig> = {}, more: Partial<LogOptions> = {}) =>
    createLog({
      config: { ...quiet, ...config },
      bindings: { worker: 2 },
      stdout: { fd },
      env: {},
      clock: () => noon,
      ...more,
    });
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'rom-agent-log-'));
    fd = openSync(join(dir, 'out'), 'a');
  });
  afterEach(() => {
    closeSync(fd);
    rmSync(dir, { recursive: true });
  });

  it('writes JSON with an ISO time, the level as a word, the worker and the PID', async () => {
    make().warn('hot', { rss: 1, nested: { a: [1] } });
    assert.deepEqual(JSON.parse(await settled(1)), {
      level: 'warn',
      time: new Date(noon).toISOString(),
      pid: process.pid,
      worker: 2,
      rss: 1,
      nested: { a: [1] },
      msg: 'hot',
    });
  });

  it('writes what is at its level or above, in order', async () => {
    const log = make({ level: 'warn' });
    for (const level of ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const) log[level](level);
    const lines = (await settled(3)).trimEnd().split('\n');
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).level),
      ['warn', 'error', 'fatal'],
    );
  });

  it('sends entries to journald itself where that is standard output, and writes a line where it is not taken', async () => {
    const { dev, ino } = fstatSync(fd, { bigint: true });
    const sent: string[] = [];
    const send = (entry: Buffer) => {
      if (entry.includes('refused')) return false;
      return sent.push(entry.toString()) > 0;
    };
    let unread = 3;
    const open = () => ({ send, hasUnread: () => unread-- > 0 });
    const journal = { open, subject: ({ workerPid }: Fields) => (workerPid === 7 ? { ROM_WORKER: 3 } : {}) };
    const log = make({ format: 'auto' }, { env: { JOURNAL_STREAM: `${dev}:${ino}` }, journal });
    log.info('taken', { workerPid: 7 });
    log.warn('refused');
    const rest = `worker=2 pid=${process.pid}\n`;
    assert.equal(await settled(1), `<4>refused ${rest}`);
    const fields = 'PRIORITY=6\nSYSLOG_IDENTIFIER=rom-agent\nROM_WORKER=3\n';
    assert.deepEqual(sent, [`MESSAGE=taken workerPid=7 ${rest}${fields}`]);
    await log.drained();
    assert.equal(unread, -1);
    make({ format: 'journal' }, { journal }).info('to a file');
    assert.match(await settled(2), /<6>to a file/);
  });

  it('is silent where silence is asked for', () => {
    const log = make({ level: 'silent' });
    log.fatal('nothing');
    log.flush();
    assert.equal(read(), '');
    assert.equal(log.dropped(), 0);
  });

  it('writes errors with stack, causes and code, under whatever name', async () => {
    const error = Object.assign(new Error('outer', { cause: new Error('inner') }), { code: 'EX' });
    make().error('failed', { err: error, reason: error });
    const { err, reason } = JSON.parse(await settled(1));
    assert.deepEqual(reason, err);
    assert.equal(err.code, 'EX');
    assert.match(err.stack, /^Error: outer\n[\s\S]+caused by: Error: inner\n/);
  });

  it('keeps a field from taking the place of what every line bears', async () => {
    make().info('started', { pid: 1, level: 'x', time: 2, msg: 'y', worker: 9 });
    const line = await settled(1);
    const { level, pid, msg, worker, pid_, worker_ } = JSON.parse(line);
    assert.deepEqual(
      { level, pid, msg, worker },
      { level: 'info', pid: process.pid, msg: 'started', worker: 2 },
    );
    assert.deepEqual({ pid_, worker_ }, { pid_: 1, worker_: 9 });
    assert.equal(line.match(/"pid":/g)?.length, 1);
  });

  it('survives fields that no JSON can hold', async () => {
    const loop: Record<string, unknown> = { big: 1n, fn: () => 1, none: undefined };
    loop.loop = loop;
    make().info('odd %s', { loop });
    assert.equal(JSON.parse(await settled(1)).msg, 'odd %s');
  });

  it('writes one line an entry for the journal', async () => {
    const log = make({ format: 'journal' });
    log.error('failed\nbadly', { err: new Error('boom') });
    assert.match(
      await settled(1),
      new RegExp(`^<3>failed\\\\nbadly err="Error: boom \\| at .*" worker=2 pid=${process.pid}\n$`),
    );
    assert.equal(log.format, 'journal');
  });

  it('writes every line to the daily file too, as JSON', async () => {
    const logs = join(dir, 'logs');
    const log = make({ format: 'pretty', dir: logs });
    log.info('both');
    log.flush();
    const line = await until(
      () => {
        try {
          return readFileSync(join(logs, '2026-03-01.log'), 'utf8');
        } catch {
          return '';
        }
      },
      (text) => text.endsWith('\n'),
    );
    assert.equal(JSON.parse(line).msg, 'both');
    assert.equal(await settled(1), `12:00:00.000 INFO  worker 2 ${process.pid} both\n`);
  });

  it('warns once on standard output where the file cannot be written, and goes on', async () => {
    const bad = join(dir, 'out', 'logs');
    const log = make({ dir: bad });
    log.info('one');
    log.info('two');
    const messages = (await settled(3))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).msg);
    assert.deepEqual(messages.sort(), ['log file cannot be written, trying again', 'one', 'two']);
  });

  it('does not load pino before the first line', () => {
    const script = `
      const { createLog } = await import(${JSON.stringify(new URL('../../../src/logging/log.js', import.meta.url).href)});
      const { createRequire } = await import('node:module');
      const loaded = () => Object.keys(createRequire(import.meta.url).cache).some((path) => path.includes('/pino/'));
      const log = createLog({ config: ${JSON.stringify(quiet)}, bindings: {} });
      log.debug('not written');
      const before = loaded();
      log.info('written');
      console.error(before, loaded());`;
    const { stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
    });
    assert.equal(stderr, 'false true\n');
  });
});
