import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type CommandResult, lastWords, runCommand } from '../../../src/deploy/command.js';
import { FetchError, type FetchInput, fetchSource, gitAccess } from '../../../src/deploy/fetch.js';

const done: CommandResult = { failure: null, tail: ['abc'] };

describe('the password of a git URL', () => {
  test('stands in a variable and in no argument', async (t) => {
    const run: { readonly words: string; readonly secrets: string }[] = [];
    await fetchSource({
      ...input({ kind: 'git', url: 'https://bot:s3cret@git.example/shop.git', ref: 'main' }, t),
      run: async (command, _cwd, _timeout, { secrets = {} } = {}) => {
        run.push({ words: command.join(' '), secrets: Object.values(secrets).join() });
        return done;
      },
    });
    const fetching = run.find(({ words }) => words.includes(' fetch '));
    const token = Buffer.from('bot:s3cret').toString('base64');
    assert.equal(fetching?.secrets, `Authorization: Basic ${token}`);
    assert.match(fetching?.words ?? '', /-- https:\/\/git\.example\/shop\.git main$/);
    for (const { words } of run) {
      assert.ok(!words.includes('s3cret') && !words.includes(token), words);
    }
  });

  test('may be a name alone, as a token of GitHub is, and is given to its own server only', () => {
    const { url, command, secrets } = gitAccess('https://t0ken@git.example:8443/shop.git');
    assert.equal(url, 'https://git.example:8443/shop.git');
    assert.match(
      command.at(-1) ?? '',
      /^--config-env=http\.https:\/\/git\.example:8443\/\.extraHeader=(\w+)$/,
    );
    assert.deepEqual(Object.values(secrets), [
      `Authorization: Basic ${Buffer.from('t0ken:').toString('base64')}`,
    ]);
  });

  test('is none in the name of an account of ssh, or in a path', () => {
    for (const url of ['ssh://git@git.example/shop.git', 'git@git.example:shop.git', '/srv/shop.git']) {
      assert.deepEqual([gitAccess(url).url, gitAccess(url).secrets], [url, {}]);
    }
  });
});

test('of what a command has written last, the error stands in the reason, and no frame of its stack', () => {
  const thrown = ['building', "throw new Error('no database')", '^', '', 'Error: no database'];
  const tail = [
    ...thrown,
    '    at build (/srv/build.js:3:9)',
    '    at node:internal/main',
    '',
    'Node.js v24.4.1',
  ];
  assert.equal(lastWords(tail, 2), '^ / Error: no database');
  assert.equal(lastWords(['npm error code E404', 'npm error at least one'], 3).split(' / ').length, 2);
  assert.equal(lastWords([], 5), '');
});

describe('a tarball', () => {
  test('that would fill the disk is given up, however long it goes on', async (t) => {
    const url = await served(t, (_, response) => {
      const chunk = Buffer.alloc(2 ** 20);
      const more = (): void => {
        while (!response.destroyed && response.write(chunk));
        response.once('drain', more);
      };
      more();
    });
    let looks = 0;
    await assert.rejects(
      fetchSource({
        ...input({ kind: 'tarball', from: { url }, sha256: '0'.repeat(64) }, t),
        freeBytes: () => (++looks < 3 ? 2 ** 30 : 2 ** 20),
        minFreeBytes: 2 ** 29,
      }),
      (error) =>
        error instanceof FetchError &&
        /^the tarball .* is too large: 1 MiB of the disk are left, 512 are wanted \(deploy\.min_free\)$/.test(
          error.message,
        ),
    );
    assert.equal(looks, 3);
  });

  test('that would fill the disk once it is unpacked is given up while it is unpacked, or at its end', async (t) => {
    const place = input({ kind: 'tarball', from: { path: fileURLToPath(import.meta.url) }, sha256: null }, t);
    let free = 2 ** 30;
    const disk = { ...place, freeBytes: () => free, minFreeBytes: 2 ** 29 };
    const asked: (string | null | undefined)[] = [];
    const unpacks: FetchInput['run'] = async (_command, _cwd, _timeout, { giveUp } = {}) => {
      asked.push(giveUp?.());
      free = 2 ** 20;
      asked.push(giveUp?.());
      return done;
    };
    await assert.rejects(fetchSource({ ...disk, run: unpacks }), /is too large: 1 MiB of the disk are left/);
    assert.equal(asked[0], null);
    assert.match(asked[1] ?? '', /512 are wanted \(deploy\.min_free\)$/);
  });

  test('and its command is killed then', { timeout: 120_000 }, async () => {
    let looks = 0;
    const { failure } = await runCommand({
      ...{ command: ['sleep', '3600'], cwd: '/', env: { PATH: process.env.PATH ?? '' }, account: null },
      ...{ timeoutMs: 3_600_000, mark: `fetch test ${process.pid}`, onLine: () => {} },
      giveUp: () => (++looks < 3 ? null : 'the disk is full'),
    });
    assert.equal(failure, 'the disk is full');
  });
});

function input(source: FetchInput['source'], t: TestContext): FetchInput {
  const root = mkdtempSync(join(tmpdir(), 'rom-agent-fetch-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  return {
    ...{ source, into: join(root, 'release'), timeoutMs: 600_000, freeBytes: () => 1, minFreeBytes: 0 },
    run: async () => done,
    now: () => 0,
  };
}

async function served(t: TestContext, handle: RequestListener): Promise<string> {
  const server = createServer(handle).listen(0, '127.0.0.1');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise((resolve) => server.once('listening', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/shop.tar`;
}
