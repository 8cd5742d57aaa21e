import type { Socket } from 'node:net';
import { ours } from '../connections/own-listeners.js';
import { failRequestTimeout } from '../node-internals.js';

/** Connections whose first head is not here yet, though some of its time has passed with who read them before. */
export interface Overdue {
  /** Node counts from now on, which would be later than `left`, ms, allows. */
  watch(socket: Socket, left: number): void;
  /** Its request is here, or it left HTTP. */
  forget(socket: Socket): void;
  any(): boolean;
}

export function createOverdue(): Overdue {
  const timers = new Map<Socket, NodeJS.Timeout>();
  const forget = (socket: Socket): void => {
    clearTimeout(timers.get(socket));
    timers.delete(socket);
  };
  const onClose = ours(function (this: Socket): void {
    forget(this);
  });
  return {
    watch: (socket, left) => {
      const fail = (): void => {
        forget(socket);
        if (!socket.destroyed) failRequestTimeout(socket);
      };
      timers.set(socket, setTimeout(fail, left).unref());
      socket.on('close', onClose);
    },
    forget,
    any: () => timers.size > 0,
  };
}
