import type { RawHandle } from '../../protocol/handles.js';
import type { MasterMessage, WorkerMessage } from '../../protocol/messages.js';
import type { Channel } from '../channel.js';

/** Connections of this worker that are on their way to the master. */
export interface Away {
  /** @param back called if the master does not have it: this worker has the only copy again */
  give(message: Parcel, connection: { readonly handle: RawHandle; readonly back: () => void }): Promise<void>;
  onHanded(message: Extract<MasterMessage, { type: 'handed' }>): void;
}

type Parcel = Omit<Extract<WorkerMessage, { type: 'hand-on' }>, 'id'>;

/**
 * ms. The master answers as soon as it reads the message. Without an answer for so long its event loop is blocked, and the
 * message with the connection still waits in its channel: it counts as come, because taking the connection back would have
 * two workers read from it.
 */
const answerLimit = 10_000;

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
