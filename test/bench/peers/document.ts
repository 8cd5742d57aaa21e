import { figures, growth, sizes } from './figures.js';
import { barChart, type Group, lineChart } from './plots.js';
import { type Figure, Rounds, type Spread, type Subject, type Table } from './rounds.js';

/** A whole run, as the file of its rounds has it. */
export interface Document {
  readonly date: string;
  readonly minutes: number;
  readonly machine: string;
  /** The machine's load average before the run began. */
  readonly loadBefore: number;
  readonly rounds: number;
  /** Requests a second of the fixed rate. */
  readonly rate: number;
  readonly versions: {
    readonly node: readonly (readonly [number, string])[];
    readonly packages: readonly (readonly [string, string])[];
  };
  readonly peers: readonly string[];
  readonly table: Table;
}

const marks = { begin: '<!-- make bench: begin -->', end: '<!-- make bench: end -->' } as const;

/** The page with other figures between its marks. @throws Error where it has no such marks */
export function withFigures(page: string, text: string): string {
  const [from, to] = [page.indexOf(marks.begin), page.indexOf(marks.end)];
  if (from < 0 || to < from) throw new Error(`the page has no ${marks.begin} and ${marks.end}`);
  return `${page.slice(0, from + marks.begin.length)}\n${text}\n${page.slice(to)}`;
}

/** What stands between the marks. */
export function documentOf(document: Document): string {
  const rounds = Rounds.from(document.table);
  const majors = document.versions.node.map(([major]) => major);
  const [newest = 24] = majors;
  return [
    provenance(document),
    goalsTable(rounds, { newest, oldest: majors.at(-1) ?? newest }),
    ...plotNames
      .filter(([name]) => plotsOf(document).has(name))
      .map(([name, alt]) => `![${alt}](assets/${name})`),
    ...majors.map((major) => mainTable(document, rounds, major)),
    appsTable(document, rounds, newest),
    growthTable(document, rounds, newest),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

function versionOf({ versions }: Document, major: number): string {
  return versions.node.find(([one]) => one === major)?.[1] ?? `${major}`;
}

function provenance({ date, minutes, machine, loadBefore, rounds, rate, versions }: Document): string {
  const packages = versions.packages.map(([name, version]) => `${name} ${version}`).join(', ');
  const load =
    loadBefore < 0.7
      ? `a load average of ${loadBefore} before it`
      : `a load average of ${loadBefore} before it: other programs ran, so look at ratios only`;
  return wrapped(
    `Run of ${date}, ${minutes} minutes, ${rounds} warm rounds after each start, ${machine}, ${load}. ` +
      `Node ${versions.node.map(([, version]) => version).join(' and ')}, ${packages}. ` +
      `Fixed rate: ${rate.toLocaleString('en-US')} requests a second.`,
  );
}

interface Goal {
  readonly text: string;
  readonly spread: Spread | null;
  readonly least?: number;
  readonly most?: number;
  readonly digits: number;
}

function goalsTable(rounds: Rounds, { newest, oldest }: { newest: number; oldest: number }): string {
  const own: Subject = { node: newest, app: 'koa', peer: 'rom-agent' };
  const to = (figure: Figure, peer: string) => rounds.ratio(figure, own, peer);
  const shared = 'cluster, shared queue';
  const [rate, connections] = [figures.keepAlive.rate, figures.perConnection.rate];
  const old = { ...own, node: oldest };
  const goals: readonly Goal[] = [
    { text: 'keep-alive requests/s, to PM2', spread: to(rate, 'PM2'), least: 1.15, digits: 2 },
    { text: 'keep-alive requests/s, to Watt', spread: to(rate, 'Watt'), least: 1.35, digits: 2 },
    {
      text: 'connection per request, requests/s, to PM2',
      spread: to(connections, 'PM2'),
      least: 2,
      digits: 2,
    },
    {
      text: 'connection per request, requests/s, to Watt',
      spread: to(connections, 'Watt'),
      least: 1.1,
      digits: 2,
    },
    ...(
      [
        ['keep-alive', figures.keepAlive],
        ['keep-alive, first seconds', figures.coldKeepAlive],
        ['connection per request', figures.perConnection],
        ['connection per request, first 10,000', figures.coldPerConnection],
      ] as const
    ).map(([name, { cpu }]) => ({
      text: `${name}, CPU per request, to the shared queue`,
      ...{ spread: to(cpu, shared), most: 1.05, digits: 2 },
    })),
    {
      text: 'memory 60 s after load, to the shared queue',
      ...{ spread: to(figures.afterRest, shared), most: 1.15, digits: 2 },
    },
    {
      text: 'exec to all workers listening, to the shared queue',
      spread: to(figures.ready, shared),
      most: 1.1,
      digits: 2,
    },
    {
      text: `memory idle on Node ${oldest}, MB`,
      spread: rounds.spread(figures.idle, old),
      most: 85,
      digits: 1,
    },
    { text: `of it the master, MB`, spread: rounds.spread(figures.idleMaster, old), most: 20, digits: 1 },
    {
      text: 'reload of two workers without soak, ms',
      spread: rounds.spread(figures.reload, own),
      most: 400,
      digits: 0,
    },
  ];
  const rows = goals.flatMap(({ text, spread, least, most, digits }) => {
    if (spread === null) return [];
    const met = least === undefined ? spread.median <= (most ?? Infinity) : spread.median >= least;
    const goal = least === undefined ? `<= ${most}` : `>= ${least}`;
    const range =
      spread.min === spread.max ? '' : ` (${spread.min.toFixed(digits)}-${spread.max.toFixed(digits)})`;
    return [[text, `${spread.median.toFixed(digits)}${range}`, `${goal}: ${met ? 'met' : '**missed**'}`]];
  });
  return rows.length === 0
    ? ''
    : table([[`rom-agent, Koa, Node ${newest}`, 'median (least-most)', 'goal'], ...rows]);
}

const mainRows: readonly Figure[] = [
  figures.keepAlive.rate,
  figures.keepAlive.cpu,
  figures.keepAlive.master,
  figures.coldKeepAlive.rate,
  figures.coldKeepAlive.cpu,
  figures.perConnection.rate,
  figures.perConnection.cpu,
  figures.perConnection.master,
  figures.coldPerConnection.rate,
  figures.coldPerConnection.cpu,
  figures.saturated.p50,
  figures.saturated.p99,
  figures.saturated.p999,
  figures.fixed.p50,
  figures.fixed.p99,
  figures.fixed.p999,
  figures.fixedCpu,
  figures.busiest,
  figures.idle,
  figures.idleMaster,
  figures.afterLoad,
  figures.afterRest,
  figures.idleCpu,
  figures.answer,
  figures.ready,
  figures.reload,
  figures.reloadLost,
  figures.replaced,
  figures.killLost,
];
const failures = [
  figures.keepAlive.failed,
  figures.coldKeepAlive.failed,
  figures.perConnection.failed,
  figures.coldPerConnection.failed,
  figures.fixedFailed,
];

function mainTable(document: Document, rounds: Rounds, major: number): string {
  const { peers } = document;
  const subjects = peers.map((peer) => ({ node: major, app: 'koa', peer }));
  const present = subjects.filter((subject) =>
    mainRows.some((figure) => rounds.of(figure, subject).length > 0),
  );
  const rows = mainRows.map((figure) => [
    figure.name,
    ...present.map((subject) => cell(rounds, figure, subject)),
  ]);
  const failed = present.map((subject) => {
    const all = failures.flatMap((figure) => rounds.of(figure, subject));
    return all.length === 0 ? '' : `${all.reduce((sum, count) => sum + count, 0)}`;
  });
  const told = [...rows, ['failed requests, all loads together', ...failed]];
  if (present.length === 0) return '';
  const body = told.filter(([, ...cells]) => cells.some(Boolean));
  const head = `**Koa, two workers, Node ${versionOf(document, major)}:**`;
  return `${head}\n\n${table([['', ...present.map(({ peer }) => peer)], ...body])}`;
}

function appsTable({ peers }: Document, rounds: Rounds, major: number): string {
  const rows = (['http', 'koa', 'express', 'fastify', 'built-in'] as const).flatMap((app) =>
    [
      figures.keepAlive.rate,
      figures.keepAlive.cpu,
      figures.perConnection.rate,
      figures.perConnection.cpu,
    ].map((figure) => [
      `${app}: ${figure.name}`,
      ...peers.map((peer) => cell(rounds, figure, { node: major, app, peer })),
    ]),
  );
  const known = rows.filter(([name, ...cells]) => !name?.startsWith('koa') && cells.some(Boolean));
  if (known.length === 0) return '';
  return `**Other apps, two workers, Node ${major}, warm:**\n\n${table([['', ...peers], ...known])}`;
}

function growthTable({ peers }: Document, rounds: Rounds, major: number): string {
  const all = [
    ...sizes.flatMap((size) => Object.values(growth(size))),
    figures.connectionMemory,
    figures.connectionCpu,
    figures.connectionRate,
  ];
  const rows = all.map((figure) => [
    figure.name,
    ...peers.map((peer) => cell(rounds, figure, { node: major, app: 'koa', peer })),
  ]);
  const known = rows.filter(([, ...cells]) => cells.some(Boolean));
  if (known.length === 0) return '';
  return `**More workers, more connections, Node ${major}:**\n\n${table([['', ...peers], ...known])}`;
}

/** The median, and half of the distance from the least to the most in percent of it. */
export function cell(rounds: Rounds, figure: Figure, subject: Subject): string {
  const spread = rounds.spread(figure, subject);
  if (spread === null) return '';
  const { median, min, max } = spread;
  const text = median.toLocaleString('en-US', {
    minimumFractionDigits: figure.digits,
    maximumFractionDigits: figure.digits,
  });
  return min === max || median === 0 ? text : `${text} ±${Math.round(((max - min) * 50) / median)} %`;
}

function table(rows: readonly (readonly string[])[]): string {
  const [head = [], ...body] = rows;
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), `|${'---|'.repeat(head.length)}`, ...body.map(line)].join('\n');
}

function wrapped(text: string): string {
  return text.replace(/(.{1,110})(?: |$)/g, '$1\n').trimEnd();
}

const plotNames = [
  [
    'bench-throughput.svg',
    'Requests per second of each peer, kept connections and one per request, on both majors of Node',
  ],
  ['bench-cpu.svg', 'CPU time per request of each peer, warm and in the first seconds'],
  ['bench-latency.svg', 'Latency of each peer at a fixed rate'],
  ['bench-memory.svg', 'Memory of each peer idle, after load, and after a minute of rest'],
  ['bench-growth.svg', 'Memory of each peer with 1, 8 and 64 workers'],
] as const;

/** File names with their SVG, of what was measured. */
export function plotsOf(document: Document): ReadonlyMap<string, string> {
  const { peers: series, versions } = document;
  const rounds = Rounds.from(document.table);
  const majors = versions.node.map(([major]) => major);
  const [newest = 24] = majors;
  const group = (name: string, figure: Figure, node: number): Group => ({
    name,
    bars: series.map((peer) => rounds.spread(figure, { node, app: 'koa', peer })),
  });
  const both = (groups: readonly (readonly [string, Figure])[]) =>
    majors.flatMap((major) => groups.map(([name, figure]) => group(`${name}, Node ${major}`, figure, major)));
  const [throughput, cpu, latency, memory, grown] = plotNames.map(([name]) => name);
  const all: readonly (readonly [string, string])[] = [
    [
      throughput ?? '',
      barChart({
        title: 'Koa, two workers: requests per second',
        ...{ unit: 'more is better', series },
        groups: both([
          ['kept', figures.keepAlive.rate],
          ['one per request', figures.perConnection.rate],
        ]),
      }),
    ],
    [
      cpu ?? '',
      barChart({
        title: `Koa, two workers, Node ${newest}: CPU time per request`,
        ...{ unit: 'us, less is better', series },
        groups: [
          group('kept', figures.keepAlive.cpu, newest),
          group('kept, first seconds', figures.coldKeepAlive.cpu, newest),
          group('one per request', figures.perConnection.cpu, newest),
          group('first 10,000', figures.coldPerConnection.cpu, newest),
        ],
      }),
    ],
    [
      latency ?? '',
      barChart({
        title: `Koa, two workers, Node ${newest}: latency at ${document.rate.toLocaleString('en-US')} requests per second`,
        ...{ unit: 'ms, less is better', series },
        groups: [
          group('p50', figures.fixed.p50, newest),
          group('p99', figures.fixed.p99, newest),
          group('p99.9', figures.fixed.p999, newest),
        ],
      }),
    ],
    [
      memory ?? '',
      barChart({
        title: 'Koa, two workers: memory of all processes',
        ...{ unit: 'MB PSS, less is better', series },
        groups: both([
          ['idle', figures.idle],
          ['15 s after', figures.afterLoad],
          ['60 s after', figures.afterRest],
        ]),
      }),
    ],
    [
      grown ?? '',
      lineChart({
        title: `Koa, Node ${newest}: memory of 1 to 64 workers`,
        unit: 'MB PSS, less is better',
        ticks: sizes.map((size) => `${size}`),
        lines: series.flatMap((peer) => {
          const values = sizes.map(
            (size) => rounds.spread(growth(size).memory, { node: newest, app: 'koa', peer })?.median ?? null,
          );
          return values.every((value) => value === null) ? [] : [{ name: peer, values }];
        }),
      }),
    ],
  ];
  return new Map(all.filter(([, svg]) => svg.includes('class="spread"') || svg.includes('<circle')));
}
