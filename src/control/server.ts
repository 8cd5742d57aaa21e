import { createServer, type Server } from 'node:http';
import { basename, isAbsolute } from 'node:path';
import { exitCodes, RomAgentError } from '../errors.js';
import { type Commands, longestSocketPath } from '../protocol/control-api.js';
import type { ControlLog, Handler } from './handler.js';
import {
  type Beside,
  explain,
  freeName,
  lengthBeside,
  listenBeside,
  listening,
  prepareDirectory,
  removeOwn,
  takeName,
} from './socket-file.js';

/** Where to listen: on a path of our own, or on a socket that was passed in, which is never unlinked or changed. */
export type ControlPlace = { readonly path: string } | { readonly fd: number };

export type ControlOptions = ControlPlace & {
  readonly commands: Commands;
  readonly version: string;
  readonly log: ControlLog;
};

export interface ControlServer {
  /** `fd:3` for a socket that was passed in. */
  readonly path: string;
  /** Ends the streams, lets answers under way out for 500 ms, and removes the socket if it is still ours. */
  close(): Promise<void>;
}

/** A control server that listens under a name that no client knows. */
export interface PreparedControl {
  /**
   * Gives it its path: within the call where the path is free.
   *
   * @throws RomAgentError exit 69, 73 or 77 as prepareControl() does
   */
  publish(): Promise<ControlServer>;
  /** Accepts nobody any more, and gives up the path, if it is still its own: streams go on until close(). */
  leave(): void;
  close(): Promise<void>;
}

/** Prepares a control server and publishes it at once. */
export async function openControl(options: ControlOptions): Promise<ControlServer> {
  return (await prepareControl(options)).publish();
}

/**
 * Answers commands over a unix socket of mode 0660. Before the first request it costs next to nothing: what answers
 * is loaded then.
 *
 * @throws RomAgentError exit 69 where another process answers at the path, 73 where the path or its directory cannot
 * be used, 77 without permission, 78 for a path or a passed socket that never fits
 */
export async function prepareControl(options: ControlOptions): Promise<PreparedControl> {
  const lazy = lazyHandler(options);
  const server = createServer(limits, lazy.handle);
  server.timeout = longestSilence;
  server.maxConnections = mostConnections;
  server.on('clientError', lazy.onClientError);
  const claimed = 'fd' in options ? await adopt(server, options.fd) : await claim(server, options.path);
  server.on('error', (error) => options.log.error('the control socket cannot accept', { err: error }));
  const path = 'fd' in options ? `fd:${options.fd}` : options.path;
  let closing: Promise<void> | null = null;
  const close = async (): Promise<void> => {
    // While it still answers, nobody can have put another in its place.
    if (claimed !== null) removeOwn(path, claimed.own);
    lazy.close();
    await end(server);
  };
  const control: ControlServer = {
    path,
    close: () => {
      closing ??= close();
      return closing;
    },
  };
  const leave = (): void => {
    if (claimed !== null) removeOwn(path, claimed.own);
    server.close();
  };
  const publish = async (): Promise<ControlServer> => {
    try {
      if (claimed !== null) await takeName(claimed.temporary, path);
    } catch (error) {
      server.close();
      throw error;
    }
    return control;
  };
  return { publish, leave, close: control.close };
}

/** ms; `connectionsCheckingInterval` is how exact the others are. */
const limits = {
  headersTimeout: 10_000,
  requestTimeout: 20_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 5_000,
};

/** A connection on which no byte gets through for this long is closed, ms. Streams have heartbeats. */
const longestSilence = 60_000;

/** Each costs the master a descriptor. */
const mostConnections = 64;

/** How long `close` waits for answers under way, ms. */
const grace = 500;

async function claim(server: Server, path: string): Promise<Beside> {
  checkPath(path);
  prepareDirectory(path);
  let beside: Beside;
  try {
    beside = await listenBeside(server, { path, mode: 0o660 });
  } catch (cause) {
    throw explain(path, cause);
  }
  try {
    await freeName(beside.temporary, path);
  } catch (error) {
    server.close();
    throw error;
  }
  return beside;
}

async function adopt(server: Server, fd: number): Promise<null> {
  const expected = 'expected a unix socket that listens, such as ListenStream=/run/rom-agent/control.sock';
  const unfit = (what: string, cause?: unknown): RomAgentError =>
    new RomAgentError(`the socket passed in for control (descriptor ${fd}) ${what}; ${expected}`, {
      exitCode: exitCodes.config,
      cause,
    });
  try {
    await listening(server, { fd, exclusive: true });
  } catch (cause) {
    throw unfit('cannot be used', cause);
  }
  // Over TCP everybody could give commands.
  if (typeof server.address() === 'object' && server.address() !== null) {
    server.close();
    throw unfit('is not a unix socket');
  }
  return null;
}

function checkPath(path: string): void {
  // Node would cut a longer name off without a word.
  const limit = longestSocketPath - Math.max(0, lengthBeside - Buffer.byteLength(basename(path)));
  if (isAbsolute(path) && !path.includes('\0') && Buffer.byteLength(path) <= limit) return;
  const message = `control_socket: ${JSON.stringify(path)} is not right: expected an absolute path of at most ${limit} bytes`;
  throw new RomAgentError(message, { exitCode: exitCodes.config });
}

function lazyHandler(options: ControlOptions): Pick<Handler, 'handle' | 'close'> & {
  onClientError: typeof import('./answers.js').onClientError;
} {
  let handler: Handler | null = null;
  let loading: Promise<Handler> | null = null;
  let closed = false;
  const load = async (): Promise<Handler> => {
    const { createHandler } = await import('./handler.js');
    handler = createHandler(options);
    return handler;
  };
  return {
    handle: (request, response) => {
      if (handler !== null) return handler.handle(request, response);
      loading ??= load();
      loading.then(
        (loaded) => (closed ? response.destroy() : loaded.handle(request, response)),
        (error: unknown) => {
          options.log.error('the control socket cannot load what answers', { err: error });
          response.destroy();
        },
      );
    },
    onClientError: (error, socket) => {
      import('./answers.js').then(
        ({ onClientError }) => onClientError(error, socket),
        () => socket.destroy(),
      );
    },
    close: () => {
      closed = true;
      handler?.close();
    },
  };
}

function end(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.closeAllConnections(), grace);
    server.close(() => {
      clearTimeout(cut);
      resolve();
    });
  });
}
