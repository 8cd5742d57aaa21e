import { constants, openSync } from 'node:fs';

/** The master side of a new pseudo-terminal, which is a terminal too (pty(7)); null where there is none. */
export function openTerminal(): number | null {
  try {
    return openSync('/dev/ptmx', constants.O_RDWR | constants.O_NOCTTY);
  } catch {
    return null;
  }
}
