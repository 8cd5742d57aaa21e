import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { ClusterStats } from '../../../src/protocol/stats.js';
import { ask, freePort } from '../../support/net.js';
import { type Daemon, startDaemon } from '../../support/process.js';
import { waitFor } from '../../support/wait.js';
import type { HostedApp } from './catalogue.js';
import { type Clients, patience, startClients } from './clients.js';

/** One app under one daemon with two workers, from its start to its end. */
export class Life {
  readonly daemon: Daemon;
  readonly #app: HostedApp;
  readonly #folder: string;
  readonly #port: number;
  readonly #control: string;

  private constructor(
    app: HostedApp,
    place: { folder: string; port: number; control: string; daemon: Daemon },
  ) {
    this.#app = app;
    this.#folder = place.folder;
    this.#port = place.port;
    this.#control = place.control;
    this.daemon = place.daemon;
  }

  /** Starts the app as somebody would who stands in its folder, and waits until both workers are ready. */
  static async begin(app: HostedApp, folder: string, control: string): Promise<Life> {
    const port = await freePort();
    const daemon = startDaemon({
      args: ['serve', app.file, ...(app.args === undefined ? [] : ['--', ...app.args])],
      cwd: folder,
      env: {
        PORT: String(port),
        WORKERS: '2',
        ROM_AGENT_CONTROL_SOCKET: join(control, 'control.sock'),
        ROM_AGENT_RELOAD_SOAK: '0',
        // A client that gets no CPU for a while still has its next request answered.
        ROM_AGENT_LINGER: '10s',
        ROM_AGENT_HANG_TIMEOUT: `${patience}ms`,
        ROM_AGENT_RELOAD_PROBE_TIMEOUT: `${patience}ms`,
        ROM_AGENT_BOOT_TIMEOUT: `${patience}ms`,
        ...app.env,
      },
    });
    const life = new Life(app, { folder, port, control: join(control, 'control.sock'), daemon });
    await daemon.waitForLine(/"msg":"serving with/, patience).catch((error: Error) => {
      life.end();
      throw error;
    });
    return life;
  }

  /** Clients under load that both workers have answered. */
  async clientsOfAll(t: TestContext): Promise<Clients> {
    const clients = startClients(this.#app, { t, port: this.#port, folder: this.#folder });
    await this.answeredByAll(clients);
    return clients;
  }

  /** Waits until each worker that is ready has answered. */
  async answeredByAll(clients: Clients): Promise<void> {
    const ready = await this.ready();
    await waitFor('an answer of each worker', () => [...clients.answered()], {
      timeout: patience,
      until: (pids) => ready.every((pid) => pids.includes(pid)),
    }).catch((error: Error) => {
      throw new Error(`${error.message}; ready: ${ready.join(', ')}; output:\n${this.daemon.output()}`);
    });
  }

  /** Its verdict; it is over when the old workers have ended too. */
  async reload(): Promise<void> {
    const before = await this.ready();
    const { status, text } = await ask({
      socketPath: this.#control,
      path: '/v1/reload',
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: '{}',
      timeout: patience,
    });
    assert.equal(status, 200, text);
    await waitFor('the end of the old workers', () => this.#status(), {
      timeout: patience,
      until: ({ workers }) => workers.every(({ pid }) => pid === null || !before.includes(pid)),
    });
    const { lastReload } = await this.#status();
    assert.deepEqual([lastReload?.verdict, lastReload?.lost], ['done', 0], this.daemon.output());
    this.cleanedUpOnce(before);
  }

  /** SIGTERM to the master, and the end with status 0 of everything that it started. */
  async stop(): Promise<void> {
    this.daemon.kill();
    const exit = await this.daemon.waitForExit(patience);
    assert.deepEqual(exit, { code: 0, signal: null }, this.daemon.output());
    assert.deepEqual(await this.daemon.group(), [], 'processes that are left');
  }

  /** Each of these workers has printed its mark, and once. */
  cleanedUpOnce(pids: readonly number[]): void {
    const marks = pids.map(
      (pid) => this.daemon.lines.filter((line) => line.trim() === `cleaned up ${pid}`).length,
    );
    assert.deepEqual(
      marks,
      pids.map(() => 1),
      `marks of ${pids.join(', ')}:\n${this.daemon.output()}`,
    );
  }

  /** PIDs of the workers that are ready. */
  async ready(): Promise<number[]> {
    const { workers } = await this.#status();
    return workers.flatMap(({ pid, phase }) => (phase === 'ready' && pid !== null ? [pid] : []));
  }

  end(): void {
    this.daemon.killGroup('SIGKILL');
  }

  async #status(): Promise<ClusterStats> {
    const { status, json, text } = await ask({
      socketPath: this.#control,
      path: '/v1/status',
      timeout: patience,
    });
    assert.equal(status, 200, text);
    return json as ClusterStats;
  }
}
