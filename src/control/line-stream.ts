import type { ServerResponse } from 'node:http';
import { commonHeaders } from './answers.js';
import { heartbeatInterval, linesType } from './protocol.js';

/** Bytes that may wait for a client; who lets more wait is cut off. A single line may be longer. */
export const mostWaiting = 256 * 1024;

/** An answer of JSON documents, one a line. Once it is over, writing does nothing. */
export interface LineStream {
  write(value: unknown): void;
  end(): void;
  /** Calls back once: the stream has ended, or the client is gone or too slow. It may have been over for long. */
  onOver(call: () => void): void;
}

/**
 * Begins the answer: its headers are out at once, and the client knows that it misses nothing from here on.
 *
 * @param heartbeat ms between two blank lines
 */
export function openLineStream(response: ServerResponse, heartbeat = heartbeatInterval): LineStream {
  const { socket } = response.req;
  const calls: (() => void)[] = [];
  let over = socket.destroyed;
  const finish = (): void => {
    over = true;
    clearInterval(timer);
    socket.off('close', finish);
    for (const call of calls.splice(0)) call();
  };
  const send = (line: string): void => {
    if (over) return;
    if (response.writableLength > mostWaiting) socket.destroy();
    else response.write(line);
  };
  const timer = setInterval(() => send('\n'), heartbeat);
  response.once('close', finish);
  // A pipelined request waits without a socket of its own, and then its response closes with no event.
  socket.once('close', finish);
  response.writeHead(200, { ...commonHeaders, 'Content-Type': linesType });
  response.flushHeaders();
  if (over) finish();
  return {
    write: (value) => send(`${JSON.stringify(value)}\n`),
    end: () => {
      response.end();
      finish();
    },
    onOver: (call) => {
      if (over) call();
      else calls.push(call);
    },
  };
}
