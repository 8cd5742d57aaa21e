import { chmodSync, rmSync } from 'node:fs';
import { Server, type Socket } from 'node:net';
import { type CellSettings, cellIsFull, cellTakes, type Introduction } from '../../protocol/cell.js';
import { isTls } from '../connections/follow-server.js';
import { untracked } from '../connections/servers.js';

/** Where the other workers of the service pass suspected requests on to this one: see protocol/cell.ts. */
export interface Door {
  /** Takes nothing more. */
  close(): void;
}

/** An introduction is a few hundred bytes. */
const longestIntroduction = 4_096;
/** The other side is a worker of this service: it says what it wants at once, ms. */
const introductionTime = 10_000;

/**
 * @param serverFor the app's server for a request; null: it has none
 * @throws the system's error where the socket cannot be opened
 */
export async function openDoor(
  { socket: path, requests }: CellSettings,
  serverFor: (introduction: Introduction) => Server | null,
): Promise<Door> {
  let taken = 0;
  const greet = (socket: Socket): void => {
    taken += 1;
    socket.once('close', () => {
      taken -= 1;
    });
    // The app's server has its own; until then a broken connection is one that asks for nothing.
    socket.on('error', () => {});
    if (taken > requests) return void socket.resume().end(cellIsFull);
    const late = setTimeout(() => socket.destroy(), introductionTime);
    let text = '';
    const read = (chunk: Buffer): void => {
      text += chunk.toString('utf8');
      if (!text.endsWith('\n')) {
        if (text.length > longestIntroduction) socket.destroy();
        return;
      }
      clearTimeout(late);
      socket.off('data', read);
      socket.pause();
      take(socket, parsed(text));
    };
    socket.on('data', read);
    socket.once('close', () => clearTimeout(late));
  };
  const take = (socket: Socket, introduction: Introduction | null): void => {
    const server = introduction === null ? null : serverFor(introduction);
    if (introduction === null || server === null) return void socket.destroy();
    disguise(socket, introduction);
    // The worker has had the TLS of the connection: to the app's server it is one whose handshake is done.
    server.emit(isTls(server) ? 'secureConnection' : 'connection', socket);
    socket.write(cellTakes);
    socket.resume();
  };
  const door = new Server({ allowHalfOpen: true }, greet);
  untracked.add(door);
  rmSync(path, { force: true });
  await new Promise<void>((resolve, reject) => {
    door.once('error', reject);
    door.listen({ path, exclusive: true }, () => {
      door.off('error', reject);
      resolve();
    });
  });
  chmodSync(path, 0o600);
  return { close: () => void door.close() };
}

function parsed(text: string): Introduction | null {
  try {
    return JSON.parse(text) as Introduction;
  } catch {
    return null;
  }
}

/** To the app the connection is that of the client. */
function disguise(socket: Socket, { remote, local, encrypted }: Introduction): void {
  const shown = {
    remoteAddress: remote.address,
    remotePort: remote.port,
    remoteFamily: remote.family,
    localAddress: local.address,
    localPort: local.port,
    localFamily: local.family,
    ...(encrypted ? { encrypted: true } : {}),
  };
  for (const [name, value] of Object.entries(shown)) {
    Object.defineProperty(socket, name, { value, configurable: true, enumerable: false, writable: true });
  }
}
