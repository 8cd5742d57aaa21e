/** The workers as they are, one a row. */
import type { WorkerStats } from '../../protocol/stats.js';
import type { Commands, Deed } from './commands.js';
import { silentFor } from './diagnosis.js';
import { toast } from './dialogs.js';
import { Button, byId, element, keep, put, say } from './dom.js';
import type { Store } from './store.js';
import { bytes, count, duration, inWords, percent, plural, wholeSeconds } from './words.js';

const labels = ['Age', 'Requests/s', 'In flight', 'Loop busy', 'Loop delay', 'Heap', 'RSS', 'Restarts'];
const deeds: readonly (readonly [Deed, string])[] = [
  ['stack', 'Stack'],
  ['profile', 'Profile'],
  ['heap-snapshot', 'Heap'],
  ['restart', 'Restart'],
];
const busy = 0.9;

interface Cells {
  readonly name: HTMLElement;
  readonly pid: HTMLElement;
  readonly state: HTMLElement;
  readonly where: HTMLElement;
  readonly values: readonly HTMLElement[];
  readonly meter: HTMLElement;
  readonly buttons: readonly (readonly [Deed, Button])[];
}

const cellsOf = new WeakMap<Element, Cells>();

/** On a narrow screen a row is a card, by which a browser forgets that it is a table: the roles say it. */
export function markTable(): void {
  const rows = byId('worker-rows');
  const table = rows.closest('table');
  if (table === null) return;
  put(table, 'role', 'table');
  for (const group of table.children) put(group, 'role', 'rowgroup');
  for (const line of table.querySelectorAll('thead tr')) put(line, 'role', 'row');
  for (const cell of table.querySelectorAll('th')) put(cell, 'role', 'columnheader');
}

export function showWorkers(store: Store, commands: Commands): void {
  const workers = [...(store.stats?.workers ?? [])].sort(
    (a, b) =>
      (a.id ?? Number.POSITIVE_INFINITY) - (b.id ?? Number.POSITIVE_INFINITY) || a.generation - b.generation,
  );
  byId('no-workers').hidden = workers.length > 0;
  const { stats } = store;
  say(
    byId('workers-note'),
    stats === null
      ? '\u00a0'
      : `${plural(workers.length, 'process', 'processes')}, master pid ${stats.master.pid}, Node ${stats.master.node.replace(/^v/, '')}`,
  );
  keep(byId('worker-rows'), workers, {
    key: ({ id, pid, generation }) => `${id} ${pid ?? `none ${generation}`}`,
    make: (worker) => row(worker, commands),
    update: (made, worker) => update(made, worker, store, commands),
  });
}

function row({ id }: WorkerStats, commands: Commands): HTMLTableRowElement {
  const name = element('strong');
  const pid = element('span');
  const state = element('span', { class: 'state' });
  const where = element('div', { class: 'muted' });
  const values = labels.map(() => element('span'));
  const meter = element('i');
  const buttons =
    id === null
      ? []
      : deeds.map(
          ([deed, label]) =>
            [
              deed,
              new Button(label, {
                class: 'button quiet',
                press: () => void commands.do(deed, id),
                refused: toast,
              }),
            ] as const,
        );
  for (const [, button] of buttons)
    button.element.setAttribute('aria-label', `${button.element.textContent} of worker ${id}`);
  const cell = (...children: readonly (Node | string)[]) =>
    element('td', { attributes: { role: 'cell' } }, ...children);
  const made = element(
    'tr',
    { attributes: { role: 'row' } },
    cell(name, pid),
    cell(state, where),
    ...values.map((value, index) => {
      const one = cell(
        value,
        ...(labels[index] === 'Loop busy' ? [element('span', { class: 'meter' }, meter)] : []),
      );
      one.dataset.label = labels[index] ?? '';
      return one;
    }),
    cell(element('div', { class: 'row-actions' }, ...buttons.map(([, button]) => button.element))),
  );
  cellsOf.set(made, { name, pid, state, where, values, meter, buttons });
  return made;
}

function update(made: Element, worker: WorkerStats, store: Store, commands: Commands): void {
  const cells = cellsOf.get(made);
  if (cells === undefined) return;
  const { id, pid, generation, phase, health } = worker;
  say(cells.name, id === null ? 'Spare' : `Worker ${id}`);
  say(cells.pid, `${pid === null ? 'no process' : `pid ${pid}`}, gen. ${generation}`);
  const silent = silentFor(worker);
  const hung = silent !== null && phase !== 'dying';
  put(cells.state, 'data-state', hung ? 'hung' : phase === 'ready' && health !== 'healthy' ? health : phase);
  say(
    cells.state,
    hung ? `hung for ${wholeSeconds(silent / 1_000)}` : phase === 'ready' ? health : phaseWords[phase],
  );
  const doing = pid === null ? undefined : store.doing.get(pid);
  say(cells.where, doing?.at === null || doing === undefined ? '' : `in ${inWords(doing.at)}`);
  const fresh = phase !== 'starting';
  const texts = [
    wholeSeconds(worker.uptimeSeconds),
    fresh ? count(worker.requestsPerSecond) : '–',
    fresh ? count(worker.inFlight) : '–',
    fresh ? percent(worker.eventLoopUtilization) : '–',
    fresh ? duration(worker.eventLoopDelayMs) : '–',
    worker.heapUsedBytes > 0 ? bytes(worker.heapUsedBytes) : '–',
    worker.rssBytes > 0 ? bytes(worker.rssBytes) : '–',
    count(worker.restarts),
  ];
  for (const [index, text] of texts.entries()) {
    const value = cells.values[index];
    if (value !== undefined) say(value, text);
  }
  const share = fresh ? Math.min(1, worker.eventLoopUtilization) : 0;
  cells.meter.style.transform = `scaleX(${share.toFixed(2)})`;
  put(cells.meter.parentElement ?? cells.meter, 'data-high', share >= busy ? '' : null);
  for (const [deed, button] of cells.buttons) button.reason = commands.against(deed, id ?? undefined);
}

const phaseWords = {
  starting: 'starting',
  spare: 'spare',
  ready: 'ready',
  draining: 'draining',
  dying: 'being killed',
} as const;
