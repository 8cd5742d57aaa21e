import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, createHmac } from 'node:crypto';
import { chmodSync, existsSync, readdirSync, readFileSync, statfsSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { connectControl } from '../../../src/control/client.js';
import {
  commitAll,
  configure,
  currentOf,
  type Deploying,
  deploy,
  fill,
  processAt,
  serveDeploying,
  start,
} from '../../integration/deploying.js';
import { releasesServed } from '../../integration/releases.js';
import { patience, temporaryDirectory } from '../../integration/service.js';
import { freePort } from '../../support/net.js';
import { smallDisk } from '../../support/small-disk.js';
import { waitFor } from '../../support/wait.js';

const clientOf = ({ stateDir }: Deploying) =>
  connectControl({ path: join(stateDir, 'control.sock'), timeout: patience });

/** A program of this name in PATH that kills its parent, the process of the deploy, once. */
function killer(t: TestContext, name: string): string {
  const bin = temporaryDirectory(t);
  const real = execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim();
  const script = `#!/bin/sh\n[ -e ${bin}/done ] || { touch ${bin}/done; kill -9 $PPID; sleep 60; }\nexec ${real} "$@"\n`;
  writeFileSync(join(bin, name), script);
  chmodSync(join(bin, name), 0o755);
  return `env = { PATH = "${bin}:${process.env.PATH}" }`;
}

async function assertWhole(service: Deploying, expected: string): Promise<void> {
  assert.equal(currentOf(service), expected);
  assert.deepEqual(await releasesServed(service), [expected]);
  assert.equal(existsSync(join(service.directory, 'deploy.json')), false);
  const left = readdirSync(join(service.directory, 'releases')).filter((name) => name.includes('.partial'));
  assert.deepEqual(left, []);
}

describe('kill -9', { timeout: 1_800_000 }, () => {
  it('of the process while it gets the source goes back, and leaves nothing', async (t) => {
    const service = await serveDeploying(t);
    configure(service, { deploy: killer(t, 'cp') });
    const { record } = await deploy(service);
    assert.deepEqual([record.verdict, record.reason], ['interrupted', 'interrupted at the stage fetch']);
    await assertWhole(service, 'first');
    assert.equal((await deploy(service)).record.verdict, 'done', 'the next one is not in its way');
  });

  it('of the process by a command goes back, and ends what the command has started', async (t) => {
    const marker = temporaryDirectory(t);
    const code = `kill -9 $PPID; sleep 1000 & echo $! > ${marker}/pid; wait`;
    const service = await serveDeploying(t, { deploy: `build = ["sh", "-c", ${JSON.stringify(code)}]` });
    const { record } = await deploy(service);
    assert.deepEqual([record.verdict, record.reason], ['interrupted', 'interrupted at the stage step']);
    await assertWhole(service, 'first');
    const look = () => {
      try {
        return readFileSync(
          `/proc/${readFileSync(join(marker, 'pid'), 'utf8').trim()}/status`,
          'utf8',
        ).includes('Z (zombie)');
      } catch {
        return true;
      }
    };
    if (process.platform === 'linux') await waitFor('the end of the command', look, { timeout: patience });
  });

  for (const whom of ['the master', 'both'] as const) {
    for (const stage of ['step', 'reload'] as const) {
      it(`of ${whom} at the stage ${stage} has the next start serve what served`, async (t) => {
        const build = 'build = ["node", "-e", "setTimeout(() => {}, 3000)"]';
        const service = await serveDeploying(t, { deploy: build, soak: '5s' });
        const asked = deploy(service).catch((error: Error) => error);
        const pid = await processAt(service, stage);
        if (whom === 'both') process.kill(pid, 'SIGKILL');
        service.daemon.kill('SIGKILL');
        assert.ok((await asked) instanceof Error);
        const again = { ...service, ...(await start(t, service)) };
        await assertWhole(again, 'first');
        const { deploys } = await clientOf(again).releases();
        assert.deepEqual([deploys[0]?.verdict, deploys.length], ['interrupted', 1]);
        configure(again);
        assert.equal((await deploy(again)).record.verdict, 'done');
      });
    }
  }
});

describe('a deploy from outside', { timeout: 1_800_000 }, () => {
  it('on a full disk leaves what serves, and one that does not fit is not begun', async (t) => {
    const directory = smallDisk(t, '4m');
    if (directory === null) return t.skip('a small file system needs root');
    const fills = 'build = ["node", "-e", "fs.writeFileSync(\'big\', Buffer.alloc(16e6))"]';
    const service = await serveDeploying(t, { directory, deploy: fills });
    const full = await deploy(service);
    assert.match(full.record.reason ?? '', /build failed: .*ENOSPC/);
    await assertWhole(service, 'first');
    configure(service, { deploy: 'min_free = 64' });
    assert.match(
      (await deploy(service)).record.reason ?? '',
      /\d MiB free at .*, 64 wanted \(deploy.min_free\)/,
    );
    configure(service);
    assert.equal((await deploy(service)).record.verdict, 'done');
  });

  it('of a small tarball that unpacks large leaves deploy.min_free of the disk, and nothing behind', async (t) => {
    const directory = smallDisk(t, '256m');
    if (directory === null) return t.skip('a small file system needs root');
    const service = await serveDeploying(t, { directory });
    // 160 MiB of zeros fit on the disk, and 200 MiB are to stay free.
    for (let index = 0; index < 40; index++)
      writeFileSync(join(service.source, `zeros-${index}`), Buffer.alloc(4 * 2 ** 20));
    const file = join(temporaryDirectory(t), 'shop.tgz');
    execFileSync('tar', ['-czf', file, '-C', join(service.source, '..'), 'source']);
    const options = { ...service, source: file };
    configure(options, { deploy: 'min_free = 200' });
    assert.match(
      (await deploy(service)).record.reason ?? '',
      /is too large: \d+ MiB of the disk are left, 200 are wanted \(deploy\.min_free\)/,
    );
    await assertWhole(service, 'first');
    const { bavail, bsize } = statfsSync(directory);
    assert.ok(bavail * bsize > 250 * 2 ** 20, 'the disk is as it was');
    configure(options, { deploy: 'min_free = 20' });
    assert.equal((await deploy(service)).record.verdict, 'done');
  });

  it('whose command hangs fails by its time limit', async (t) => {
    const deployLines = '[[deploy.steps]]\nname = "hang"\ncommand = ["sleep", "1000"]\ntimeout = "1s"';
    const service = await serveDeploying(t, { deploy: deployLines });
    assert.equal((await deploy(service)).record.reason, 'hang failed: no end within 1 s: killed');
    await assertWhole(service, 'first');
  });

  it('runs its commands as another account, which can read nothing of the service', async (t) => {
    if (process.getuid?.() !== 0) return t.skip('only root can change to another account');
    const code = "console.log(process.getuid(), process.env.PORT ?? 'nothing'); fs.writeFileSync('mine', '')";
    const service = await serveDeploying(t, {
      deploy: `user = "nobody"\nbuild = ["node", "-e", ${JSON.stringify(code)}]`,
    });
    // The account has to get there, as it does in /srv or /var/lib.
    chmodSync(join(service.directory, '..'), 0o755);
    const { record, lines } = await deploy(service);
    const uid = execFileSync('id', ['-u', 'nobody'], { encoding: 'utf8' }).trim();
    assert.equal(record.verdict, 'done', JSON.stringify(record));
    assert.ok(
      lines.some((line) => line.type === 'output' && line.text === `${uid} nothing`),
      JSON.stringify(lines),
    );
  });

  it('takes a tarball by its checksum, and refuses another one', async (t) => {
    const service = await serveDeploying(t);
    const file = join(temporaryDirectory(t), 'shop.tgz');
    execFileSync('tar', ['-czf', file, '-C', join(service.source, '..'), 'source']);
    const bytes = readFileSync(file);
    const server = createServer((_, response) => response.end(bytes)).listen(0, '127.0.0.1');
    t.after(() => server.close());
    await new Promise((resolve) => server.once('listening', resolve));
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : 0;
    const digits = createHash('sha256').update(bytes).digest('hex');
    configure({ ...service, source: `http://127.0.0.1:${port}/shop-{ref}.tgz` });
    const good = await deploy(service, { ref: `1@sha256:${digits}` });
    assert.deepEqual([good.record.verdict, good.record.commit], ['done', digits]);
    await assertWhole(service, good.record.id);
    const bad = await deploy(service, {
      ref: `2@sha256:${digits.replace(/^./, digits.startsWith('0') ? '1' : '0')}`,
    });
    assert.match(bad.record.reason ?? '', /has the SHA-256 [0-9a-f]{64}, and [0-9a-f]{64} was expected/);
    await assertWhole(service, good.record.id);
  });

  it('is started by a push with a signature, once, and not by one without', async (t) => {
    const secret = 'a secret of some length';
    const file = join(temporaryDirectory(t), 'secret');
    writeFileSync(file, `${secret}\n`);
    const admin = await freePort('127.0.0.1');
    const settings = {
      top: `admin = "127.0.0.1:${admin}"`,
      deploy: `ref = "main"\nhook_secret_file = "${file}"`,
    };
    const service = await serveDeploying(t, settings);
    const commit = await commitAll(service.source);
    const body = JSON.stringify({ ref: 'refs/heads/main', after: commit, sender: { login: 'bob' } });
    const post = (signature: string) =>
      fetch(`http://127.0.0.1:${admin}/hooks/deploy`, {
        method: 'POST',
        body,
        headers: { 'X-GitHub-Event': 'push', 'X-Hub-Signature-256': signature },
      });
    const signature = `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;
    await waitFor(
      'the admin server',
      () =>
        fetch(`http://127.0.0.1:${admin}/`).then(
          () => true,
          () => false,
        ),
      { timeout: patience },
    );
    assert.equal((await post(`sha256=${'0'.repeat(64)}`)).status, 401);
    const answer = await post(signature);
    assert.equal(answer.status, 202, await answer.text());
    const over = await waitFor('the deploy', () => clientOf(service).releases(), {
      timeout: patience,
      until: ({ deploys, underWay }) => deploys.length === 1 && underWay === null,
    });
    const [record] = over.deploys;
    assert.deepEqual(
      [record?.by, record?.origin, record?.verdict, record?.commit],
      ['github: bob', 'hook', 'done', commit],
    );
    assert.deepEqual(await releasesServed(service), [record?.id]);
    assert.equal((await post(signature)).status, 200);
  });

  it('starts by schedule, and finds nothing new the second time', async (t) => {
    const service = await serveDeploying(t, { deploy: 'ref = "main"\nschedule = "* * * * * *"' });
    await commitAll(service.source);
    const { deploys } = await waitFor('two deploys', () => clientOf(service).releases(), {
      timeout: patience,
      until: (found) => found.deploys.filter(({ verdict }) => verdict !== 'failed').length >= 2,
    });
    const verdicts = deploys.filter(({ verdict }) => verdict !== 'failed').map(({ verdict }) => verdict);
    assert.deepEqual(verdicts.slice(-2), ['unchanged', 'done']);
  });

  it('is told in the status and in the metrics', async (t) => {
    const service = await serveDeploying(t);
    fill(service.source, 'throws.mjs');
    await deploy(service);
    fill(service.source, 'good.mjs');
    const { record } = await deploy(service);
    const client = clientOf(service);
    const [{ deploys }, metrics] = [await client.status(), await client.metrics()];
    assert.deepEqual(
      [deploys?.current, deploys?.last?.verdict, deploys?.underWay],
      [record.id, 'done', null],
    );
    assert.equal(metrics.deploys?.verdicts.done, 1);
    assert.equal(metrics.deploys?.verdicts['rolled-back'], 1);
  });
});
