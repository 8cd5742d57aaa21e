// A host with PM2 and its apps, in a booted Debian 12: taken over under load, and given back.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { describeLoad, startLoad } from '../../support/load.js';
import { ask, freePort } from '../../support/net.js';
import { waitFor } from '../../support/wait.js';
import { command } from '../systemd/command.js';
import { cleanMachine, inside, type Machine, needsTree } from '../systemd/machine.js';
import { type Installed, installPm2, needsPm2 } from './install.js';
import type { Listed } from './pm2.js';

const installed = await installPm2();
const needs = needsTree().skip === false ? needsPm2(installed) : needsTree();

const server = `require('node:http').createServer((request, response) => {
  response.end(JSON.stringify({ app: process.env.NAME, by: process.env.pm_id === undefined ? 'rom-agent' : 'pm2' }));
}).listen(process.env.PORT, '127.0.0.1');
`;
const queue = `setInterval(() => {}, 1000);
`;
const folder = '/srv/three';
const home = '/home/deploy';

interface Host {
  readonly machine: Machine;
  readonly ports: Readonly<Record<'web' | 'api' | 'nightly', number>>;
  pm2(...args: string[]): Promise<string>;
  status(): Promise<Readonly<Record<string, string>>>;
  romAgent(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }>;
}

/** Four apps under PM2 of the user `deploy`: cluster, fork, fork with a cron_restart, and one that does not listen. */
async function host(found: Installed, t: TestContext): Promise<Host> {
  assert.ok('folder' in found, 'reason' in found ? found.reason : '');
  const machine = await cleanMachine('bookworm');
  const ports = { web: await freePort(), api: await freePort(), nightly: await freePort() };
  await machine.must([
    'sh',
    '-c',
    `id deploy >/dev/null 2>&1 || useradd --create-home deploy
    mkdir -p ${folder} /opt/pm2 && ln -sf ${inside.node} /usr/local/bin/node && ln -sf /opt/pm2/node_modules/pm2/bin/pm2 /usr/local/bin/pm2`,
  ]);
  if ((await machine.run(['test', '-e', '/opt/pm2/node_modules'])).code !== 0)
    await command(['cp', '-r', `${found.folder}/node_modules`, `${machine.root}/opt/pm2/`]);
  await machine.writeFile(`${folder}/server.cjs`, server);
  await machine.writeFile(`${folder}/queue.cjs`, queue);
  const app = (name: keyof typeof ports, more: object) => ({
    name,
    script: './server.cjs',
    env: { NAME: name, PORT: ports[name] },
    ...more,
  });
  const apps = [
    app('web', { exec_mode: 'cluster', instances: 2 }),
    app('api', {}),
    app('nightly', { cron_restart: '0 3 * * *' }),
    { name: 'queue', script: './queue.cjs' },
  ];
  const text = `module.exports = ${JSON.stringify({ apps })};\n`;
  await machine.writeFile(`${folder}/ecosystem.config.js`, text);
  const pm2 = (...args: string[]) =>
    machine.must(
      [
        'runuser',
        '-u',
        'deploy',
        '--',
        'env',
        `--chdir=${folder}`,
        `HOME=${home}`,
        'PM2_DISABLE_VERSION_CHECK=1',
        'pm2',
        ...args,
      ],
      { timeout: 120_000 },
    );
  await pm2('start', 'ecosystem.config.js');
  t.after(() =>
    pm2('kill').then(
      () => {},
      () => {},
    ),
  );
  const status = async () => {
    const listed = await pm2('jlist');
    const all = JSON.parse(listed.slice(listed.lastIndexOf('\n[') + 1)) as Listed[];
    return Object.fromEntries(all.map(({ name, pm2_env }) => [name, pm2_env.status]));
  };
  const main = `${inside.repo}/dist/cli/main.js`;
  const romAgent = (...args: string[]) => machine.run([inside.node, main, ...args], { timeout: 900_000 });
  for (const port of Object.values(ports))
    await waitFor('PM2 to serve', async () => (await ask({ port, path: '/' })).status === 200);
  return { machine, ports, pm2, status, romAgent };
}

/** The host's program, with its libraries: a clean Debian has none. */
async function withSs(machine: Machine): Promise<void> {
  const copy = `mkdir -p "$1/opt/ss" && cp "$(command -v ss)" "$1/opt/ss/ss" &&
    ldd "$(command -v ss)" | grep -o '/[^ )]*' | xargs -I{} cp -L {} "$1/opt/ss/"`;
  const { code, stderr } = await command(['sh', '-c', copy, 'sh', machine.root]);
  assert.equal(code, 0, stderr);
  const script = '#!/bin/sh\nexec /opt/ss/ld-linux-*.so.* --library-path /opt/ss /opt/ss/ss "$@"\n';
  await machine.writeFile('/usr/local/bin/ss', script);
  await machine.must(['sh', '-c', 'chmod 755 /usr/local/bin/ss && ss -tn']);
}

/**
 * Connections one after the other at each port, and the longest time without an answer, ms. Of several clients, so that one
 * whose connection gets no answer does not stand for all, and slow ones: the load is to show the gap, not to make it longer.
 */
function watch({ machine, ports }: Pick<Host, 'machine' | 'ports'>, t: TestContext) {
  const loads = Object.entries(ports).map(([name, port]) => {
    let [last, longest] = [performance.now(), 0];
    const answered = (): void => {
      const now = performance.now();
      longest = Math.max(longest, now - last);
      last = now;
    };
    const load = startLoad({
      t,
      port,
      clients: [{ kind: 'per-connection', count: 5, pauseMs: 50 }],
      maxMs: 1_800_000,
      watch: { answered },
    });
    return { name, load, longest: () => Math.round(longest) };
  });
  return {
    enough: () =>
      Promise.all(
        loads.map(async ({ name, load }) => {
          try {
            await load.reached(50);
          } catch (cause) {
            const { stdout } = await machine.run(['journalctl', '-n', '40', '-u', `rom-agent@${name}`]);
            throw new Error(`${name} does not answer: ${(cause as Error).message}\n${stdout}`, { cause });
          }
        }),
      ),
    stop: async (what: string) => {
      for (const { name, load, longest } of loads) {
        const report = await load.stop();
        const { ok, failed, refused, failures } = report;
        t.diagnostic(
          `${what}, ${name}: ${longest()} ms without an answer; ${ok} answered, ${refused} refused, ${failed} failed`,
        );
        assert.equal(failures.timeout ?? 0, 0, `a client waits in vain: ${describeLoad(report)}`);
      }
    },
  };
}

async function by(port: number): Promise<string> {
  return (JSON.parse((await ask({ port, path: '/' })).text) as { by: string }).by;
}

const services = ['web', 'api', 'nightly', 'queue'];

test('the apps of a host with PM2 become services under load, and go back', needs, async (t) => {
  const { machine, ports, status, romAgent } = await host(installed, t);
  await withSs(machine);
  t.after(async () => {
    for (const name of services) await romAgent('uninstall', name, '--purge', '--yes');
  });

  const there = watch({ machine, ports }, t);
  await there.enough();
  const over = await romAgent('import', '--take-over', '--yes');
  assert.equal(over.code, 0, `${over.stdout}${over.stderr}`);
  await there.enough();
  await there.stop('taken over');
  for (const port of Object.values(ports)) assert.equal(await by(port), 'rom-agent');
  assert.deepEqual(await status(), { web: 'stopped', api: 'stopped', nightly: 'stopped', queue: 'stopped' });
  for (const name of services) {
    const unit = `rom-agent@${name}.service`;
    const seen = await machine.show(unit, ['ActiveState', 'UnitFileState', 'User', 'NRestarts']);
    assert.deepEqual(
      seen,
      { ActiveState: 'active', UnitFileState: 'enabled', User: 'deploy', NRestarts: '0' },
      name,
    );
  }
  assert.match(await machine.must(['systemctl', 'list-timers', '--all']), /rom-agent-reload-nightly\.timer/);
  await machine.must(['systemctl', 'start', 'rom-agent-reload-nightly.service'], { timeout: 120_000 });

  const back = watch({ machine, ports }, t);
  await back.enough();
  const given = await romAgent('import', '--give-back', ...services);
  assert.equal(given.code, 0, `${given.stdout}${given.stderr}`);
  await back.enough();
  await back.stop('given back');
  for (const port of Object.values(ports)) assert.equal(await by(port), 'pm2');
  assert.deepEqual(await status(), { web: 'online', api: 'online', nightly: 'online', queue: 'online' });
  for (const name of services) {
    const seen = await machine.show(`rom-agent@${name}.service`, ['ActiveState', 'UnitFileState']);
    assert.deepEqual(seen, { ActiveState: 'inactive', UnitFileState: 'disabled' }, name);
  }

  const held = watch({ machine, ports }, t);
  await held.enough();
  const socket = await romAgent(
    'import',
    `${folder}/ecosystem.config.js`,
    '--socket',
    '--take-over',
    '--yes',
  );
  assert.equal(socket.code, 0, `${socket.stdout}${socket.stderr}`);
  await held.enough();
  await held.stop('taken over with --socket');
  for (const port of Object.values(ports)) assert.equal(await by(port), 'rom-agent');
  const again = await romAgent('import', '--give-back', ...services);
  assert.equal(again.code, 0, `${again.stdout}${again.stderr}`);

  await machine.writeFile(`${folder}/server.cjs`, 'throw new Error("no database");');
  const refused = await romAgent('import', '--take-over', '--yes', '--only', 'api');
  assert.equal(refused.code, 75, refused.stdout);
  assert.match(refused.stderr, /api does not start, so nothing was stopped.*no database/s);
  assert.equal((await status()).api, 'online');

  // The trial tells the daemon that PM2 has started it, so this app passes it and fails as a service.
  const choosy = `if (process.env.pm_id === undefined) throw new Error('only under PM2');\n${server}`;
  await machine.writeFile(`${folder}/server.cjs`, choosy);
  const failed = await romAgent('import', '--take-over', '--yes', '--only', 'api');
  assert.equal(failed.code, 75, failed.stdout);
  assert.match(failed.stderr, /api was not taken over, PM2 runs it as before.*only under PM2/s);
  await waitFor('PM2 to serve it again', async () => (await by(ports.api)) === 'pm2');
  assert.equal((await machine.show('rom-agent@api.service', ['UnitFileState'])).UnitFileState, 'disabled');
});

/** How often each way is measured. */
const runs = Number(process.env.GAP_RUNS ?? 1);

/** A request every 10 ms, each on a connection of its own. The longest time between two answers, ms. */
function everyTenMs(port: number) {
  let [last, longest, refused] = [performance.now(), 0, 0];
  const timer = setInterval(() => {
    ask({ port, path: '/' }).then(
      () => {
        const now = performance.now();
        longest = Math.max(longest, now - last);
        last = now;
      },
      () => {
        refused++;
      },
    );
  }, 10);
  return {
    begin: () => {
      [last, longest, refused] = [performance.now(), 0, 0];
    },
    end: () => {
      clearInterval(timer);
      return `${Math.round(longest)} ms without an answer, ${refused} requests failed`;
    },
  };
}

test('the time without answers is that of a socket, not of a start (figures only)', needs, async (t) => {
  const { machine, ports, romAgent } = await host(installed, t);
  await withSs(machine);
  t.after(() => romAgent('uninstall', 'web', '--purge', '--yes'));
  const measured = async (what: string, ...args: string[]): Promise<void> => {
    const client = everyTenMs(ports.web);
    await romAgent('list');
    client.begin();
    const { code, stdout, stderr } = await romAgent('import', ...args);
    // What still waits is answered now.
    await ask({ port: ports.web, path: '/' });
    const found = client.end();
    assert.equal(code, 0, `${stdout}${stderr}`);
    const own = /[\d.]+ \w+ after the port was free/.exec(stdout)?.[0] ?? '';
    t.diagnostic(`${what}: ${found}; by its own account ${own}`);
  };
  for (let run = 0; run < runs; run++) {
    await measured('booted beside PM2', '--take-over', '--yes', '--only', 'web');
    assert.equal(await by(ports.web), 'rom-agent');
    await measured('given back', '--give-back', 'web');
    await measured('PM2 stopped first', '--take-over', '--no-trial', '--yes', '--only', 'web');
    assert.equal(await by(ports.web), 'rom-agent');
    await measured('given back', '--give-back', 'web');
  }
});
