import { rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { listenBeside, takeName } from '../control/socket-file.js';
import { exitCodes, RomAgentError } from '../errors.js';
import { makeDirectory } from '../files.js';
import { isAlive } from '../processes.js';
import { serveClient } from './connection.js';
import type { Engine } from './engine.js';
import { createOwners } from './owners.js';

export interface BackplaneServer {
  /** Ends all connections; clients wait for the next one to listen. */
  close(): void;
}

export interface ListenOptions {
  readonly path: string;
  readonly onProblem: (message: string) => void;
}

/** Listens on a unix socket that its owner alone may use. @throws RomAgentError where the path cannot be used */
export async function listen(engine: Engine, { path, onProblem }: ListenOptions): Promise<BackplaneServer> {
  const sockets = new Set<Socket>();
  const owners = createOwners({
    isAlive,
    after: (ms, call) => {
      const timer = setTimeout(call, ms);
      return () => clearTimeout(timer);
    },
    now: () => performance.now(),
  });
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    serveClient(socket, { engine, owners, onProblem });
  });
  await claim(server, path);
  return {
    close: () => {
      server.close();
      owners.close();
      rmSync(path, { force: true });
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Another one may be about to end: its master has restarted. ms */
const patience = 5_000;
const pause = 50;

/** Takes a path that this process alone listens on: the kernel frees it with the process. */
async function claim(server: Server, path: string): Promise<void> {
  try {
    await makeDirectory(dirname(path), 0o750);
    const { temporary } = await listenBeside(server, { path, mode: 0o600 });
    const deadline = performance.now() + patience;
    while (!(await takesName(temporary, path))) {
      if (performance.now() > deadline) throw new Error('another process answers there');
      await sleep(pause);
    }
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new RomAgentError(`the backplane cannot listen on ${path}: ${why}`, {
      exitCode: exitCodes.cannotCreate,
      cause,
    });
  }
}

/** false: another process answers there. */
async function takesName(temporary: string, path: string): Promise<boolean> {
  try {
    await takeName(temporary, path);
    return true;
  } catch (error) {
    if (error instanceof RomAgentError && error.exitCode === exitCodes.addressInUse) return false;
    throw error;
  }
}

/**
 * Keeps other backplanes from the directory's journal for as long as this process lives.
 *
 * @throws RomAgentError where another has it
 */
export async function holdDirectory(directory: string): Promise<void> {
  await makeDirectory(directory, 0o700);
  // The path of a socket may not be longer than 107 bytes; the directory's may.
  process.chdir(directory);
  try {
    await claim(createServer((socket) => socket.destroy()).unref(), 'owner');
  } catch (cause) {
    throw new RomAgentError(
      `the journal in ${directory} is in use by another backplane: services need a state_dir each`,
      { exitCode: exitCodes.cannotCreate, cause },
    );
  }
}
