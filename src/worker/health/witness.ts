import { inFlightSymbol, witnessFd } from '../../protocol/capture.js';
import type { RequestNote } from '../../protocol/requests.js';
import type { Servers } from '../connections/servers.js';

/**
 * Starts a thread that says where the main thread is, even while the main thread spins. The thread uses the debugger
 * (node:inspector, Session.connectToMainThread()), which needs no port: every user of the machine could connect to an
 * inspector that listens. The thread costs a worker 6 to 10 MB.
 *
 * @param onProblem the thread could not start, or has failed: a worker that hangs will be replaced without a stack
 */
export async function startWitness(onProblem: (error: Error) => void): Promise<void> {
  try {
    const { Worker } = await import('node:worker_threads');
    const thread = new Worker(program, {
      eval: true,
      workerData: { fd: witnessFd, inFlight: inFlightSymbol },
      env: {},
      execArgv: [],
      stdout: true,
      stderr: true,
      resourceLimits: limits,
    });
    thread.on('error', onProblem);
    thread.unref();
  } catch (error) {
    onProblem(error instanceof Error ? error : new Error(String(error)));
  }
}

/** MiB. While the thread looks, the debugger reports every script that the main thread has loaded. */
const limits = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 };

/**
 * Source of the thread, run as it stands. It takes one question after the other: if a session begins while another
 * one ends, the main thread runs on before the new session has paused it (Node 20 to 26). A connected session does
 * not keep the thread running, the pipe does.
 */
const program = `
const { workerData: { fd, inFlight } } = require('node:worker_threads');
const { Socket } = require('node:net');
const sleep = (ms, value) => new Promise((resolve) => setTimeout(resolve, ms, value));
const pipe = new Socket({ fd, readable: true, writable: true });
let rest = '';
let last = Promise.resolve();
pipe.setEncoding('utf8').on('error', () => {}).on('data', (text) => {
  const lines = (rest + text).split('\\n');
  rest = lines.pop();
  for (const line of lines) {
    const { id, within } = JSON.parse(line);
    last = last.then(() => look(within)).then(
      (testimony) => pipe.write(JSON.stringify({ id, ...testimony }) + '\\n'),
      (error) => pipe.write(JSON.stringify({ id, state: 'failed', why: String(error.message) }) + '\\n'),
    ).then(() => sleep(20));
  }
});
const silent = { state: 'silent' };
async function look(within) {
  const { Session } = require('node:inspector');
  const session = new Session();
  session.connectToMainThread();
  const late = sleep(within, silent);
  const call = (method, params) => Promise.race([late, new Promise((resolve, reject) =>
    session.post(method, params, (error, result) => error ? reject(error) : resolve(result)))]);
  try {
    const urls = new Map();
    session.on('Debugger.scriptParsed', ({ params: { scriptId, url } }) => urls.set(scriptId, url));
    const paused = new Promise((resolve) => session.once('Debugger.paused', ({ params }) => resolve(params.callFrames)));
    const begun = await Promise.all([call('Debugger.enable'), call('Debugger.pause')]);
    if (begun.includes(silent)) return silent;
    const frames = await Promise.race([paused, sleep(within * 0.4, null)]);
    // Not to be paused by the question itself, nor by what it does next.
    if (frames === null) await call('Debugger.disable');
    const expression = 'globalThis.process?.[Symbol.for(' + JSON.stringify(inFlight) + ')]?.()';
    const { result } = await call('Runtime.evaluate', { expression, returnByValue: true, silent: true });
    const requests = result?.value?.requests ?? null;
    if (frames === null) return { state: 'idle', requests };
    await call('Debugger.resume');
    await call('Debugger.disable');
    const told = frames.slice(0, 200).map(({ functionName, location }) =>
      ({ functionName, location, url: urls.get(location.scriptId) ?? '' }));
    return { state: 'paused', frames: told, requests };
  } finally {
    session.disconnect();
  }
}
`;

interface Current {
  readonly inFlight: number;
  readonly requests: readonly RequestNote[];
}

export function currentOf(servers: Pick<Servers, 'counts' | 'current'>): Current {
  return { inFlight: servers.counts().inFlight, requests: servers.current() };
}

/**
 * Shows the thread which requests are in flight while the main thread spins: a hung worker cannot be asked in another
 * way, and the request in which it hangs is younger than its last heartbeat. See master/capture.
 */
export function exposeCurrent(process: object, servers: Pick<Servers, 'counts' | 'current'>): void {
  Object.defineProperty(process, Symbol.for(inFlightSymbol), { value: () => currentOf(servers) });
}
