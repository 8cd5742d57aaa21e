import { type MasterMessage, parseMasterMessage, seal, type WorkerMessage } from '../ipc/messages.js';

/** The line to the master. */
export interface Channel {
  /** Resolves once the message is written; a lost master makes it a no-op. */
  send(message: WorkerMessage): Promise<void>;
  /** Also tells the master that messages are heard from now on. */
  onMessage(handle: (message: MasterMessage) => void): void;
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
    onMessage: (handle) => {
      worker.on('message', (raw) => {
        const parsed = parseMasterMessage(raw);
        if (parsed.kind === 'message') handle(parsed.message);
      });
      void send({ type: 'hello' });
    },
    onLost: (handle) => void worker.once('disconnect', handle),
    ref: () => worker.channel?.ref(),
    unref: () => worker.channel?.unref(),
  };
}
