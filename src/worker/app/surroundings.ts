import { executionAsyncResource } from 'node:async_hooks';
import type { BackplaneHook } from '../../protocol/backplane-process.js';
import { getServerOf, type ListenQuery, setGetServer } from '../node-internals/listening.js';

type Listener = (...args: unknown[]) => void;

/**
 * Listeners that an app may remove with `process.removeAllListeners()`, which means its own: node:cluster's for
 * messages of the master, Node's for signals, and ours. Not 'warning': an app that removes its listeners wants to
 * silence Node.
 */
const lasting = new Set<string | symbol>([
  'internalMessage',
  'disconnect',
  'newListener',
  'removeListener',
  'exit',
  'uncaughtExceptionMonitor',
  'SIGHUP',
]);

/** Makes removeAllListeners() keep the listeners that exist at this moment. */
export function keepListeners(worker: NodeJS.EventEmitter): void {
  const ours = new Map([...lasting].map((name) => [name, new Set(worker.rawListeners(name))]));
  const removeAll = worker.removeAllListeners;
  const removeOthers = (name: string | symbol): void => {
    const staying = ours.get(name);
    if (staying === undefined || staying.size === 0) return void removeAll.call(worker, name);
    for (const listener of worker.rawListeners(name).reverse()) {
      if (!staying.has(listener)) worker.removeListener(name, listener as Listener);
    }
  };
  Object.defineProperty(worker, 'removeAllListeners', {
    configurable: true,
    writable: true,
    value: function removeAllListeners(this: unknown, ...names: [name?: string | symbol]) {
      if (names.length === 0) for (const name of worker.eventNames()) removeOthers(name);
      else removeOthers(names[0] as string | symbol);
      return worker;
    },
  });
}

let kept: object | null = null;

/**
 * Keeps process.nextTick() as fast as in a busy process. Node makes an object with computed keys for each tick. V8
 * holds the shape of such objects weakly, and a full collection in an idle process frees it. The next tick then has a
 * shape that its call site has never seen, and the call site loses its inline cache for good: a tick takes 300 to 450
 * ns instead of 70, a third of a small request (Node 20 to 26). One such object that is never freed keeps the shape
 * alive.
 */
export function keepTickShape(): void {
  process.nextTick(() => {
    kept = executionAsyncResource();
  });
}

/** For the test: the object that keeps the shape alive. */
export function keptTick(): object | null {
  return kept;
}

/**
 * Gives each worker a UDP port of its own where its app asks for any free one (`socket.bind()`). node:cluster would
 * share one socket among all workers that ask for the same, and the answers to one worker would reach another.
 *
 * node:cluster keeps one socket for each combination of address, port, type and descriptor, and ignores a descriptor
 * below 0 (Node 20 to 26). We pass such a descriptor, which makes the combination unique to this worker.
 */
export function ownUdpPorts(pid: number = process.pid, giver?: object): void {
  const give = getServerOf(giver);
  if (give === undefined) return;
  setGetServer(function (asking, query, reply) {
    const asked = isUdp(query) && !query.port ? { ...query, fd: -1 - pid } : query;
    return give.call(this, asking, asked, reply);
  }, giver);
}

/**
 * Gives each slot sockets of its own, for an app without a listener: the second worker that opens a port finds it in
 * use, as a second process would. The next worker of the same slot shares the socket of the one before, so that a
 * reload can start it while that one still runs. With port 0 each worker has a port of its own.
 *
 * node:cluster keeps one socket for each combination of address, port, type, descriptor and index, and takes the
 * index from the query if it has one (Node 20 to 26).
 */
export function ownSockets(slot: number, { pid = process.pid, giver }: OwnSocketsSeam = {}): void {
  const give = getServerOf(giver);
  if (give === undefined) return;
  const take = numbering();
  setGetServer(function (asking, query, reply) {
    const { number, giveBack } = take(asking, query);
    const owner = Number(query.port ?? 0) === 0 ? `pid ${pid}` : `slot ${slot}`;
    const answered: typeof reply = (error, handle) => {
      // The app may try again.
      if (error) giveBack();
      reply(error, handle);
    };
    return give.call(this, asking, { ...query, index: `${owner} ${number}` }, answered);
  }, giver);
}

/**
 * Numbers the servers of this process at one address, from 0, for the index of a query: a second one opens the same port
 * again, which fails as under plain Node.
 */
export function numbering() {
  const open = new Map<string, Set<number>>();
  return (
    asking: object,
    { address, port, addressType }: ListenQuery,
  ): { readonly number: number; readonly giveBack: () => void } => {
    const name = `${address}:${port}:${addressType}`;
    const taken = open.get(name) ?? new Set();
    open.set(name, taken);
    let number = 0;
    while (taken.has(number)) number++;
    taken.add(number);
    const giveBack = (): void => void taken.delete(number);
    (asking as NodeJS.EventEmitter).once('close', giveBack);
    return { number, giveBack };
  };
}

interface OwnSocketsSeam {
  readonly pid?: number;
  readonly giver?: object;
}

/** addressType is 4 or 6 for TCP, -1 for a unix socket, a name such as `udp4` for UDP. */
function isUdp({ addressType }: ListenQuery): boolean {
  return addressType === 'udp4' || addressType === 'udp6';
}

/**
 * What `import ... from 'rom-agent'` finds in a worker (app-api/connection.ts): by it the first use has the backplane started.
 * Apps that enumerate the global object do not see it.
 */
export function exposeBackplane(want: () => void): void {
  Object.defineProperty(globalThis, Symbol.for('rom-agent'), {
    value: { wantBackplane: want } satisfies BackplaneHook,
    configurable: true,
  });
}
