import type { Reload } from '../observations.js';
import {
  atFullStrength,
  cutEndings,
  eventsSince,
  handlersOf,
  holdRequests,
  loadOf,
  type Scene,
  until,
} from '../scene.js';

/** A reload while requests are in flight. */
export async function reload(scene: Scene): Promise<Reload> {
  const { client, sandbox } = scene;
  const began = scene.now();
  const load = loadOf(scene);
  const held = await holdRequests(scene);
  let isOver = false;
  const draining = () =>
    eventsSince(scene, { type: 'worker', at: began }).some(
      ({ pid, phase }) => phase === 'draining' && pid !== null && held.pids.includes(pid),
    );
  // They are in flight when their worker is to go.
  void until(() => isOver || draining()).then(() => held.release(0));
  const record = await client
    .reload({ by: 'rehearse', soak: false, rollback: true }, () => {})
    .finally(() => {
      isOver = true;
    });
  await atFullStrength(scene);
  return {
    act: 'reload',
    record,
    load: await load.stop(),
    held: await held.result(),
    endless: cutEndings(scene),
    drainTimeoutMs: scene.drainTimeoutMs,
    handlers: handlersOf(sandbox),
  };
}
