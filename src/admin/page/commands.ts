/** What the operator can do from here, and what keeps him from it. */
import type { RequestNote } from '../../protocol/requests.js';
import type { WorkerStats } from '../../protocol/stats.js';
import { type Doing, silentFor } from './diagnosis.js';
import { confirm, type Dialog, downloadLink, failure, openDialog, toast } from './dialogs.js';
import { element } from './dom.js';
import { showHistory } from './history-dialog.js';
import { command } from './link.js';
import { showProfile } from './profile-dialog.js';
import { showSnapshot } from './snapshot-dialog.js';
import type { Store } from './store.js';
import { bytes, duration } from './words.js';

export type Deed = 'reload' | 'abort' | 'scale' | 'restart' | 'stack' | 'profile' | 'heap-snapshot';

const mostSeconds = 300;
const mostWorkers = 1_024;
/** A snapshot beyond this is not read in the browser: its text would not fit. */
const mostSnapshot = 450 * 1024 * 1024;

export class Commands {
  readonly #store: Store;
  readonly #asked = new Set<number>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** Why something cannot be done now; null: it can. */
  against(deed: Deed, worker?: number): string | null {
    const { link, daemon, stats } = this.#store;
    if (link !== 'live') return 'The admin process does not answer.';
    if (daemon.state === 'lost' || stats === null) return 'The daemon does not answer.';
    if (stats.status === 'stopping') return 'The service is stopping.';
    if (deed === 'abort') {
      const { lastReload } = stats;
      return lastReload === null || lastReload.verdict !== null ? 'No reload is under way.' : null;
    }
    if (worker === undefined) return null;
    const found = this.#worker(worker);
    if (found === undefined) return `There is no process of worker ${worker} at the moment.`;
    if (deed === 'profile' || deed === 'heap-snapshot') {
      if (found.phase === 'starting') return `Worker ${worker} is still starting.`;
      if (silentFor(found) !== null) return `Worker ${worker} does not answer: ask for its stack.`;
    }
    if (deed === 'restart' && found.phase === 'starting') return `Worker ${worker} is starting already.`;
    return null;
  }

  /** Why nothing can be changed now; null: it can. */
  againstChange(): string | null {
    return this.against('reload');
  }

  againstDeploy(): string | null {
    const { underWay } = this.#store.operations.deploys ?? { underWay: null };
    return this.againstChange() ?? (underWay === null ? null : `A deploy is under way: ${underWay.id}.`);
  }

  againstRollback(release: string): string | null {
    const { current } = this.#store.operations.deploys ?? { current: null };
    return this.againstDeploy() ?? (release === current ? `${release} serves.` : null);
  }

  async deploy(): Promise<void> {
    const chosen = await confirm('Deploy what the source has?', {
      text: 'The release is fetched and built beside the one that serves, which serves on. Then the service reloads, and goes back where the new one fails.',
      yes: 'Deploy',
    });
    if (chosen !== null) begun(await command('/api/deploy', {}), 'Not deployed');
  }

  async rollback(release: string): Promise<void> {
    const chosen = await confirm(`Roll back to ${release}?`, {
      text: 'The service reloads with that release, as it was built then. Requests are answered all the while.',
      yes: 'Roll back',
    });
    if (chosen !== null) begun(await command('/api/rollback', { release }), 'Not rolled back');
  }

  async runJob(job: string): Promise<void> {
    const chosen = await confirm(`Run ${job} now?`, {
      text: 'Beside its schedule. Where a run of it is not over, its overlap setting decides.',
      yes: 'Run now',
    });
    if (chosen === null) return;
    const answer = await command('/api/jobs/N/run', {}, job);
    if (!answer.accepted) return toast(`Not run: ${answer.reason}`);
    await showHistory(this.#store, job, answer.run.id);
  }

  jobHistory(job: string): Promise<void> {
    return showHistory(this.#store, job, null);
  }

  #worker(id: number): WorkerStats | undefined {
    const own = this.#store.stats?.workers.filter((worker) => worker.id === id && worker.pid !== null) ?? [];
    return own.find(({ phase }) => phase === 'ready') ?? own[0];
  }

  async do(deed: Deed, worker = 0): Promise<void> {
    const reason = this.against(deed, worker === 0 ? undefined : worker);
    if (reason !== null) return toast(reason);
    switch (deed) {
      case 'reload':
        return this.#reload();
      case 'abort':
        return this.#abort();
      case 'scale':
        return this.#scale();
      case 'restart':
        return this.#restart(worker);
      case 'stack':
        return this.#stack(worker);
      case 'profile':
        return this.#profile(worker);
      case 'heap-snapshot':
        return this.#heapSnapshot(worker);
    }
  }

  async #reload(): Promise<void> {
    const chosen = await confirm('Reload the service?', {
      text: 'Workers are replaced one by one, each new one before its old one ends. Requests are answered all the while.',
      yes: 'Reload',
      fields: [
        { name: 'soak', label: 'Watch the first new worker for a while', kind: 'checkbox', value: true },
        { name: 'rollback', label: 'Go back where the new workers fail', kind: 'checkbox', value: true },
      ],
    });
    if (chosen === null) return;
    const answer = await command('/api/reload', {
      soak: chosen.soak === true,
      rollback: chosen.rollback === true,
    });
    if (!answer.accepted) return toast(`Not reloaded: ${answer.reason}`);
    toast(answer.message);
    if (answer.needRestart.length > 0) {
      toast(`Only a restart of the service changes: ${answer.needRestart.join(', ')}`);
    }
    document.getElementById('reloads')?.scrollIntoView({ block: 'start' });
  }

  async #abort(): Promise<void> {
    const chosen = await confirm('Abort the reload?', {
      text: 'The old generation serves on; workers of the new one drain and end.',
      yes: 'Abort the reload',
    });
    if (chosen !== null) tell(await command('/api/abort', {}), 'Not aborted');
  }

  async #scale(): Promise<void> {
    const { wanted = 1, autoscale } = this.#store.stats ?? {};
    const until =
      autoscale === undefined
        ? 'Until the next restart of the service; the configuration is not changed.'
        : 'It follows the load no longer, until the next reload or rom-agent scale auto.';
    const chosen = await confirm('How many workers?', {
      text: `There are to be ${wanted} now. ${until}`,
      yes: 'Scale',
      fields: [{ name: 'to', label: 'Workers', kind: 'number', value: wanted, least: 1, most: mostWorkers }],
    });
    if (chosen !== null) tell(await command('/api/scale', { to: Number(chosen.to) }), 'Not scaled');
  }

  async #restart(worker: number): Promise<void> {
    const chosen = await confirm(`Restart worker ${worker}?`, {
      text: 'A new process takes its place before the old one drains and ends.',
      yes: 'Restart',
    });
    if (chosen !== null) tell(await command('/api/workers/N/restart', {}, worker), 'Not restarted');
  }

  /** What a worker that does not answer is doing, found out once for each process that hangs. */
  async findOut(worker: WorkerStats): Promise<void> {
    const { id, pid } = worker;
    if (id === null || pid === null || this.#asked.has(pid)) return;
    this.#asked.add(pid);
    if (this.#asked.size > 500) this.#asked.clear();
    const answer = await command('/api/workers/N/stack', {}, id);
    if (answer.accepted && answer.pid === pid) this.#store.doing.set(pid, doingOf(answer));
    else if (!answer.accepted) setTimeout(() => this.#asked.delete(pid), 3_000);
  }

  async #stack(worker: number): Promise<void> {
    const dialog = openDialog(`What worker ${worker} does now`, { wide: true });
    const again = element(
      'button',
      { class: 'button', attributes: { type: 'button' }, click: () => void ask() },
      'Ask again',
    );
    dialog.ends.prepend(again);
    const ask = async (): Promise<void> => {
      dialog.body.replaceChildren(
        element('p', { class: 'muted', attributes: { role: 'status' } }, 'Asking…'),
      );
      const answer = await command('/api/workers/N/stack', {}, worker);
      if (!dialog.open) return;
      if (!answer.accepted) return dialog.body.replaceChildren(failure(answer.reason));
      const { state, at, stack, requests, detail, pid } = answer;
      const found = this.#worker(worker);
      if (found !== undefined && silentFor(found) !== null) this.#store.doing.set(pid, doingOf(answer));
      const key = at === null ? stateWords[state] : `${stateWords[state]} in ${at}`;
      dialog.body.replaceChildren(
        element('p', { class: 'key-line' }, `Worker ${worker} (pid ${pid}) ${key}`),
        ...(detail === null ? [] : [element('p', {}, detail)]),
        ...(stack === null
          ? []
          : [element('pre', { attributes: { tabindex: '0', 'aria-label': 'Stack' } }, stack)]),
        ...requestsList(requests),
      );
    };
    await ask();
  }

  async #profile(worker: number): Promise<void> {
    const chosen = await confirm(`Profile worker ${worker}`, {
      text: 'V8 notes a thousand times a second what the worker runs. It serves on, a little slower.',
      yes: 'Profile',
      fields: [{ name: 'seconds', label: 'Seconds', kind: 'number', value: 10, least: 1, most: mostSeconds }],
    });
    if (chosen === null) return;
    const seconds = Number(chosen.seconds);
    const dialog = openDialog(`CPU profile of worker ${worker}`, { wide: true });
    waits(dialog, `Profiling for ${duration(seconds * 1_000)}…`, seconds);
    const answer = await command('/api/workers/N/profile', { seconds }, worker);
    if (!answer.accepted) return dialog.body.replaceChildren(failure(answer.reason));
    if (!dialog.open) return toast(`The profile of worker ${worker} is below “Evidence”.`);
    await showProfile(dialog, answer.name);
  }

  async #heapSnapshot(worker: number): Promise<void> {
    const chosen = await confirm(`Heap snapshot of worker ${worker}?`, {
      text: 'The worker stops while it writes, about a second for each 100 MiB, and needs as much memory again. The file has whatever the app had in memory, passwords too.',
      yes: 'Take a snapshot',
    });
    if (chosen === null) return;
    const dialog = openDialog(`Heap snapshot of worker ${worker}`, { wide: true });
    waits(dialog, 'The worker writes its heap…', null);
    const answer = await command('/api/workers/N/heap-snapshot', {}, worker);
    if (!answer.accepted) return dialog.body.replaceChildren(failure(answer.reason));
    if (!dialog.open) return toast(`The snapshot of worker ${worker} is below “Evidence”.`);
    await this.openSnapshot(dialog, answer.name, answer.bytes);
  }

  async openSnapshot(dialog: Dialog, name: string, size: number): Promise<void> {
    if (size <= mostSnapshot) return showSnapshot(dialog, name, size);
    dialog.body.replaceChildren(
      element(
        'p',
        {},
        `The snapshot has ${bytes(size)}: too much for this page. Download it, and open it in Chrome's developer tools, Memory.`,
      ),
      element('p', {}, downloadLink(name)),
    );
  }
}

function begun(
  answer:
    | { readonly accepted: true; readonly message: string }
    | { readonly accepted: false; readonly reason: string },
  failed: string,
): void {
  tell(answer, failed);
  if (answer.accepted) document.getElementById('deploys')?.scrollIntoView({ block: 'start' });
}

const stateWords = {
  running: 'runs JavaScript',
  stopped: 'is stopped by a signal or a debugger',
  blocked: 'waits in a system call',
  starved: 'would run, but gets no CPU',
  idle: 'is idle: its event loop waits for something to do',
  unknown: 'could not be looked into',
} as const;

function doingOf(answer: {
  readonly at: string | null;
  readonly state: string;
  readonly detail: string | null;
  readonly requests: readonly RequestNote[] | null;
}): Doing {
  const { at, state, detail, requests } = answer;
  return { at, state, detail, requests: (requests ?? []).map(({ method, path }) => `${method} ${path}`) };
}

function requestsList(requests: readonly RequestNote[] | null): readonly HTMLElement[] {
  if (requests === null)
    return [element('p', { class: 'muted' }, 'Its requests in flight could not be asked for.')];
  if (requests.length === 0) return [element('p', { class: 'muted' }, 'No request is in flight there.')];
  return [
    element('h3', {}, 'Requests in flight'),
    element(
      'ul',
      { class: 'files' },
      ...requests.map(({ method, path, ageMs }) =>
        element(
          'li',
          {},
          element('code', {}, `${method} ${path}`),
          element('span', { class: 'muted' }, duration(ageMs)),
        ),
      ),
    ),
  ];
}

/** @param seconds how long it takes; null: unknown */
function waits(dialog: Dialog, text: string, seconds: number | null): void {
  const bar = element('progress', { attributes: { 'aria-label': text } });
  dialog.body.replaceChildren(element('p', { attributes: { role: 'status' } }, text), bar);
  if (seconds === null) return;
  const began = performance.now();
  bar.max = seconds * 1_000;
  const timer = setInterval(() => {
    if (!bar.isConnected) return clearInterval(timer);
    bar.value = Math.min(bar.max, performance.now() - began);
  }, 250);
}

function tell(
  answer:
    | { readonly accepted: true; readonly message: string }
    | { readonly accepted: false; readonly reason: string },
  failed: string,
): void {
  toast(answer.accepted ? answer.message : `${failed}: ${answer.reason}`);
}
