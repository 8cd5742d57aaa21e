import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type HostedApp, hostedApps } from './catalogue.js';
import { fixtureOf } from './install.js';

/** docs/reference/apps.md, made from the catalogue of apps. */
export function appsPage(): string {
  const rows = hostedApps.map((app) => [app.name, versions(app), verdict(app), app.cleansUp]);
  return `${intro}\n${[headings, headings.map(() => '---'), ...rows].map(line).join('\n')}\n${notes}`;
}

const headings = ['app', 'versions', 'works', 'its own cleanup'];

const intro = `# Tested apps

These are real apps and frameworks from npm, in the versions of the table. \`make apps\` installs them and starts each under
a daemon with two workers. For each app the test checks that

1. both workers serve it;
2. a reload under load loses no request;
3. a stop under load loses no request and ends with status 0;
4. each worker runs the app's own cleanup once, in the reload and in the stop.

The load consists of clients that keep their connections and clients that open a connection for each request. gRPC,
Socket.IO and ws have clients of their own as well. The test sets \`PORT\`, two workers, a reload without a soak, and
deadlines of a minute. \`make apps-sample\`, a part of \`make test\`, runs five of them: Express, Koa, Fastify, Hono and
Socket.IO. The apps are in [\`test/fixtures/system\`](../../test/fixtures/system).
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
