import type { Worker } from 'node:worker_threads';
import { inFlightSymbol, witnessFd } from '../../protocol/capture.js';
import type { RequestNote } from '../../protocol/requests.js';
import type { Servers } from '../connections/servers.js';
import { program, type ThreadData } from './witness-thread.js';

/** Under which the main thread offers its stack: see stalls.ts. */
export const lookSymbol = 'rom-agent.look';

/**
 * Starts a thread that says where the main thread is, even while the main thread spins. The thread uses the debugger
 * (node:inspector, Session.connectToMainThread()), which needs no port: every user of the machine could connect to an
 * inspector that listens. The thread costs a worker 6 to 10 MB.
 *
 * @param onProblem the thread could not start, or has failed: a worker that hangs will be replaced without a stack
 * @param asks whether the master asks it over a pipe
 * @returns null where it could not start
 */
export async function startWitness(onProblem: (error: Error) => void, asks = true): Promise<Worker | null> {
  try {
    const { Worker } = await import('node:worker_threads');
    const workerData: ThreadData = {
      fd: asks ? witnessFd : null,
      inFlight: inFlightSymbol,
      look: lookSymbol,
    };
    const thread = new Worker(program, {
      eval: true,
      workerData,
      env: {},
      execArgv: [],
      stdout: true,
      stderr: true,
      resourceLimits: limits,
    });
    thread.on('error', onProblem);
    thread.unref();
    return thread;
  } catch (error) {
    onProblem(error instanceof Error ? error : new Error(String(error)));
    return null;
  }
}

/** MiB. While the thread looks, the debugger reports every script that the main thread has loaded. */
const limits = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 };

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
