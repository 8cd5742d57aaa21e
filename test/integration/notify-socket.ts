import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { openNotifySocket } from '../support/notify-socket.js';
import { hasCommand } from './run.js';
import { patience, temporaryDirectory } from './service.js';

/** For the options of a test. */
export const needsNotifySocket: { readonly skip?: string } = hasCommand('python3')
  ? {}
  : { skip: 'needs python3 for a datagram socket' };

/** One for the time of a test; `datagrams` are their texts. */
export async function notifySocket(
  t: TestContext,
): Promise<{ readonly path: string; readonly datagrams: readonly string[] }> {
  const socket = await openNotifySocket(join(temporaryDirectory(t), 'notify'), patience);
  t.after(socket.close);
  return {
    path: socket.path,
    get datagrams() {
      return socket.datagrams.map(({ text }) => text);
    },
  };
}
