import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../support/net.js';
import { type Daemon, repoRoot, startDaemon } from '../../support/process.js';
import { waitFor } from '../../support/wait.js';
import { type Contender, patience, type Reloadable, workers } from './contender.js';

export const app: string = join(repoRoot, 'test', 'bench', 'reloads', 'peers', 'app.mjs');

/** rom-agent by itself, reloaded by SIGHUP without a soak. */
export const direct: Contender = { name: 'rom-agent', share: 1, start: startRomAgent };

export async function startRomAgent(): Promise<Reloadable> {
  const directory = mkdtempSync(join(tmpdir(), 'rom-agent-reloads-'));
  const port = await freePort('127.0.0.1');
  const daemon = startDaemon({
    args: ['serve', app],
    cwd: directory,
    env: {
      PORT: String(port),
      HOST: '127.0.0.1',
      WORKERS: String(workers),
      LOG_LEVEL: 'info',
      ROM_AGENT_RELOAD_SOAK: '0',
      ROM_AGENT_STATE_DIR: directory,
      ROM_AGENT_CONTROL_SOCKET: join(directory, 'control.sock'),
    },
  });
  await daemon.waitForLine(/"msg":"serving with/, patience);
  let generation = 1;
  return {
    port,
    reload: async () => {
      generation += 1;
      const begun = performance.now();
      daemon.kill('SIGHUP');
      const verdict = await daemon.waitForLine(
        new RegExp(`"msg":"reload to generation ${generation} [^"]* (?:in|after) `),
        patience,
      );
      if (!/ done in /.test(verdict)) throw new Error(verdict);
      return performance.now() - begun;
    },
    settled: () => onlyWorkersLeft(daemon),
    stop: async () => {
      daemon.kill('SIGTERM');
      const { code } = await daemon.waitForExit(patience);
      rmSync(directory, { recursive: true, force: true });
      const complaints = daemon.lines.filter((line) => /"level":"(warn|error|fatal)"/.test(line));
      if (code !== 0 || complaints.length > 0)
        throw new Error(`ended with ${code}:\n${complaints.join('\n')}`);
    },
  };
}

async function onlyWorkersLeft(daemon: Daemon): Promise<void> {
  const workersOf = async () => {
    const all = await daemon.descendants();
    return all.length;
  };
  // The reaper of orphans is a child too.
  await waitFor('the end of the replaced workers', workersOf, {
    timeout: patience,
    until: (count) => count <= workers + 1,
  });
}
