import type { RawData, WebSocket } from 'ws';

/** A connection to the inspector of another process: https://chromedevtools.github.io/devtools-protocol/v8/ */
export interface Inspector {
  /** Rejects with the inspector's own words, and when the connection ends. */
  call(method: string, params?: object): Promise<Reply>;
  on(method: string, listener: (params: Reply) => void): void;
  close(): void;
}

export type Reply = Readonly<Record<string, unknown>>;

interface Waiting {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
}

/** ws, which takes 9 ms to load: where nothing ever hangs it is never loaded. Called early, it is there when needed. */
export const loadWebSocket = (): Promise<typeof import('ws')> => import('ws');

export interface ConnectOptions {
  readonly url: string;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Called once, when the process knows that the connection has ended. */
  readonly onDisconnected: () => void;
}

/**
 * Rejects where it cannot be had before `signal` is aborted, which ends it at any time. It is always closed with a word:
 * of processes whose inspector's connection was merely cut, and made anew, one in ten crashed (Node 20, SIGSEGV).
 */
export async function connectInspector({ url, signal, onDisconnected }: ConnectOptions): Promise<Inspector> {
  const { WebSocket } = await loadWebSocket().catch((error: unknown) => {
    onDisconnected();
    throw error;
  });
  const socket = new WebSocket(url, { perMessageDeflate: false });
  socket.once('close', onDisconnected);
  await opened(socket, signal);
  return overSocket(socket, signal);
}

function opened(socket: WebSocket, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      reject(late());
      if (socket.readyState === socket.OPEN) socket.close();
    };
    if (signal.aborted) end();
    signal.addEventListener('abort', end, { once: true });
    socket.once('open', () => {
      resolve();
      if (signal.aborted) socket.close();
    });
    // Later ones are followed by 'close', which says enough.
    socket.on('error', reject);
  });
}

function overSocket(socket: WebSocket, signal: AbortSignal): Inspector {
  const waiting = new Map<number, Waiting>();
  const listeners = new Map<string, (params: Reply) => void>();
  let lastId = 0;
  socket.on('message', (data: RawData) => {
    const { id, method, params, result, error } = JSON.parse(String(data)) as Message;
    if (method !== undefined) return listeners.get(method)?.(params ?? {});
    if (id === undefined) return;
    const call = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) call?.resolve(result ?? {});
    else call?.reject(new Error(error.message));
  });
  const fail = (error: Error): void => {
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };
  socket.once('close', () => fail(new Error('its inspector closed the connection')));
  signal.addEventListener('abort', () => fail(late()), { once: true });
  return {
    call: (method, params = {}) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(late());
        const id = ++lastId;
        waiting.set(id, { resolve, reject });
        socket.send(JSON.stringify({ id, method, params }));
      }),
    on: (method, listener) => void listeners.set(method, listener),
    close: () => socket.close(),
  };
}

function late(): Error {
  return new Error('its inspector does not answer');
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Reply;
  readonly result?: Reply;
  readonly error?: { readonly message: string };
}
