/*
 * Between a worker and the cell, for one request: the worker connects to the cell's unix socket and sends one line, an
 * Introduction as JSON. The cell answers with one character; behind `cellTakes` the connection is the client's as the
 * worker sees it, HTTP/1.1 with one request.
 */

/** What the cell is to show its app of the client's connection. */
export interface Introduction {
  /** Which server of the app: the port or the path that it listens on. */
  readonly on: number | string | null;
  readonly encrypted: boolean;
  readonly remote: Place;
  readonly local: Place;
}

export interface Place {
  readonly address?: string | undefined;
  readonly port?: number | undefined;
  readonly family?: string | undefined;
}

export const cellTakes = '+';
/** It has as many requests as it may. */
export const cellIsFull = '-';

/** Where a cell is, as the other workers are told. */
export interface CellPlace {
  /** Path of its unix socket; null: it does not serve at this moment. */
  readonly path: string | null;
  /** How long a request may take, ms. */
  readonly timeout: number;
}

/** What the worker that is a cell has to know. */
export interface CellSettings {
  /** Path of its unix socket. */
  readonly socket: string;
  /** How many requests it may have at once. */
  readonly requests: number;
}

/** What the app finds in its environment, and in no other worker's. */
export const cellVariable = 'ROM_CELL';

/** Bytes that the cell's sockets are longer than the control socket, at most. */
export const cellSuffixLength = 18;

/**
 * Beside the control socket. While another master takes the place of this one there are two, which count their workers anew.
 *
 * @param key of the worker that is the cell
 * @param master its PID
 */
export function cellSocketOf(controlSocket: string, key: number, master = process.pid): string {
  return `${controlSocket}.c${master.toString(36)}-${key}`;
}
