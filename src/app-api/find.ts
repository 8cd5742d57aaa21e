import { subscribe } from 'node:diagnostics_channel';
import { request } from 'node:http';
import { createInMemory } from '../backplane/embedded/open.js';
import type { Engine } from '../backplane/engine.js';
import {
  type BackplaneHook,
  backplaneSocketVariable,
  controlSocketOf,
} from '../protocol/backplane-process.js';
import { createClient } from './client.js';

/** What a worker publishes when it is about to end: see src/worker/drain/shutdown.ts. */
interface DrainNotice {
  waitUntil(work: Promise<unknown>): void;
}

/** What this process has of the backplane. */
export interface Own {
  readonly engine: Engine;
  /** It works from now on: closed when the worker drains. @returns what takes it off */
  drainable(close: () => Promise<void>): () => void;
}

let own: Own | null = null;

/** The engine of this process: the daemon's backplane under the daemon, one of its own under plain node. */
export function findOwn(): Own {
  own ??= create();
  return own;
}

function create(): Own {
  const path = process.env[backplaneSocketVariable];
  const isHosted = path !== undefined && path !== '';
  const engine = isHosted ? createClient({ path, start: starter(path), pid: process.pid }) : createInMemory();
  const closers = new Set<() => Promise<void>>();
  /** An engine in this process has no socket that keeps it running. */
  let alive: NodeJS.Timeout | null = null;
  const takeOff = (close: () => Promise<void>): void => {
    closers.delete(close);
    if (closers.size > 0 || alive === null) return;
    clearInterval(alive);
    alive = null;
  };
  subscribe('rom-agent:drain', (notice) => {
    const all = [...closers].map((close) => close().finally(() => takeOff(close)));
    (notice as DrainNotice).waitUntil(Promise.all(all));
  });
  return {
    engine,
    drainable: (close) => {
      closers.add(close);
      if (!isHosted) alive ??= setInterval(() => {}, longestTimer);
      return () => takeOff(close);
    },
  };
}

const longestTimer = 2 ** 31 - 1;

/** Has the master start the backplane: by the worker's channel, in other processes by the control socket. */
function starter(path: string): () => void {
  const hook = Reflect.get(globalThis, Symbol.for('rom-agent')) as BackplaneHook | undefined;
  if (hook !== undefined) return hook.wantBackplane;
  return () => {
    const asking = request({
      ...{ socketPath: controlSocketOf(path), method: 'POST', path: '/v1/backplane' },
      headers: { 'content-type': 'application/json' },
    });
    // The requests to the backplane say that nobody answers.
    asking.on('error', () => {});
    asking.on('response', (response) => response.resume());
    asking.end(JSON.stringify({ by: 'the app' }));
  };
}
