import type { Duplex } from 'node:stream';

/** One line of JSON a message, over a socket between two masters. */
export interface LineChannel {
  /** Lost where the other is gone. */
  send(message: object): void;
}

export interface LineOutlets {
  readonly onLine: (line: string) => void;
  /** The other is gone; once. */
  readonly onGone: () => void;
}

export function lineChannel(socket: Duplex, { onLine, onGone }: LineOutlets): LineChannel {
  let rest = '';
  socket.setEncoding('utf8');
  socket.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line);
  });
  // It closes after that.
  socket.on('error', () => {});
  socket.once('close', onGone);
  return {
    send: (message) => {
      if (socket.writable) socket.write(`${JSON.stringify(message)}\n`);
    },
  };
}
