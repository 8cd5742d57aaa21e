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
