import type { RawHandle } from '../../protocol/handles.js';
import type { MasterMessage, WorkerMessage } from '../../protocol/messages.js';
import type { Channel } from '../channel.js';

/** Connections of this worker that are on their way to the master. */
export interface Away {
  /** @param back the master has not got it, and this worker has the only copy again */
  give(message: Parcel, connection: { readonly handle: RawHandle; readonly back: () => void }): Promise<void>;
  onHanded(message: Extract<MasterMessage, { type: 'handed' }>): void;
}

type Parcel = Omit<Extract<WorkerMessage, { type: 'hand-on' }>, 'id'>;

/** The master answers as soon as it reads. Where its event loop is blocked for so long, ms, it has yet to read the message. */
const longest = 10_000;

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
        const timer = setTimeout(settle, longest, true).unref();
        away.set(id, settle);
        void channel.hand({ ...message, id }, handle).then((sent) => sent || settle(false));
      }),
    onHanded: ({ id, came }) => away.get(id)?.(came),
  };
}
