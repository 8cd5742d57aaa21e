import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { describeLoad, type Load, type LoadReport, startLoad } from '../../support/load.js';
import { waitFor } from '../../support/wait.js';
import type { HostedApp } from './catalogue.js';

/** A slow framework on a machine that is ten times slower than usual, ms. */
export const patience = 60_000;

/** All clients of an app under load, of whatever protocol. */
export interface Clients {
  /** PIDs of the workers that have answered since the begin. */
  answered(): ReadonlySet<number>;
  /** Waits until every kind of client has had so many more answers, ms. */
  reached(count: number, timeout: number): Promise<void>;
  /** From here on a refused connection is no loss. */
  mayBeRefused(): void;
  /** Ends them and checks that nothing was lost. */
  lostNothing(): Promise<void>;
}

interface Place {
  readonly t: { after(hook: () => Promise<unknown>): void };
  readonly port: number;
  readonly folder: string;
}

export function startClients(app: HostedApp, place: Place): Clients {
  const kinds: Clients[] = [];
  if (app.client !== undefined) kinds.push(new PlayedClients(place, app.client));
  const paths = app.paths ?? (app.client === undefined ? ['/'] : []);
  if (paths.length > 0) kinds.push(new HttpClients(place, paths));
  const each = async (what: (clients: Clients) => Promise<void> | void) => {
    await Promise.all(kinds.map(what));
  };
  return {
    // Each kind has its own connections: only who all of them have met serves.
    answered: () => {
      const [first = new Set<number>(), ...rest] = kinds.map((kind) => kind.answered());
      return new Set([...first].filter((pid) => rest.every((pids) => pids.has(pid))));
    },
    reached: (count, timeout) => each((kind) => kind.reached(count, timeout)),
    mayBeRefused: () => void each((kind) => kind.mayBeRefused()),
    lostNothing: () => each((kind) => kind.lostNothing()),
  };
}

/** Kept connections and one for each request, on every path. */
class HttpClients implements Clients {
  readonly #pids = new Set<number>();
  readonly #load: Load;
  #refusedBefore: number | null = null;

  constructor({ t, port }: Place, paths: readonly string[]) {
    this.#load = startLoad({
      t,
      port,
      maxMs: 6 * patience,
      watch: { answered: (body) => this.#see(body) },
      clients: paths.flatMap((path) => [
        { kind: 'keep-alive', count: 2, pauseMs: 20, path },
        { kind: 'per-connection', count: 2, pauseMs: 20, path },
      ]),
    });
  }

  answered(): ReadonlySet<number> {
    return this.#pids;
  }

  async reached(count: number, timeout: number): Promise<void> {
    await this.#load.reached(count, timeout);
  }

  mayBeRefused(): void {
    this.#refusedBefore = this.#load.counts().refused;
  }

  async lostNothing(): Promise<void> {
    const report = await this.#load.stop();
    assert.deepEqual(this.#lost(report), { failed: 0, idleResets: 0, refused: 0 }, describeLoad(report));
  }

  #lost({ failed, idleResets, refused }: LoadReport) {
    return { failed, idleResets, refused: this.#refusedBefore ?? refused };
  }

  #see(body: string): void {
    const pid = /"pid"\s*:\s*(\d+)/.exec(body)?.[1];
    if (pid !== undefined) this.#pids.add(Number(pid));
  }
}

/** What test/fixtures/system/play.mjs prints. */
interface Counts {
  readonly answered: number;
  readonly lost: number;
  readonly refused: number;
  readonly pids: Readonly<Record<string, number>>;
  readonly examples: readonly string[];
  readonly over?: true;
}

/** A program of the app's own set that plays clients, in a process of its own. */
class PlayedClients implements Clients {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  #counts: Counts = { answered: 0, lost: 0, refused: 0, pids: {}, examples: [] };
  #refusedBefore: number | null = null;

  constructor({ t, port, folder }: Place, program: string) {
    this.#child = spawn(process.execPath, [program, `http://127.0.0.1:${port}`, '6'], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const { stdout } = this.#child;
    assert.ok(stdout !== null);
    createInterface({ input: stdout }).on('line', (line) => {
      this.#counts = JSON.parse(line) as Counts;
    });
    this.#ended = once(this.#child, 'close');
    t.after(async () => this.#child.kill('SIGKILL'));
  }

  answered(): ReadonlySet<number> {
    return new Set(Object.keys(this.#counts.pids).map(Number));
  }

  async reached(count: number, timeout: number): Promise<void> {
    const goal = this.#counts.answered + count;
    await waitFor(`${count} more answers`, () => this.#counts, {
      timeout,
      until: ({ answered }) => answered >= goal,
    });
  }

  mayBeRefused(): void {
    this.#refusedBefore = this.#counts.refused;
  }

  async lostNothing(): Promise<void> {
    this.#child.kill();
    await this.#ended;
    const { lost, refused, over, examples } = this.#counts;
    const seen = { lost, refused: this.#refusedBefore ?? refused, over };
    assert.deepEqual(seen, { lost: 0, refused: 0, over: true }, examples.join('\n'));
  }
}
