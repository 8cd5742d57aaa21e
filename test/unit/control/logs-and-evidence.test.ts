import assert from 'node:assert/strict';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { connectControl } from '../../../src/control/client.js';
import { examples } from '../../../src/control/openapi.js';
import type { LogsLine } from '../../../src/protocol/log-line.js';
import { waitFor } from '../../support/wait.js';
import { get, messageOf, opened, streaming } from './place.js';

const [file] = examples.EvidenceList;
const { source, line } = examples.LogsLine;

describe('the stream of the log', () => {
  test('says where the log is, has the last lines, and goes on', async (t) => {
    const fake = await opened(t);
    const lines: LogsLine[] = [];
    const controller = new AbortController();
    const over = connectControl({ path: fake.path }).logs({
      lines: 5,
      onLine: (each) => lines.push(each),
      signal: controller.signal,
    });
    await waitFor('the last lines', () => lines.length === 2 && fake.logListeners.size === 1);
    assert.deepEqual(lines, [source, line]);
    for (const listener of fake.logListeners) listener({ ...line.line, message: 'next' });
    await waitFor('the next line', () => lines.length === 3);
    assert.deepEqual(lines[2], { type: 'line', line: { ...line.line, message: 'next' } });
    controller.abort();
    await over;
    await waitFor('the end', () => fake.logListeners.size === 0);
  });

  test('has none of the last lines where none are wanted', async (t) => {
    const fake = await opened(t);
    const stream = await streaming(fake.path, { route: '/v1/logs?lines=0', method: 'GET' });
    await waitFor('the listener', () => fake.logListeners.size === 1);
    for (const listener of fake.logListeners) listener(line.line);
    await waitFor('a line', () => stream.lines.length === 2);
    assert.deepEqual(stream.lines, [{ ...source, lines: 0 }, line]);
  });

  test('ends after the last lines where it is not to be followed', async (t) => {
    const fake = await opened(t);
    const lines: LogsLine[] = [];
    const client = connectControl({ path: fake.path });
    await client.logs({ lines: 5, follow: false, onLine: (each) => lines.push(each) });
    assert.deepEqual(lines, [source, line]);
    assert.equal(fake.logListeners.size, 0);
    const wrong = await get(fake.path, '/v1/logs?follow=yes');
    assert.deepEqual(
      [wrong.status, messageOf(wrong)],
      [400, 'follow: "yes" is not right: expected "on" or "off"'],
    );
  });

  test('refuses a number of lines that is none, and parameters that it does not know', async (t) => {
    const { path } = await opened(t);
    const wrong = await get(path, '/v1/logs?lines=many');
    assert.deepEqual(
      [wrong.status, messageOf(wrong)],
      [400, 'lines: "many" is not right: expected an integer from 0 to 10000'],
    );
    const unknown = await get(path, '/v1/logs?line=1');
    assert.equal(unknown.status, 400);
  });
});

describe('evidence', () => {
  test('is listed, and read by its name', async (t) => {
    const fake = await opened(t);
    const client = connectControl({ path: fake.path });
    assert.deepEqual(await client.evidenceFiles(), examples.EvidenceList);
    const { bytes, content } = await client.evidenceFile(file?.name ?? '');
    assert.deepEqual([bytes, await text(content)], [2, '{}']);
  });

  test('that is not there is answered with 404', async (t) => {
    const { path } = await opened(t);
    for (const name of ['other.cpuprofile', '..%2f..%2fetc%2fpasswd']) {
      const answer = await get(path, `/v1/evidence/${name}`);
      assert.deepEqual(
        [answer.status, messageOf(answer)],
        [404, `no evidence file ${name}; GET /v1/evidence lists the files`],
      );
    }
    await assert.rejects(connectControl({ path }).evidenceFile('x'), /no evidence file x/);
  });
});
