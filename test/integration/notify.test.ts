import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import { connectControl } from '../../src/control/client.js';
import { signalPid } from '../support/process.js';
import { waitFor } from '../support/wait.js';
import { entries, patience, patient, readyPids, serve, stopped, temporaryDirectory } from './service.js';

describe('somebody who is to be notified', { timeout: 1_800_000 }, () => {
  it('hears of a crash loop, by a command and by a webhook that fails twice at first', async (t) => {
    const got: Record<string, unknown>[] = [];
    const webhook = createServer(async (request, response) => {
      got.push(JSON.parse(await text(request)) as Record<string, unknown>);
      response.writeHead(got.length <= 2 ? 503 : 204).end();
    });
    await new Promise<void>((resolve) => webhook.listen(0, '127.0.0.1', resolve));
    t.after(() => {
      webhook.closeAllConnections();
      webhook.close();
    });
    const folder = temporaryDirectory(t);
    const [program, told, urlFile] = ['page.sh', 'told', 'url'].map((name) => join(folder, name));
    writeFileSync(String(program), `#!/bin/sh\necho "$ROM_NOTIFY_TYPE $1" >> ${told}\ncat >> ${told}\n`);
    chmodSync(String(program), 0o755);
    const { port } = webhook.address() as AddressInfo;
    writeFileSync(String(urlFile), `http://127.0.0.1:${port}/hooks/SECRET\n`);
    const service = await serve(t, {
      env: {
        ...patient,
        ROM_AGENT_STATE_DIR: join(folder, 'state'),
        ROM_AGENT_NOTIFY_COMMAND: `${program} web`,
        ROM_AGENT_NOTIFY_WEBHOOK_FILE: String(urlFile),
        ROM_AGENT_RESTART_INTENSITY: '100',
      },
    });
    for (let deaths = 0; deaths < 3; deaths++) {
      const [victim] = await readyPids(service);
      signalPid(Number(victim), 'SIGKILL');
      await waitFor(
        'another worker',
        async () => {
          const pids = await readyPids(service);
          return pids.length === 2 && !pids.includes(Number(victim));
        },
        { timeout: patience },
      );
    }
    await waitFor('the third attempt at the webhook', () => got.length === 3, { timeout: patience });
    assert.deepEqual(got[2], got[0]);
    assert.match(String(got[2]?.message), /^workers die in a loop: 3 deaths within 60 s, .*SIGKILL/);
    await waitFor('the command', () => existsSync(String(told)), { timeout: patience });
    const [head = '', json = ''] = readFileSync(String(told), 'utf8').split('\n');
    assert.equal(head, 'crash-loop web');
    assert.deepEqual(JSON.parse(json), got[2]);

    const { results } = await connectControl({ path: String(service.control) }).notify('ann');
    assert.deepEqual(
      results.map(({ failure }) => failure),
      [null, null],
    );
    assert.equal(got[3]?.type, 'test');
    await stopped(service);
    const log = entries(service.daemon).map(({ msg }) => msg);
    const retries = log.filter((msg) => msg.endsWith('was not told: it answered 503; trying again'));
    assert.equal(retries.length, 2, log.join('\n'));
    assert.doesNotMatch(service.daemon.output(), /SECRET/);
  });
});
