import type { EventEmitter } from 'node:events';
import { handleOf, type RawHandle } from '../protocol/handles.js';
import {
  channelEvent,
  type MasterMessage,
  parseMasterMessage,
  seal,
  type WorkerMessage,
  withLostHandle,
} from '../protocol/messages.js';

/** The line to the master. */
export interface Channel {
  /** Resolves once the message is written; a lost master makes it a no-op. */
  send(message: WorkerMessage): Promise<void>;
  /** With a connection, which stays open here. Resolves to whether it was written. */
  hand(message: WorkerMessage, connection: RawHandle): Promise<boolean>;
  /** Also tells the master that messages are heard from now on. A connection may have been lost on its way. */
  onMessage(handle: (message: MasterMessage, connection: RawHandle | undefined) => void): void;
  onLost(handle: () => void): void;
  /** Whether the channel alone keeps the process running. */
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
        // Node passes its own handles on as they are: a net.Socket would be closed here, and watched by its server.
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

/** Connections of this worker that are on their way to the master. */
export interface Away {
  /** @param back called if the master does not have it: this worker has the only copy again */
  give(message: Parcel, connection: { readonly handle: RawHandle; readonly back: () => void }): Promise<void>;
  onHanded(message: Extract<MasterMessage, { type: 'handed' }>): void;
}

/**
 * A connection stays open here until the master says that it has come: the kernel drops what a process without a free file
 * descriptor is sent, and tells nobody.
 */
export function createAway(channel: Pick<Channel, 'send' | 'hand' | 'onLost'>): Away {
  const away = new Map<number, (came: boolean) => void>();
  let lastId = 0;
  // It answers before it does anything else: one that is gone without an answer has not read the message.
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

type Parcel = Omit<Extract<WorkerMessage, { type: 'hand-on' }>, 'id'>;

/**
 * ms. The master answers as soon as it reads the message. Without an answer for so long its event loop is blocked, and the
 * message with the connection still waits in its channel: it counts as come, because taking the connection back would have
 * two workers read from it.
 */
const answerLimit = 10_000;
