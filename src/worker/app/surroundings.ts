import { executionAsyncResource } from 'node:async_hooks';
import { getServerOf, type ListenQuery, setGetServer } from '../node-internals/listening.js';

type Listener = (...args: unknown[]) => void;

/**
 * What an app may clear away as a whole (`process.removeAllListeners()`), with all that it has put there itself and has
 * been put there before it: node:cluster's way of hearing the master, Node's watch over signals, and ours. Not
 * 'warning': an app that removes its listeners silences Node, as it means to.
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

/** From now on removeAllListeners() leaves those listeners alone that are there by now. */
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
 * Keeps process.nextTick() as fast as it is in a busy process. Node makes an object with computed keys for each tick; V8
 * holds the shape of such objects weakly, and a full collection of a process that idles finds none alive. The next tick
 * then has a shape that its call site has never seen, which costs that site its inline cache for good: 300 to 450 ns a
 * tick instead of 70, a third of a small request (Node 20 to 26). One such object that stays alive keeps the shape.
 */
export function keepTickShape(): void {
  process.nextTick(() => {
    kept = executionAsyncResource();
  });
}

/** For the test: the object that is kept. */
export function keptTick(): object | null {
  return kept;
}

/**
 * Gives each worker a UDP port of its own where its app asks for any free one (`socket.bind()`). node:cluster has one
 * socket for all workers that ask alike, so that the answers to one worker's questions would reach another.
 *
 * It keeps a socket for each set of address, port, type and descriptor; a descriptor below 0 is none (Node 20 to 26),
 * which makes the set this worker's own.
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
 * Gives each slot sockets of its own, for an app that is no server: the second worker that opens a port finds it in use, as
 * under plain Node. The next worker of the same slot gets the socket of the one before, so that a reload can start it
 * while the one before is there. A port that is free is each worker's own.
 *
 * node:cluster has a socket for each set of address, port, type, descriptor and index, and takes the index of the query
 * where there is one (Node 20 to 26).
 */
export function ownSockets(slot: number, { pid = process.pid, giver }: OwnSocketsSeam = {}): void {
  const give = getServerOf(giver);
  if (give === undefined) return;
  const open = new Map<string, Set<number>>();
  setGetServer(function (asking, query, reply) {
    const { address, port, addressType } = query;
    const name = `${address}:${port}:${addressType}`;
    const taken = open.get(name) ?? new Set();
    open.set(name, taken);
    // One that is opened a second time in this process is in use.
    let number = 0;
    while (taken.has(number)) number++;
    taken.add(number);
    (asking as NodeJS.EventEmitter).once('close', () => taken.delete(number));
    const owner = Number(port ?? 0) === 0 ? `pid ${pid}` : `slot ${slot}`;
    const answered: typeof reply = (error, handle) => {
      // It may be asked for once more.
      if (error) taken.delete(number);
      reply(error, handle);
    };
    return give.call(this, asking, { ...query, index: `${owner} ${number}` }, answered);
  }, giver);
}

interface OwnSocketsSeam {
  readonly pid?: number;
  readonly giver?: object;
}

/** Of TCP it is 4 or 6, of a unix socket -1. */
function isUdp({ addressType }: ListenQuery): boolean {
  return addressType === 'udp4' || addressType === 'udp6';
}
