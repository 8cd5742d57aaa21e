import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { freePort } from '../support/net.js';
import { repoRoot, startDaemon } from '../support/process.js';
import {
  entriesOf,
  patience,
  readyPids,
  type Service,
  serving,
  stopped,
  temporaryDirectory,
  untilStats,
} from './service.js';

const ownBuild = (): string => readFileSync(join(repoRoot, 'dist', 'build-id'), 'utf8').trim();
const otherBuild = '0123456789ab';
const refused = new RegExp(
  `died before it listened: the master is of build .*build ${otherBuild}: restart the service`,
);

describe('a service whose files are replaced while it runs', { timeout: 1_800_000 }, () => {
  it('starts no worker of another build, says what to do, and goes on with those that serve', async (t) => {
    const { service, dist } = await copied(t);
    const [victim = assert.fail(), survivor] = await readyPids(service);
    writeFileSync(join(dist, 'build-id'), `${otherBuild}\n`);
    process.kill(victim, 'SIGKILL');
    await entriesOf(service.daemon, refused, 3);
    assert.deepEqual(await readyPids(service), [survivor]);
    service.daemon.kill('SIGHUP');
    await entriesOf(service.daemon, /generation 2 .*restart the service/, 1);
    await untilStats(service, 'the verdict', ({ lastReload }) => lastReload?.verdict === 'rolled-back');
    writeFileSync(join(dist, 'build-id'), `${ownBuild()}\n`);
    await untilStats(service, 'a full set', ({ ready }) => ready === 2);
    await stopped(service);
  });

  it('is told the same by a worker that finds itself under a master of another build', async (t) => {
    const { service, dist } = await copied(t);
    const [victim = assert.fail()] = await readyPids(service);
    // The moment between the look at the files and the start of the process.
    for (const path of ['worker/start.js', ...chunksOf(dist)]) {
      const text = readFileSync(join(dist, path), 'utf8');
      writeFileSync(join(dist, path), text.replaceAll(ownBuild(), otherBuild));
    }
    process.kill(victim, 'SIGKILL');
    await entriesOf(service.daemon, refused, 3);
    assert.equal((await readyPids(service)).length, 1);
    await stopped(service);
  });

  it('ends where nobody serves any more, so that the service manager starts what is there', async (t) => {
    const { service, dist } = await copied(t);
    writeFileSync(join(dist, 'build-id'), `${otherBuild}\n`);
    for (const pid of await readyPids(service)) process.kill(pid, 'SIGKILL');
    const { code } = await service.daemon.waitForExit(patience);
    assert.equal(code, 75, service.daemon.output());
  });
});

/** A daemon that runs from a copy of what was built. */
async function copied(t: TestContext): Promise<{ service: Service; dist: string }> {
  const root = temporaryDirectory(t);
  const dist = join(root, 'dist');
  cpSync(join(repoRoot, 'dist'), dist, { recursive: true });
  cpSync(join(repoRoot, 'package.json'), join(root, 'package.json'));
  symlinkSync(join(repoRoot, 'node_modules'), join(root, 'node_modules'));
  const port = await freePort('127.0.0.1');
  const env = {
    HOST: '127.0.0.1',
    WORKERS: '2',
    PORT: String(port),
    // Fewer than what is told, each of which would count otherwise.
    ROM_AGENT_RESTART_INTENSITY: '2',
    ROM_AGENT_RESTART_BOOT_DELAY_MAX: '500ms',
    ROM_AGENT_RESTART_BOOT_DELAY: '100ms',
  };
  const daemon = startDaemon({ t, args: ['serve'], env, script: join(dist, 'cli', 'main.js') });
  await serving(daemon);
  return { service: { daemon, port, routes: '' }, dist };
}

function chunksOf(dist: string): string[] {
  const build = ownBuild();
  return readdirSync(join(dist, 'chunks'))
    .map((name) => `chunks/${name}`)
    .filter((path) => readFileSync(join(dist, path), 'utf8').includes(build));
}
