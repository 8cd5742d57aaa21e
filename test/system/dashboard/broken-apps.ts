import { copyFileSync, mkdirSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { basename, join } from 'node:path';
import type { TestContext } from 'node:test';
import { begin, fixture, type Service, serving, temporaryDirectory } from '../../integration/service.js';
import { plainEnvironment } from '../../support/process.js';

/**
 * Three apps with one fault each, and what a person has to find: whoever tests another way to look at a service
 * (`rom-agent status`, `why`, `logs`) starts the same ones and looks for the same words.
 */
export interface BrokenApp {
  readonly file: string;
  /** The function that is to blame, and its file with the line. */
  readonly culprit: { readonly name: string; readonly place: string };
  /** What a client does, over and over, or once. */
  readonly provoke: (port: number, signal: AbortSignal) => void;
  readonly env?: Readonly<Record<string, string>>;
}

export const brokenApps = {
  hangs: {
    file: 'dashboard/hangs.mjs',
    culprit: { name: 'sumOfOrders', place: 'hangs.mjs:11' },
    provoke: (port, signal) => visit(port, '/report', signal),
    // Long enough to be looked at on a machine that is ten times slower.
    env: { ROM_AGENT_HANG_TIMEOUT: '4m', ROM_AGENT_HEALTH_SLOW_LIMIT: '10m' },
  },
  leaks: {
    file: 'dashboard/leaks.mjs',
    culprit: { name: 'rememberVisit', place: 'leaks.mjs:6' },
    provoke: (port, signal) => again(signal, 60, () => visit(port, '/', signal)),
  },
  crashes: {
    file: 'dashboard/crashes.mjs',
    culprit: { name: 'priceOf', place: 'crashes.mjs:7' },
    provoke: (port, signal) => visit(port, '/checkout', signal),
  },
} as const satisfies Record<string, BrokenApp>;

export interface Broken extends Service {
  /** With which the CLI reaches this daemon. */
  readonly env: Readonly<Record<string, string>>;
}

/** Serves one of them with two workers, and has its clients begin. */
export async function startBroken(t: TestContext, app: BrokenApp): Promise<Broken> {
  // A canary that is slow because the machine is.
  const env = { ...plainEnvironment(), ROM_AGENT_RELOAD_PROBE_TIMEOUT: '5m', ...app.env };
  const home = join(temporaryDirectory(t), 'shop');
  mkdirSync(home);
  const file = join(home, basename(app.file));
  copyFileSync(fixture(app.file), file);
  const service = await begin(t, { app: file, env });
  await serving(service.daemon);
  const ended = new AbortController();
  t.after(() => ended.abort());
  app.provoke(service.port, ended.signal);
  return { ...service, env: { ...env, ROM_AGENT_CONTROL_SOCKET: service.control ?? '' } };
}

/** A request of its own connection, so that both workers get some. What becomes of it is not of interest. */
function visit(port: number, path: string, signal: AbortSignal): void {
  const asked = request({ host: '127.0.0.1', port, path, signal, agent: new Agent() }, (answer) =>
    answer.resume(),
  );
  asked.on('error', () => {});
  asked.end();
}

function again(signal: AbortSignal, everyMs: number, what: () => void): void {
  const timer = setInterval(what, everyMs);
  signal.addEventListener('abort', () => clearInterval(timer), { once: true });
}
