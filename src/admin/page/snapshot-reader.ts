/** The thread that reads heap snapshots. */
import { isSnapshot } from '../../heap/snapshot.js';
import { summarize } from '../../heap/summary.js';
import type { Told } from './snapshot-dialog.js';

const port = self as unknown as {
  onmessage: ((event: MessageEvent<string>) => void) | null;
  postMessage(told: Told): void;
};

port.onmessage = ({ data }) => {
  void read(data).then((told) => port.postMessage(told));
};

async function read(url: string): Promise<Told> {
  try {
    const answer = await fetch(url);
    if (!answer.ok) return { error: `the admin process answers ${answer.status}` };
    const found: unknown = await answer.json();
    return isSnapshot(found) ? { summary: summarize(found) } : { error: 'the file is no heap snapshot' };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}
