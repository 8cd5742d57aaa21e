/** The end of the log, with a filter. */
import type { LogLine } from '../api.js';
import { byId, element, put, say } from './dom.js';
import type { Store } from './store.js';
import { clock, count } from './words.js';

/** Lines in the page; more are in the store, for the filter. */
const mostShown = 400;
const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
/** From the bottom, px: nearer than this it follows. */
const near = 24;

export class LogView {
  readonly #store: Store;
  readonly #box = byId('log-lines');
  readonly #text = byId<HTMLInputElement>('log-text');
  readonly #worker = byId<HTMLSelectElement>('log-worker');
  readonly #level = byId<HTMLSelectElement>('log-level');
  readonly #follow = byId<HTMLButtonElement>('log-follow');
  #seen = -1;
  #workers = '';
  #shown = 0;

  constructor(store: Store) {
    this.#store = store;
    for (const level of levels) {
      const label = level === 'trace' ? 'all' : level === 'fatal' ? 'fatal' : `${level} and worse`;
      this.#level.append(element('option', { attributes: { value: level } }, label));
    }
    const again = (): void => this.#render();
    this.#text.addEventListener('input', again);
    this.#worker.addEventListener('change', again);
    this.#level.addEventListener('change', again);
    this.#follow.addEventListener('click', () => {
      this.#box.scrollTop = this.#box.scrollHeight;
    });
    this.#box.addEventListener('scroll', () => {
      this.#follow.hidden = this.#atEnd();
    });
  }

  show(): void {
    this.#showWorkers();
    say(byId('log-source'), this.#store.logSource === '' ? '\u00a0' : this.#store.logSource);
    const { logsSeen, logs } = this.#store;
    const added = logsSeen - this.#seen;
    if (added === 0) return;
    if (this.#seen < 0 || added >= logs.length) return this.#render();
    this.#seen = logsSeen;
    const matches = this.#filter();
    const fresh = logs.slice(-added).filter(matches);
    if (fresh.length > 0) {
      const end = this.#atEnd();
      if (this.#shown === 0) this.#box.replaceChildren();
      this.#box.append(...fresh.map(lineOf));
      this.#shown += fresh.length;
      // What somebody reads does not move below his eyes.
      if (end) {
        while (this.#shown > mostShown) {
          this.#box.firstElementChild?.remove();
          this.#shown--;
        }
        this.#box.scrollTop = this.#box.scrollHeight;
      } else if (this.#shown > mostShown * 3) this.#render();
      this.#follow.hidden = end;
    }
    this.#count();
  }

  #atEnd(): boolean {
    return this.#box.scrollHeight - this.#box.scrollTop - this.#box.clientHeight < near;
  }

  #filter(): (line: LogLine) => boolean {
    const text = this.#text.value.trim().toLowerCase();
    const worker = this.#worker.value;
    const least = levels.indexOf(this.#level.value as (typeof levels)[number]);
    return (line) => {
      if (levels.indexOf(line.level) < least) return false;
      if (worker === 'master' || worker === 'app') {
        if (line.from !== worker) return false;
      } else if (worker !== '' && String(line.worker) !== worker) return false;
      return text === '' || `${line.message} ${fieldsOf(line)}`.toLowerCase().includes(text);
    };
  }

  #render(): void {
    const { logs, logsSeen } = this.#store;
    this.#seen = logsSeen;
    const found = logs.filter(this.#filter()).slice(-mostShown);
    this.#shown = found.length;
    const nothing = logs.length === 0 ? 'No line yet.' : 'No line matches the filter.';
    this.#box.replaceChildren(
      ...(found.length === 0 ? [element('p', { class: 'empty' }, nothing)] : found.map(lineOf)),
    );
    this.#box.scrollTop = this.#box.scrollHeight;
    this.#follow.hidden = true;
    this.#count();
  }

  #count(): void {
    const { logs } = this.#store;
    say(byId('log-count'), `${count(this.#shown)} of the last ${count(logs.length)} lines`);
  }

  #showWorkers(): void {
    const ids = [
      ...new Set(this.#store.stats?.workers.flatMap(({ id }) => (id === null ? [] : [id])) ?? []),
    ].sort((a, b) => a - b);
    if (this.#worker.childElementCount > 0 && ids.join() === this.#workers) return;
    this.#workers = ids.join();
    const chosen = this.#worker.value;
    const options = [
      ['', 'all'],
      ['master', 'master'],
      ['app', "the app's own"],
      ...ids.map((id) => [String(id), `worker ${id}`]),
    ];
    this.#worker.replaceChildren(
      ...options.map(([value = '', label = '']) => element('option', { attributes: { value } }, label)),
    );
    this.#worker.value = options.some(([value]) => value === chosen) ? chosen : '';
  }
}

const short = { master: 'm', worker: 'w', app: 'app' } as const;

function lineOf(line: LogLine): HTMLElement {
  const { atMs, level, worker, from, message } = line;
  const fields = fieldsOf(line);
  const made = element(
    'div',
    {},
    element('span', {}, clock(atMs)),
    element('span', {}, level),
    element(
      'span',
      { title: worker === null ? from : `worker ${worker}` },
      worker === null ? short[from] : `w${worker}`,
    ),
    element(
      'span',
      { class: 'message' },
      message,
      fields === '' ? null : element('span', { class: 'fields' }, `  ${fields}`),
    ),
  );
  put(made, 'data-level', level);
  return made;
}

/** `statusCode=500 tookMs=12` */
function fieldsOf({ fields }: LogLine): string {
  return Object.entries(fields)
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ');
}
