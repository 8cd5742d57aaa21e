import type { EventEmitter } from 'node:events';
import { exitCodes } from '../errors.js';
import { handleOf, type RawHandle } from '../protocol/handles.js';
import {
  channelEvent,
  type MasterMessage,
  parseMasterMessage,
  seal,
  type WorkerMessage,
  withLostHandle,
} from '../protocol/messages.js';

/** The IPC channel to the master. */
export interface Channel {
  /** Resolves once the message is written. Does nothing where the master is gone. */
  send(message: WorkerMessage): Promise<void>;
  /** Sends a message with a connection, which stays open here. Resolves to whether it was written. */
  hand(message: WorkerMessage, connection: RawHandle): Promise<boolean>;
  /** Also tells the master that this worker reads messages from now on. A connection may get lost on its way. */
  onMessage(handle: (message: MasterMessage, connection: RawHandle | undefined) => void): void;
  onLost(handle: () => void): void;
  /** Makes the channel keep the process running; unref() undoes it. */
  ref(): void;
  unref(): void;
}

export function openChannel(worker: NodeJS.Process): Channel {
  const send = (message: WorkerMessage): Promise<void> =>
    new Promise((resolve) => {
      if (!worker.connected) return resolve();
      worker.send?.(seal(message), undefined, undefined, () => resolve());
    });
  return {
    send,
    hand: (message, connection) =>
      new Promise((resolve) => {
        if (!worker.connected) return resolve(false);
        // Node passes on its own handles unchanged; it would close a net.Socket here and tell its server.
        worker.send?.(seal(message), connection as never, undefined, (error) => resolve(error === null));
      }),
    onMessage: (handle) => {
      (worker as EventEmitter).on(channelEvent, (raw: unknown, connection: unknown) => {
        const parsed = parseMasterMessage(withLostHandle(raw, connection));
        if (parsed.kind === 'message') handle(parsed.message, handleOf(connection));
      });
      void send({ type: 'hello' });
    },
    onLost: (handle) => void worker.once('disconnect', handle),
    ref: () => worker.channel?.ref(),
    unref: () => worker.channel?.unref(),
  };
}

/** Connections of this worker on their way to the master. */
export interface Away {
  /** @param back called if the master does not get the connection: this worker has the only copy again */
  give(message: Parcel, connection: { readonly handle: RawHandle; readonly back: () => void }): Promise<void>;
  onHanded(message: Extract<MasterMessage, { type: 'handed' }>): void;
}

/**
 * Keeps a connection open here until the master confirms that it arrived: the kernel silently drops a connection sent
 * to a process that has no free file descriptor.
 */
export function createAway(channel: Pick<Channel, 'send' | 'hand' | 'onLost'>): Away {
  const away = new Map<number, (came: boolean) => void>();
  let lastId = 0;
  // The master confirms before it does anything else: a master that ended without confirming has not read the
  // message.
  channel.onLost(() => {
    for (const settle of [...away.values()]) settle(false);
  });
  return {
    give: (message, { handle, back }) =>
      new Promise((resolve) => {
        const id = ++lastId;
        const settle = (came: boolean): void => {
          if (!away.delete(id)) return;
          clearTimeout(timer);
          if (came) handle.close();
          else back();
          resolve();
        };
        const timer = setTimeout(settle, answerLimit, true).unref();
        away.set(id, settle);
        void channel.hand({ ...message, id }, handle).then((sent) => sent || settle(false));
      }),
    onHanded: ({ id, came }) => away.get(id)?.(came),
  };
}

/** Tells the master that this build cannot run under it, and ends the process. */
export function refuse(message: string): void {
  const exitCode = exitCodes.tryAgain;
  const failure = { message, exitCode, lasting: true };
  process.send?.(seal({ type: 'failed', failure }), () => process.exit(exitCode));
}

type Parcel = Omit<Extract<WorkerMessage, { type: 'hand-on' }>, 'id'>;

/**
 * ms. The master confirms as soon as it reads the message. If it has not after this time, its event loop is blocked
 * and the connection still waits in the channel. It counts as arrived: if this worker took it back, two workers would
 * read from it.
 */
const answerLimit = 10_000;
