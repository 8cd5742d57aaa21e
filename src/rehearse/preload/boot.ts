import { Session } from 'node:inspector';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { Socket } from 'node:net';
import type { BootShare, Place } from '../reports.js';
import { callSite, fileOf, innermost } from './tell.js';

/** Waits that are shorter say nothing, ms. */
const shortest = 100;

export interface BootWatch {
  /** What the time went into since the process began, the largest share first. */
  end(): Promise<readonly BootShare[]>;
}

/** Notes what runs, and which timers and connections are waited for. */
export function watchBoot(): BootWatch {
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.start');
  const waits: BootShare[] = [];
  const undo = [watchTimers(waits), watchConnections(waits)];
  return {
    end: async () => {
      for (const each of undo) each();
      const profile = await new Promise<Profile | null>((resolve) =>
        session.post('Profiler.stop', (error, result) =>
          resolve(error === null ? (result.profile as Profile) : null),
        ),
      );
      session.disconnect();
      const ran = profile === null ? [] : runningTimes(profile);
      return [...waits, ...ran].sort((a, b) => b.ms - a.ms).slice(0, 5);
    },
  };
}

function waited(
  into: BootShare[],
  { what, at, ms }: Omit<BootShare, 'kind' | 'at'> & { at: Place | null },
): void {
  if (at !== null && ms >= shortest) into.push({ kind: 'waited', what, at, ms: Math.round(ms) });
}

type Timers = { setTimeout: (...given: never[]) => unknown };

function watchTimers(into: BootShare[]): () => void {
  const promises = createRequire(import.meta.url)('node:timers/promises') as Timers;
  const { setTimeout: ofPromises } = promises;
  const { setTimeout: plain } = globalThis;
  const hosts = globalThis as unknown as Timers;
  const wrapped = Object.assign((callback: () => void, ms?: number, ...rest: unknown[]) => {
    const at = callSite();
    const since = performance.now();
    const called = (...given: unknown[]): unknown => {
      waited(into, { what: 'a timer', at, ms: performance.now() - since });
      return Reflect.apply(callback, undefined, given);
    };
    return Reflect.apply(plain, undefined, [called, ms, ...rest]);
  }, plain);
  Object.defineProperties(wrapped, Object.getOwnPropertyDescriptors(plain));
  hosts.setTimeout = wrapped as Timers['setTimeout'];
  promises.setTimeout = async (...given: never[]) => {
    const at = callSite();
    const since = performance.now();
    const value = await Reflect.apply(ofPromises, undefined, given);
    waited(into, { what: 'a timer', at, ms: performance.now() - since });
    return value;
  };
  syncBuiltinESMExports();
  return () => {
    hosts.setTimeout = plain as unknown as Timers['setTimeout'];
    promises.setTimeout = ofPromises;
    syncBuiltinESMExports();
  };
}

/** From the call to the end, for connections of the app: a database that is slow to answer is waited for all that time. */
function watchConnections(into: BootShare[]): () => void {
  const { connect } = Socket.prototype;
  const open: (() => void)[] = [];
  Socket.prototype.connect = function (this: Socket, ...given: unknown[]) {
    const at = callSite();
    const since = performance.now();
    const end = (): void => {
      const where = this.remoteAddress === undefined ? '' : ` to ${this.remoteAddress}:${this.remotePort}`;
      waited(into, { what: `a connection${where}`, at, ms: performance.now() - since });
    };
    let done = false;
    const once = (): void => {
      if (!done) end();
      done = true;
    };
    this.once('data', once).once('close', once);
    open.push(once);
    return Reflect.apply(connect, this, given);
  } as Socket['connect'];
  return () => {
    Socket.prototype.connect = connect;
  };
}

/** https://chromedevtools.github.io/devtools-protocol/v8/Profiler/#type-Profile; times in microseconds. */
interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
    readonly children?: readonly number[];
  }[];
  readonly samples?: readonly number[];
  readonly timeDeltas?: readonly number[];
}

/** How long each function of the app ran, with what it called that is not the app's. */
function runningTimes({ nodes, samples = [], timeDeltas = [] }: Profile): readonly BootShare[] {
  const places = new Map<number, readonly Place[]>();
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const visit = (id: number, above: readonly Place[]): void => {
    const node = byId.get(id);
    if (node === undefined) return;
    const { functionName, url, lineNumber } = node.callFrame;
    const file = fileOf(url);
    const here =
      file === null ? above : [{ function: functionName || null, file, line: lineNumber + 1 }, ...above];
    places.set(id, functionName === '(idle)' ? [] : here);
    for (const child of node.children ?? []) visit(child, here);
  };
  const [root] = nodes;
  if (root !== undefined) visit(root.id, []);
  const times = new Map<string, { at: Place; ms: number }>();
  for (const [index, id] of samples.entries()) {
    const at = innermost(places.get(id) ?? []);
    if (at === null) continue;
    const key = `${at.file}:${at.line}`;
    const before = times.get(key)?.ms ?? 0;
    times.set(key, { at, ms: before + (timeDeltas[index] ?? 0) / 1000 });
  }
  return [...times.values()]
    .filter(({ ms }) => ms >= shortest)
    .map(({ at, ms }) => ({ kind: 'ran', what: null, at, ms: Math.round(ms) }));
}
