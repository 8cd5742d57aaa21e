// node idle-connections.js URL COUNT: opens so many connections, asks once on each, prints how many were answered, and
// keeps them until its input ends.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const [, , address = '', count = ''] = process.argv;
const url = new URL(address);
const request = `GET ${url.pathname} HTTP/1.1\r\nHost: bench\r\n\r\n`;
/** At a time, so that no queue of the kernel is full. */
const atOnce = 100;

const open = new Set<Socket>();
let left = Number(count);

async function opener(): Promise<void> {
  while (left > 0) {
    left -= 1;
    const socket = connect({ port: Number(url.port), host: '127.0.0.1' });
    socket.on('error', () => {}).on('close', () => open.delete(socket));
    try {
      await once(socket, 'connect', { signal: AbortSignal.timeout(30_000) });
      socket.write(request);
      await once(socket, 'data', { signal: AbortSignal.timeout(30_000) });
      open.add(socket);
    } catch {
      socket.destroy();
    }
  }
}

await Promise.all(Array.from({ length: atOnce }, opener));
process.stdout.write(`${open.size}\n`);
process.stdin.resume();
await once(process.stdin, 'end');
for (const socket of open) socket.destroy();
process.exit(0);
