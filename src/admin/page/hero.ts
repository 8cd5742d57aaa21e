/** The sentence on the top, what else is wrong, and the figures below it. */
import type { ClusterStats } from '../../protocol/stats.js';
import type { Commands } from './commands.js';
import type { Problem, Remedy, Severity } from './diagnosis.js';
import { toast } from './dialogs.js';
import { Button, byId, element, keep, put, say } from './dom.js';
import { icons, sentenceOf } from './sentence.js';
import type { Store } from './store.js';
import { bytes, count, duration, percent, wholeSeconds } from './words.js';

/** Below the first. */
const mostProblems = 6;

const severityWords: Readonly<Record<Severity, string>> = {
  critical: 'Now',
  serious: 'Serious',
  warning: 'Warning',
  note: 'Note',
};

export class Hero {
  readonly #store: Store;
  readonly #remedies: (remedies: readonly Remedy[], box: Element) => void;
  #announced = '';

  constructor(store: Store, commands: Commands) {
    this.#store = store;
    this.#remedies = (remedies, box) => showRemedies(remedies, box, commands);
  }

  show(): void {
    const { severity, headline, detail, title, worst, others } = sentenceOf(
      this.#store.situation(),
      this.#store.name,
    );
    put(byId('hero'), 'data-severity', severity);
    say(byId('hero-icon'), icons[severity]);
    say(byId('headline'), headline);
    say(byId('hero-detail'), detail ?? '\u00a0');
    this.#remedies(worst?.remedies ?? [], byId('hero-remedies'));
    this.#others(others);
    this.#announce(worst === null ? others : [worst, ...others], headline);
    document.title = title;
  }

  #others(problems: readonly Problem[]): void {
    const rest = problems.length - mostProblems;
    keep(byId('problems'), problems.slice(0, mostProblems), {
      key: ({ key }) => key,
      make: ({ severity }) =>
        element(
          'li',
          {},
          element('span', { class: 'icon', attributes: { 'aria-hidden': 'true' } }, icons[severity]),
          element('div', {}, element('strong'), element('p')),
          element('div', { class: 'remedies' }),
        ),
      update: (made, { severity, title, detail, remedies }) => {
        put(made, 'data-severity', severity);
        const [icon, text, box] = made.children;
        if (icon !== undefined) say(icon, icons[severity]);
        const [first, second] = text?.children ?? [];
        if (first !== undefined) say(first, title);
        if (second !== undefined)
          say(
            second,
            `${detail ?? ''}${rest > 0 && problems[mostProblems - 1]?.title === title ? ` … and ${rest} more.` : ''}`,
          );
        if (box !== undefined) this.#remedies(remedies, box);
      },
    });
  }

  /** Said aloud when something new is wrong, or nothing any more; not each second. */
  #announce(problems: readonly Problem[], text: string): void {
    const keys = problems.map(({ key, severity }) => `${key} ${severity}`).join('\n');
    if (keys === this.#announced) return;
    this.#announced = keys;
    const [worst] = problems;
    say(byId('announcement'), worst === undefined ? text : `${severityWords[worst.severity]}: ${text}`);
  }
}

const remedyWords = {
  stack: 'Show the stack',
  profile: 'Profile',
  'heap-snapshot': 'Heap snapshot',
  restart: 'Restart',
} as const;

function showRemedies(remedies: readonly Remedy[], box: Element, commands: Commands): void {
  const key = JSON.stringify(remedies);
  if (box.getAttribute('data-remedies') === key) {
    for (const [index, remedy] of remedies.entries()) {
      const button = made.get(box.children[index] ?? box);
      if (button !== undefined && remedy.kind !== 'show')
        button.reason = commands.against(remedy.kind, remedy.worker);
    }
    return;
  }
  box.setAttribute('data-remedies', key);
  box.replaceChildren(
    ...remedies.map((remedy) => {
      if (remedy.kind === 'show') {
        return element('a', { class: 'button', attributes: { href: `#${remedy.anchor}` } }, remedy.label);
      }
      const { kind, worker } = remedy;
      const button = new Button(`${remedyWords[kind]} of worker ${worker}`.replace('Restart of', 'Restart'), {
        press: () => void commands.do(kind, worker),
        refused: toast,
      });
      made.set(button.element, button);
      return button.element;
    }),
  );
}

const made = new WeakMap<Element, Button>();

interface Figure {
  readonly label: string;
  readonly value: (store: Store) => string;
  readonly more: (store: Store) => string;
}

const shown = (value: number | null, words: (value: number) => string): string =>
  value === null ? '–' : words(value);

function rangeOf({ autoscale }: Pick<ClusterStats, 'autoscale'>): string {
  if (autoscale === undefined) return '';
  return autoscale.held ? ', held by an operator' : `, ${autoscale.min} to ${autoscale.max} by the load`;
}

const figures: readonly Figure[] = [
  {
    label: 'Workers ready',
    value: ({ stats }) => (stats === null ? '–' : `${stats.ready} of ${stats.wanted}`),
    more: ({ stats }) =>
      stats === null
        ? ''
        : `generation ${stats.generation}${stats.spares.wanted > 0 ? `, ${stats.spares.ready} of ${stats.spares.wanted} spares` : ''}${rangeOf(stats)}`,
  },
  {
    label: 'Requests',
    value: ({ stats }) => shown(stats?.requestsPerSecond ?? null, (value) => `${count(value)} /s`),
    more: ({ stats }) => (stats === null ? '' : `${count(stats.requests)} in all`),
  },
  {
    label: 'Latency, p99',
    value: ({ series }) => shown(series.last('p99'), duration),
    more: ({ series }) => `half within ${shown(series.last('p50'), duration)}`,
  },
  {
    label: 'Errors (5xx)',
    value: ({ series }) => shown(series.last('errorsPerSecond'), (value) => `${count(value)} /s`),
    more: (store) => {
      const errorShare = store.errorShare();
      return errorShare === null ? 'no requests' : `${percent(errorShare)} of the answers`;
    },
  },
  {
    label: 'In flight',
    value: ({ stats }) => shown(stats?.inFlight ?? null, count),
    more: ({ stats }) =>
      stats === null
        ? ''
        : `${count(stats.workers.reduce((sum, { connections }) => sum + connections, 0))} connections`,
  },
  {
    label: 'Event loop, busy',
    value: ({ series }) => shown(series.last('eventLoopUtilization'), percent),
    more: ({ series }) => `longest delay ${shown(series.last('eventLoopDelayMs'), duration)}`,
  },
  {
    label: 'Memory',
    value: ({ series }) => shown(series.last('rssBytes'), bytes),
    more: ({ series }) => `heaps ${shown(series.last('heapUsedBytes'), bytes)}`,
  },
  {
    label: 'Restarts',
    value: ({ stats }) => shown(stats?.restarts ?? null, count),
    more: ({ stats }) => (stats === null ? '' : `in ${wholeSeconds(stats.master.uptimeSeconds)}`),
  },
];

/** Splits `12 MiB` so that the unit is small. */
function withUnit(box: Element, text: string): void {
  if (box.getAttribute('data-text') === text) return;
  box.setAttribute('data-text', text);
  const [, value = text, unit] = /^([<\d.,–]+)(?:\s(.*))?$/.exec(text) ?? [];
  box.replaceChildren(value, ...(unit === undefined ? [] : [element('small', {}, unit)]));
}

/** They stand in index.html, so that nothing moves when they are filled. */
export function showFigures(store: Store): void {
  for (const box of byId('figures').children) {
    const [label, value, more] = box.children;
    const figure = figures.find((one) => one.label === label?.textContent);
    if (figure === undefined || value === undefined || more === undefined) continue;
    withUnit(value, figure.value(store));
    say(more, figure.more(store));
  }
}
