import { createRequire } from 'node:module';
import { type Koffi, unixDatagrams } from '../service-manager/unix-datagram.js';
import type { JournalFields } from './format.js';
import type { Fields } from './log.js';

/**
 * journald's native protocol, in which an entry has several lines and fields of its own
 * (https://systemd.io/JOURNAL_NATIVE_PROTOCOL).
 */
export interface Journal {
  /** null: there is no way to send an entry. */
  readonly open: () => JournalSender | null;
  /** What an entry with these fields is about. */
  readonly subject: (fields: Fields) => JournalFields;
}

export interface JournalSender {
  /** Whether journald has taken it: not where it is too large for a datagram, or where nobody is there or keeps up. */
  send(entry: Buffer): boolean;
  /**
   * Whether journald has still to read something. It finds the unit of an entry by the process, in /proc: one that ends
   * before is of no unit, and `journalctl -u` does not show what it said last.
   */
  hasUnread(): boolean;
}

/** @returns null where koffi cannot be loaded */
export function journalSocket(
  path = '/run/systemd/journal/socket',
  load: (name: string) => unknown = createRequire(import.meta.url),
): JournalSender | null {
  try {
    const { trySend, hasUnread } = unixDatagrams(load('koffi') as Koffi, path);
    return {
      send: (entry) => {
        try {
          return trySend(entry);
        } catch {
          return false;
        }
      },
      hasUnread,
    };
  } catch {
    return null;
  }
}

/** Opens a sender once for all logs of a process. */
export function sharedJournal(open: () => JournalSender | null = journalSocket): () => JournalSender | null {
  let sender: JournalSender | null | undefined;
  return () => {
    if (sender === undefined) sender = open();
    return sender;
  };
}
