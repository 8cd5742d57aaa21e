import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type HostedApp, hostedApps } from './catalogue.js';
import { fixtureOf } from './install.js';
import type { Outcome } from './outcomes.js';

/** docs/reference/apps.md, made from the catalogue of apps and what came of each. */
export function appsPage(outcomesOf: (app: HostedApp) => readonly Outcome[]): string {
  const rows = hostedApps.map((app) => row(app, outcomesOf(app)));
  return `${intro}\n${[headings, headings.map(() => '---'), ...rows].map(line).join('\n')}\n${notes}`;
}

/** The page without what was measured, which no test compares. */
export function withoutFigures(page: string): string {
  return page.replaceAll(/ \| (?:[^|\n]*) \| (?:[^|\n]*) \|$/gm, ' | figures |');
}

const headings = ['app', 'versions', 'works', 'its own cleaning up', 'passed', 'stopped in'];

const intro = `# Apps that are tried

Real apps and frameworks, as npm has them, in the versions of this table. \`make apps\` installs them, starts each under a
daemon with two workers, and checks that it

1. is served by both workers;
2. loses no request in a reload under load;
3. loses no request in a stop under load, and ends with status 0;
4. runs its own cleaning up once in each worker, in the reload and in the stop.

The load are clients on kept connections and clients with a connection for each request; gRPC, Socket.IO and ws are asked
by clients of their own, too. Set are \`PORT\`, two workers, a reload without a soak, and deadlines of a minute, since the
machine of the test may be slow. The apps are below
[\`test/fixtures/system\`](../../test/fixtures/system).

The last two columns were measured on two cores that were busy with other work: in how many runs all four points held, and
how long the stop took under load, the median and the longest. No test is decided by a time.
`;

const notes = `
What to know about all of them:

- The app takes its port from \`PORT\`. Next.js, Nuxt, SvelteKit, React Router and AdonisJS do so by themselves; the others
  where the app's own code does.
- \`HOST\` means the address to frameworks that read it. A standalone Next.js reads \`HOSTNAME\`.
- A framework with a command of its own is started by that command: \`rom-agent serve next -- start\` is
  \`npx next start\` ([app.md](app.md)).
- Messages between clients of different workers need a broker, as with any cluster.
- A question that crosses the server's Close frame on a WebSocket has no answer; the client asks again.
`;

function row(app: HostedApp, outcomes: readonly Outcome[]): readonly string[] {
  return [app.name, versions(app), verdict(app), app.cleansUp, passed(outcomes), stopped(outcomes)];
}

function passed(outcomes: readonly Outcome[]): string {
  if (outcomes.length === 0) return 'not run';
  const failed = outcomes.flatMap(({ failures }) => Object.keys(failures).slice(0, 1).map(inShort));
  const steps = [...new Set(failed)].map(
    (step) => `${failed.filter((one) => one === step).length} in the ${step}`,
  );
  const runs = `${outcomes.length - failed.length} of ${outcomes.length}`;
  return steps.length === 0 ? runs : `${runs}; failed: ${steps.join(', ')}`;
}

function inShort(step: string): string {
  return /reload|stop/.exec(step)?.[0] ?? 'start';
}

function stopped(outcomes: readonly Outcome[]): string {
  const times = outcomes.flatMap(({ figures: { stop } }) => stop ?? []).sort((a, b) => a - b);
  const [median, longest] = [times[times.length >> 1], times.at(-1)];
  if (median === undefined || longest === undefined) return 'not run';
  return median === longest ? inMs(median) : `${inMs(median)}, ${inMs(longest)}`;
}

function inMs(time: number): string {
  return `${Math.round(time / 10) * 10} ms`;
}

function verdict({ fails, configuration, note }: HostedApp): string {
  if (fails !== undefined) return `not all of it: ${fails}`;
  const how = configuration === undefined ? 'as it is' : `with ${configuration}`;
  return note === undefined ? how : `${how}; ${note}`;
}

function versions({ set, packages }: HostedApp): string {
  const lock = JSON.parse(readFileSync(join(fixtureOf(set), 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, { readonly version?: string }>>;
  };
  const one = (name: string) => {
    const version = lock.packages[`node_modules/${name}`]?.version;
    if (version === undefined) throw new Error(`${name} is not in the lock file of ${set}`);
    return `${name} ${version}`;
  };
  return packages.map(one).join(', ');
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}
