import type { Socket } from 'node:net';

type Slotted = Socket & { [slot: symbol]: number | undefined };

/**
 * Sockets in no order. A Set would do, but one that is filled and emptied all the time leaves tables behind that keep
 * closed sockets from being collected young: measured, five times the promoted bytes under a connection per request.
 */
export class SocketList implements Iterable<Socket> {
  readonly #sockets: Slotted[] = [];
  /** Where the socket stands in this list: it may be in several. */
  readonly #slot = Symbol('slot');

  get size(): number {
    return this.#sockets.length;
  }

  /** False where it is in the list already. */
  add(socket: Socket): boolean {
    const slotted = socket as Slotted;
    if (slotted[this.#slot] !== undefined) return false;
    slotted[this.#slot] = this.#sockets.length;
    this.#sockets.push(slotted);
    return true;
  }

  delete(socket: Socket): boolean {
    const slotted = socket as Slotted;
    const slot = slotted[this.#slot];
    const last = this.#sockets.at(-1);
    if (slot === undefined || last === undefined) return false;
    this.#sockets[slot] = last;
    last[this.#slot] = slot;
    this.#sockets.pop();
    slotted[this.#slot] = undefined;
    return true;
  }

  /** Of those that are in the list now: it may change meanwhile. */
  [Symbol.iterator](): Iterator<Socket> {
    return this.#sockets.slice().values();
  }
}
