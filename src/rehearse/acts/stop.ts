import { readFileSync } from 'node:fs';
import type { Stop } from '../observations.js';
import {
  cutEndings,
  handlersOf,
  holdMs,
  holdRequests,
  loadOf,
  patience,
  type Scene,
  until,
} from '../scene.js';
import { openWebSocket } from '../web-socket.js';

/** SIGTERM for the whole service, while requests are in flight. Nothing can be asked of the daemon afterwards. */
export async function stop(scene: Scene): Promise<Stop> {
  const { daemon, sandbox } = scene;
  const webSocket = await openWebSocket(scene);
  const load = loadOf(scene);
  const held = await holdRequests(scene);
  const began = scene.now();
  process.kill(daemon.pid, 'SIGTERM');
  held.release(holdMs);
  await until(() => daemon.ended() !== null, patience + scene.drainTimeoutMs);
  const tookMs = scene.now() - began;
  const report = await load.stop();
  return {
    act: 'stop',
    load: report,
    held: await held.result(),
    exit: daemon.ended(),
    tookMs,
    endless: cutEndings(scene),
    drainTimeoutMs: scene.drainTimeoutMs,
    handlers: handlersOf(sandbox),
    left: (await sandbox.left()).map(nameOf),
    webSocket: webSocket === null ? null : await webSocket.ended,
  };
}

function nameOf(pid: number): string {
  try {
    return `${readFileSync(`/proc/${pid}/comm`, 'utf8').trim()} (pid ${pid})`;
  } catch {
    return `pid ${pid}`;
  }
}
