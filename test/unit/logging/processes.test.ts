import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { until } from './wait.js';

const program = fileURLToPath(new URL('./log-child.js', import.meta.url));

interface Answer {
  readonly dropped: number;
  readonly longest?: number;
}

/** The reading end of a child's standard output, read only when asked. */
interface Reader {
  read(): string;
  close(): void;
}

describe('the log of real processes', () => {
  let dir = '';
  let children: ChildProcess[] = [];
  beforeEach(() => {
    dir = fs.mkdtempSync(join(tmpdir(), 'rom-agent-processes-'));
    children = [];
  });
  afterEach(() => {
    for (const child of children) child.kill('SIGKILL');
    fs.rmSync(dir, { recursive: true });
  });

  const start = (stdout: number | 'pipe' | 'ignore', env: Record<string, string> = {}): ChildProcess => {
    const stdio = ['ignore', stdout, 'inherit', 'ipc'] as const;
    const child = spawn(process.execPath, [program], { stdio: [...stdio], env: { ...process.env, ...env } });
    children.push(child);
    return child;
  };

  const ask = async (child: ChildProcess, order: object): Promise<Answer> => {
    const answer = once(child, 'message', { signal: AbortSignal.timeout(120_000) });
    child.send(order);
    const [message] = (await answer) as [Answer];
    return message;
  };

  /** A pipe(7), as a shell or a container runtime gives one. */
  const onPipe = (): { child: ChildProcess; reader: Reader } => {
    const path = join(dir, 'fifo');
    execFileSync('mkfifo', [path]);
    const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
    const writer = fs.openSync(path, 'w');
    const child = start(writer);
    fs.closeSync(writer);
    let text = '';
    const read = () => {
      text += readAvailable(fd);
      return text;
    };
    return { child, reader: { read, close: () => fs.closeSync(fd) } };
  };

  /** A stream socket, as systemd gives one for the journal, and Node to its children. */
  const onSocket = (): { child: ChildProcess; reader: Reader } => {
    const child = start('pipe');
    let text = '';
    let reading = false;
    const read = () => {
      // Listening starts the flow; until then Node takes no more than its first buffer.
      if (!reading) child.stdout?.on('data', (data: Buffer) => (text += data.toString('latin1')));
      reading = true;
      return text;
    };
    return { child, reader: { read, close: () => child.stdout?.destroy() } };
  };

  for (const [kind, open] of [
    ['pipe', onPipe],
    ['socket', onSocket],
  ] as const) {
    it(`goes on behind a blocked ${kind}, counts what it loses, and says so when it flows again`, async () => {
      const { child, reader } = open();
      // That this answer comes at all, with nobody reading, is the proof.
      const { dropped } = await ask(child, { kind: 'flood' });
      assert.ok(dropped > 0);
      const text = await until(reader.read, (read) => read.includes('log lines were lost'));
      const lines = text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line));
      const report = lines.at(-1);
      assert.deepEqual([report.level, report.lost], ['warn', dropped]);
      assert.ok(lines.slice(0, -1).every((line) => line.msg === 'x'.repeat(1000)));
      await ask(child, { kind: 'line', text: 'and on' });
      const end = await until(reader.read, (read) => read.includes('and on'));
      assert.equal(end.match(/log lines were lost/g)?.length, 1);
      reader.close();
    });

    it(`survives the end of whoever read the ${kind}`, async () => {
      const { child, reader } = open();
      await ask(child, { kind: 'line', text: 'first' });
      await until(reader.read, (read) => read.includes('first'));
      reader.close();
      const seen = async () => (await ask(child, { kind: 'line', text: 'to nobody' })).dropped;
      while ((await seen()) < 3);
      assert.equal(child.exitCode, null);
    });

    it(`delivers the last lines before an exit to a ${kind}`, async () => {
      const { child, reader } = open();
      const gone = once(child, 'exit');
      reader.read();
      child.send({ kind: 'lines', count: 50, text: 'y'.repeat(100) });
      await until(
        () => reader.read().trimEnd().split('\n').length,
        (lines) => lines === 50,
      );
      assert.match(reader.read(), /"line 49 y+"\}\n/);
      assert.deepEqual(await gone, [0, null]);
      reader.close();
    });
  }

  it('ends in good time behind a blocked pipe', async () => {
    const { child, reader } = onPipe();
    await ask(child, { kind: 'flood' });
    const gone = once(child, 'exit', { signal: AbortSignal.timeout(60_000) });
    child.send({ kind: 'exit', text: 'last' });
    assert.deepEqual(await gone, [0, null]);
    reader.close();
  });

  it('keeps every line whole that many processes write to one file', async () => {
    const logs = join(dir, 'logs');
    const text = 'z'.repeat(300);
    const gone = [1, 2, 3, 4].map((worker) => {
      const child = start('ignore', { LOG_DIR: logs, WORKER: String(worker) });
      child.send({ kind: 'lines', count: 500, text });
      return once(child, 'exit', { signal: AbortSignal.timeout(120_000) });
    });
    assert.deepEqual(
      await Promise.all(gone),
      [1, 2, 3, 4].map(() => [0, null]),
    );
    const lines = fs
      .readdirSync(logs)
      .flatMap((name) => fs.readFileSync(join(logs, name), 'utf8').trimEnd().split('\n'))
      .map((line) => JSON.parse(line));
    for (const worker of [1, 2, 3, 4]) {
      const own = lines.filter((line) => line.worker === worker).map((line) => line.msg);
      assert.deepEqual(
        own,
        Array.from({ length: 500 }, (_, index) => `line ${index} ${text}`),
      );
    }
  });
});

function readAvailable(fd: number): string {
  const buffer = Buffer.alloc(65_536);
  let text = '';
  for (;;) {
    try {
      const count = fs.readSync(fd, buffer);
      if (count === 0) return text;
      text += buffer.toString('latin1', 0, count);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return text;
      throw error;
    }
  }
}
