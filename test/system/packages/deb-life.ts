import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Listed } from '../../../src/setup/list.js';
import { describeLoad, startLoad } from '../../support/load.js';
import { ask, freePort } from '../../support/net.js';
import { cleanMachine, inside, type Machine, needsTree, suites } from '../systemd/machine.js';
import { buildDeb, nextStage, type Package } from './packages.js';

const server = (name: string, port: number) => `const http = require('node:http');
http.createServer((_, response) => response.end('${name}')).listen(${port}, '127.0.0.1');
`;

let built: Promise<readonly [Package, Package]> | null = null;
async function build(): Promise<readonly [Package, Package]> {
  return [await buildDeb(), await buildDeb(await nextStage())];
}

for (const suite of suites) {
  test(
    `on a clean ${suite} the package installs, serves two apps, is upgraded under load without a failed request, and leaves nothing`,
    needsTree(),
    async (t) => {
      built ??= build();
      const [first, next] = await built;
      const machine = await cleanMachine(suite);
      const [shop, blog] = [await freePort(), await freePort()];
      await machine.writeFile('/srv/shop/server.js', server('shop', shop));
      await machine.writeFile('/srv/blog/server.js', server('blog', blog));
      const before = await everything(machine);

      await t.test('nothing is enabled or started by the installation', async () => {
        await install(machine, first);
        const { ActiveState, UnitFileState } = await machine.show('rom-agent.service', [
          'ActiveState',
          'UnitFileState',
        ]);
        assert.deepEqual(
          { ActiveState, UnitFileState },
          { ActiveState: 'inactive', UnitFileState: 'disabled' },
        );
        assert.match(await machine.must(['rom-agent', '--version']), /\d+\.\d+/);
        await machine.must(['rom-agent', 'serve', '--help']);
      });

      await t.test('systemd-analyze verify has nothing to say about the units', async () => {
        const units = [
          'rom-agent.service',
          'rom-agent.socket',
          'rom-agent@shop.service',
          'rom-agent@shop.socket',
        ];
        const { code, stdout, stderr } = await machine.run(['systemd-analyze', 'verify', ...units]);
        const own = `${stdout}${stderr}`.split('\n').filter((line) => line.includes('rom-agent'));
        assert.deepEqual({ code, own }, { code: 0, own: [] });
      });

      await t.test('two apps run side by side, one of them with a socket unit', async () => {
        assert.match(await service(machine, 'shop', shop, '--socket'), /rom-agent@shop\.service is started/);
        assert.match(await service(machine, 'blog', blog), /rom-agent@blog\.service is started/);
        // The templates of the package serve both: none is written beside them.
        assert.notEqual(
          (await machine.run(['test', '-e', '/etc/systemd/system/rom-agent@.service'])).code,
          0,
        );
        assert.deepEqual(
          (JSON.parse(await machine.must(['rom-agent', 'list', '--json'])) as Listed[]).map(
            ({ name, state }) => [name, state],
          ),
          [
            ['blog', 'serving'],
            ['shop', 'serving'],
          ],
        );
        assert.equal((await ask({ port: shop, path: '/' })).text, 'shop');
        assert.equal((await ask({ port: blog, path: '/' })).text, 'blog');
        await machine.must(['systemctl', 'reload', 'rom-agent@shop']);
      });

      await t.test('the exposure of the running service is 1.1 or less', async () => {
        const text = await machine.must([
          'systemd-analyze',
          'security',
          '--no-pager',
          'rom-agent@shop.service',
        ]);
        const exposure = Number(/Overall exposure level for .*: ([\d.]+)/.exec(text)?.[1] ?? Number.NaN);
        t.diagnostic(`${suite}: systemd-analyze security rom-agent@shop: ${exposure}`);
        assert.ok(exposure <= 1.1, text);
      });

      await t.test(
        'an upgrade under load replaces each daemon without a restart, and no request fails',
        async (own) => {
          assert.equal(await versionOf(machine, 'shop'), first.tree);
          const clients = [
            { kind: 'keep-alive', count: 4, pauseMs: 5 },
            { kind: 'per-connection', count: 4, pauseMs: 5 },
          ] as const;
          const load = startLoad({
            t: own,
            port: shop,
            path: '/',
            clients,
            requestTimeout: 60_000,
            maxMs: 600_000,
          });
          await load.reached(300, 120_000);
          const invocations = new Map<string, string>();
          for (const name of ['shop', 'blog']) {
            const { InvocationID } = await machine.show(`rom-agent@${name}.service`, ['InvocationID']);
            invocations.set(name, InvocationID);
          }
          await install(machine, next);
          await load.reached(300, 120_000);
          const report = await load.stop();
          t.diagnostic(`${suite}: upgrade under load: ${describeLoad(report)}`);
          assert.equal(report.failed, 0, describeLoad(report));
          assert.deepEqual(
            [await versionOf(machine, 'shop'), await versionOf(machine, 'blog')],
            [next.tree, next.tree],
          );
          assert.equal((await ask({ port: blog, path: '/' })).text, 'blog');
          for (const name of ['shop', 'blog']) {
            const { NRestarts, InvocationID } = await machine.show(`rom-agent@${name}.service`, [
              'NRestarts',
              'InvocationID',
            ]);
            assert.deepEqual([NRestarts, InvocationID], ['0', invocations.get(name)]);
          }
        },
      );

      await t.test('the removal stops the services, and keeps what an operator wrote', async () => {
        await apt(machine, 'remove', 'rom-agent');
        for (const port of [shop, blog]) await assert.rejects(ask({ port, path: '/' }));
        await machine.must(['test', '-e', '/etc/rom-agent/shop.toml']);
        assert.notEqual((await machine.run(['test', '-e', '/usr/lib/rom-agent'])).code, 0);
      });

      await t.test('the purge leaves nothing but the apps', async () => {
        await apt(machine, 'purge', 'rom-agent');
        const after = await everything(machine);
        assert.deepEqual(
          {
            left: after.filter((path) => !before.includes(path)),
            gone: before.filter((path) => !after.includes(path)),
          },
          { left: [], gone: [] },
        );
        assert.equal(await machine.must(['find', '/run', '/var/log', '-name', '*rom-agent*']), '');
      });
    },
  );
}

function install(machine: Machine, { file }: Package): Promise<string> {
  return apt(machine, 'install', join(inside.repo, file));
}

/** There is no network inside: what the package depends on is in the tree. */
function apt(machine: Machine, verb: string, what: string): Promise<string> {
  const argv = [
    'env',
    'DEBIAN_FRONTEND=noninteractive',
    'apt-get',
    '-y',
    '--no-install-recommends',
    verb,
    what,
  ];
  return machine.must(argv, { timeout: 600_000 });
}

function service(machine: Machine, name: string, port: number, ...more: string[]): Promise<string> {
  const flags = ['--port', String(port), '--host', '127.0.0.1', '--workers', '2', '--yes', ...more];
  return machine.must(['rom-agent', 'install', `/srv/${name}/server.js`, '--name', name, ...flags]);
}

/** The version that the master of a service runs, by the node that it was started with. */
async function versionOf(machine: Machine, name: string): Promise<string> {
  const pid = await machine.mainPid(`rom-agent@${name}.service`);
  const exe = await machine.must(['readlink', `/proc/${pid}/exe`]);
  return /\/versions\/([^/]+)\/node/.exec(exe)?.[1] ?? exe;
}

/** All paths on the disk, but those that apt, dpkg and systemd keep for themselves. */
async function everything(machine: Machine): Promise<string[]> {
  const theirs = [
    '/var/lib/dpkg',
    '/var/lib/apt',
    '/var/cache',
    '/var/log',
    '/var/lib/systemd',
    '/var/tmp',
    '/tmp',
    '/run',
    inside.repo,
  ];
  const prune = theirs.flatMap((path, index) => [...(index === 0 ? [] : ['-o']), '-path', path]);
  const text = await machine.must(['find', '/', '-xdev', '(', ...prune, ')', '-prune', '-o', '-print']);
  return text.split('\n').filter(Boolean).sort();
}
