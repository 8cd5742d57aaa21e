import type { JournalFile } from '../../src/backplane/embedded/journal.js';

/** A file in memory, which a crash leaves with what was synced and any part of the rest. */
export interface MemoryFile extends JournalFile {
  content(): Buffer;
  /** What a loss of power may leave. @param share of what was not synced, from 0 to 1 */
  afterCrash(share: number): MemoryFile;
  /** Bytes that it takes from now on; null: any number. */
  setRoom(bytes: number | null): void;
  failSyncs(fail: boolean): void;
  copies(): readonly Buffer[];
}

export function memoryFile(initial: Buffer = Buffer.alloc(0)): MemoryFile {
  let content = initial;
  let synced = initial.length;
  let room: number | null = null;
  let syncsFail = false;
  const copies: Buffer[] = [];
  const full = (): Error =>
    Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  return {
    read: async () => content,
    append: async (bytes) => {
      const fits = room === null ? bytes.length : Math.min(room, bytes.length);
      content = Buffer.concat([content, bytes.subarray(0, fits)]);
      if (room !== null) room -= fits;
      if (fits < bytes.length) throw full();
    },
    sync: async () => {
      if (syncsFail) throw Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' });
      synced = content.length;
    },
    truncate: async (bytes) => {
      if (room !== null) room += content.length - bytes;
      content = content.subarray(0, bytes);
      synced = Math.min(synced, bytes);
    },
    size: async () => content.length,
    replace: async (pieces) => {
      const next = Buffer.concat([...pieces]);
      if (room !== null && next.length > room) throw full();
      content = next;
      synced = next.length;
    },
    setAside: async (copy) => {
      copies.push(copy);
      return '/copy';
    },
    close: async () => {},
    content: () => content,
    afterCrash: (share) =>
      memoryFile(content.subarray(0, synced + Math.floor((content.length - synced) * share))),
    setRoom: (bytes) => {
      room = bytes;
    },
    failSyncs: (fail) => {
      syncsFail = fail;
    },
    copies: () => copies,
  };
}
