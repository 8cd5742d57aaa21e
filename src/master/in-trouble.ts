import type { Trouble } from './hand-over.js';

export interface InTroubleSeam {
  readonly warn: (message: string, fields: { readonly connections: number; readonly total: number }) => void;
  readonly after: (delay: number, act: () => void) => void;
}

const texts: Readonly<Record<Trouble, string>> = {
  'to-master':
    'a connection did not reach the master, which has no file descriptor left: it stays with its worker',
  'to-worker':
    'a connection did not reach a worker, which has no file descriptor left: another worker gets it',
  late: 'a worker did not take a connection that was handed to it in time: another worker gets it',
  ended: 'a connection that no worker took was closed',
};

/** ms */
const quiet = 60_000;

/** Tells of connections in trouble on their way: of the first at once, of more once a minute. */
export function createInTrouble({ warn, after }: InTroubleSeam): (trouble: Trouble) => void {
  const totals = new Map<Trouble, number>();
  const untold = new Map<Trouble, number>();
  const tell = (trouble: Trouble): void => {
    const connections = untold.get(trouble) ?? 0;
    untold.delete(trouble);
    if (connections === 0) return;
    warn(texts[trouble], { connections, total: totals.get(trouble) ?? 0 });
    untold.set(trouble, 0);
    after(quiet, () => tell(trouble));
  };
  return (trouble) => {
    totals.set(trouble, (totals.get(trouble) ?? 0) + 1);
    const isFirst = !untold.has(trouble);
    untold.set(trouble, (untold.get(trouble) ?? 0) + 1);
    if (isFirst) tell(trouble);
  };
}
