import { Charts, type View } from './charts.js';
import { Commands, type Deed } from './commands.js';
import { silentFor } from './diagnosis.js';
import { toast } from './dialogs.js';
import { Button, byId, element, keep, put, say } from './dom.js';
import { Hero, showFigures } from './hero.js';
import { LanesView } from './lanes.js';
import { Link } from './link.js';
import { LogView } from './log.js';
import { showDeploys, showHosts, showJobs } from './operations.js';
import { showDeaths, showEvidence, showReloads, watchRecords } from './records.js';
import { showRoutes } from './routes.js';
import { Store } from './store.js';
import { momentsOf } from './timeline.js';
import { bytes, clock, count, duration, moment, percent } from './words.js';
import { markTable, showWorkers } from './workers.js';

const ranges: readonly (readonly [string, number])[] = [
  ['5 min', 5 * 60_000],
  ['15 min', 15 * 60_000],
  ['1 h', 60 * 60_000],
];
const mostMoments = 200;
const mostNumbers = 60;
/** A hung worker is asked for its stack after so long, ms. */
const askAfter = 2_500;

const store = new Store();
const commands = new Commands(store);
const hero = new Hero(store, commands);
const log = new LogView(store);
let range = ranges[0]?.[1] ?? 300_000;

const charts = new Charts({
  into: byId('charts'),
  series: store.series,
  flags: () => store.flags(),
  cursor: (left, atMs) => {
    lanes.mark(left);
    say(byId('cursor'), atMs === null ? '\u00a0' : `at ${clock(atMs)}`);
  },
});
const lanes: LanesView = new LanesView(byId('lanes'), {
  text: byId('lane-text'),
  point: (left) => charts.point(left),
});

const head: readonly (readonly [Deed, Button])[] = (
  [
    ['reload', 'Reload', 'button main'],
    ['abort', 'Abort', 'button'],
    ['scale', 'Scale', 'button'],
  ] as const
).map(([deed, label, names]) => [
  deed,
  new Button(label, { class: names, press: () => void commands.do(deed), refused: toast }),
]);
byId('commands').append(...head.map(([, button]) => button.element));

for (const [label, ms] of ranges) {
  const button = element(
    'button',
    { attributes: { type: 'button', 'aria-pressed': String(ms === range) } },
    label,
  );
  button.addEventListener('click', () => {
    range = ms;
    for (const other of byId('ranges').children) put(other, 'aria-pressed', String(other === button));
    render();
  });
  byId('ranges').append(button);
}
for (const id of ['moments-box', 'numbers-box']) byId(id).addEventListener('toggle', () => render());
watchRecords(() => showDeaths(store));
markTable();

let waiting = false;

/** At most once a frame, and not while nobody sees it. */
function soon(): void {
  if (waiting || document.hidden) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    render();
  });
}

function render(): void {
  const now = store.now();
  hero.show();
  showFigures(store);
  showHead();
  const view: View = { fromMs: now - range, toMs: now };
  charts.show(view);
  lanes.show(store, view);
  showWorkers(store, commands);
  showRoutes(store);
  showDeaths(store);
  showReloads(store);
  showDeploys(store, commands);
  showJobs(store, commands);
  showHosts(store);
  showEvidence(store, commands);
  log.show();
  if (byId<HTMLDetailsElement>('moments-box').open) showMoments(now);
  if (byId<HTMLDetailsElement>('numbers-box').open) showNumbers();
}

function showHead(): void {
  const { name, version, stats, link, daemon } = store;
  say(byId('name'), name);
  say(
    byId('about'),
    stats === null
      ? `rom-agent ${version}`
      : `rom-agent ${stats.master.version}, mode ${stats.mode}, generation ${stats.generation}`,
  );
  const state = link === 'live' && daemon.state === 'lost' ? 'lost' : link;
  put(byId('link'), 'data-state', state);
  say(
    byId('link'),
    {
      first: 'Connecting',
      live: 'Live',
      broken: 'Page cut off, trying again',
      lost: 'Daemon lost, waiting for it',
    }[state],
  );
  for (const [deed, button] of head) button.reason = commands.against(deed);
}

function showMoments(now: number): void {
  keep(byId('moments'), momentsOf(store.lanes.all(), mostMoments), {
    key: ({ key }) => key,
    make: ({ atMs, worker, what, cause, bad }) =>
      element(
        'tr',
        {},
        element('td', {}, moment(atMs, now)),
        element('td', {}, worker === null ? 'spare' : String(worker)),
        element('td', { class: bad ? 'bad-text' : '' }, what),
        element('td', {}, cause ?? ''),
      ),
    update: () => {},
  });
}

/** Of the range that is shown, a row for each of its sixtieth parts. */
function showNumbers(): void {
  const { series } = store;
  const step = Math.max(1, Math.ceil(Math.min(series.length, range / 1_000) / mostNumbers));
  const rows: number[] = [];
  for (let at = series.length - 1; at >= 0 && rows.length < mostNumbers; at -= step) rows.push(at);
  const cell = (value: number | null | undefined, words: (value: number) => string) =>
    element('td', {}, value === null || value === undefined ? '–' : words(value));
  byId('numbers').replaceChildren(
    ...rows.map((at) =>
      element(
        'tr',
        {},
        element('td', {}, clock((series.times[at] ?? 0) * 1_000)),
        cell(series.column('requestsPerSecond')[at], count),
        cell(series.column('errorsPerSecond')[at], count),
        cell(series.column('p50')[at], duration),
        cell(series.column('p99')[at], duration),
        cell(series.column('eventLoopUtilization')[at], percent),
        cell(series.column('eventLoopDelayMs')[at], duration),
        cell(series.column('rssBytes')[at], bytes),
        cell(series.column('restarts')[at], count),
      ),
    ),
  );
}

function askHung(): void {
  if (document.hidden || store.link !== 'live' || store.daemon.state === 'lost') return;
  for (const worker of store.stats?.workers ?? []) {
    const silent = silentFor(worker);
    if (silent !== null && silent >= askAfter && worker.phase !== 'dying')
      void commands.findOut(worker).then(soon);
  }
}

let wasBroken = false;

new Link({
  state: (state) => {
    store.begin(state);
    store.link = 'live';
    soon();
  },
  event: (name, data) => {
    const before = store.daemon.state;
    store.take(name, data);
    if (name === 'daemon' && store.daemon.state !== before) {
      toast(
        store.daemon.state === 'up' ? 'The daemon is back.' : 'The daemon does not answer; waiting for it.',
      );
    }
    if (name === 'stats') askHung();
    soon();
  },
  link: (state) => {
    if (state === 'login') {
      say(byId('hero-detail'), 'Open the address with ?token=… that rom-agent dashboard prints.');
      return say(byId('headline'), 'This dashboard wants its token.');
    }
    if (state === 'live' && wasBroken) toast('The page is in touch again.');
    wasBroken = state === 'broken';
    store.link = state;
    soon();
  },
}).start();

// Seconds go on where nothing arrives.
setInterval(soon, 1_000);
document.addEventListener('visibilitychange', soon);
