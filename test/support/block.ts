import assert from 'node:assert/strict';
import { connectInspector } from './inspector-client.js';
import { inspectorAt, watchListeners } from './inspector-port.js';
import { waitFor } from './wait.js';

/** With these in its environment a process of Node can be blocked, and says nothing about it. */
export const blockable = { NODE_OPTIONS: '--inspect-publish-uid=http --inspect-port=0' };

/** Has a process of Node do nothing from now on but run in a circle. */
export async function block(pid: number): Promise<void> {
  const signal = AbortSignal.timeout(20_000);
  const newListeners = watchListeners(pid, { platform: process.platform });
  process.kill(pid, 'SIGUSR1');
  const url = await waitFor('its inspector', async () => {
    for (const address of await newListeners()) {
      const found = await inspectorAt(address, signal);
      if (found !== null) return found;
    }
    return null;
  });
  assert.ok(url !== null);
  const inspector = await connectInspector({ url, signal, onDisconnected: () => {} });
  // It never answers.
  inspector.call('Runtime.evaluate', { expression: 'for (;;);' }).catch(() => {});
}
