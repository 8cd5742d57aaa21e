import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** A socket such as systemd's in NOTIFY_SOCKET: see sd_notify(3). */
export interface NotifySocket {
  readonly path: string;
  /** Resolves to when READY=1 arrived next, on the clock of performance.now(), ms. */
  ready(): Promise<number>;
  close(): void;
}

/** Node has no unix datagram sockets. */
const listener = `
import socket, sys
sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
sock.bind(sys.argv[1])
print('BOUND', flush=True)
while True:
    if b'READY=1' in sock.recv(8192).split(b'\\n'):
        print('READY', flush=True)
`;

export async function openNotifySocket(): Promise<NotifySocket> {
  const dir = mkdtempSync(join(tmpdir(), 'rom-agent-bench-'));
  const path = join(dir, 'notify');
  const child = spawn('python3', ['-c', listener, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  // One for each start.
  child.setMaxListeners(0);
  const lines = createInterface({ input: child.stdout });
  const next = (word: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const onLine = (line: string): void => {
        if (line !== word) return;
        lines.off('line', onLine);
        resolve(performance.now());
      };
      lines.on('line', onLine);
      child.once('error', reject);
      child.once('exit', () => reject(new Error('the listener for READY=1 ended')));
    });
  await next('BOUND');
  return {
    path,
    ready: () => next('READY'),
    close: () => {
      child.kill();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
