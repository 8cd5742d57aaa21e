import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { installService, requestFrom, uninstallService } from '../../../src/cli/host/install.js';
import { findServices, onlyService, serviceNamed } from '../../../src/setup/find.js';
import { fitsEngines, prepareService } from '../../../src/setup/prepare.js';
import { loadInput } from '../../support/load-input.js';
import { request } from './facts.js';
import { FakeHost, type HostOptions } from './fake-host.js';

const dropIn = '/etc/systemd/system/rom-agent@shop.service.d/10-install.conf';
const config = '/etc/rom-agent/shop.toml';
const template = '/etc/systemd/system/rom-agent@.service';

async function prepare(options: HostOptions, given: Parameters<typeof request>[0] = {}) {
  const { seam } = new FakeHost(options);
  return prepareService(request(given), { seam, input: loadInput({ readFile: seam.readFile }) });
}

/** `rom-agent install` on a host in memory, with an answer to its question. */
async function install(
  host: FakeHost,
  { answer = 'y', ...given }: Parameters<typeof request>[0] & { answer?: string } = {},
) {
  const printed: string[] = [];
  const { seam } = host;
  const terminal = {
    print: (text: string) => void printed.push(text),
    warn: (text: string) => void printed.push(text),
    paint: (_: string, text: string) => text,
  };
  // Port 0: nobody is knocked at.
  const settings = { app: '/srv/shop/server.js', port: 0 };
  const code = await installService(request({ settings, ...given }), {
    ...{ seam, terminal, ask: async () => answer },
    input: loadInput({ readFile: seam.readFile }),
  });
  return { code, text: printed.join('') };
}

/** What systemctl says of a service that runs. */
function running(_: string, [verb, unit = '', , property = '']: readonly string[]): string | null {
  if (verb !== 'show' || !unit.endsWith('.service')) return null;
  return `${property}=${property === 'ActiveState' ? 'active' : 'enabled'}\n`;
}

describe('install', () => {
  test('writes, reloads systemd, enables and starts, and says how to go on', async () => {
    const host = new FakeHost();
    const { code, text } = await install(host, { user: null });
    assert.equal(code, 0);
    assert.deepEqual(host.paths(), [config, template]);
    assert.deepEqual(host.ran, ['systemctl daemon-reload', 'systemctl enable --now rom-agent@shop.service']);
    assert.match(text, /rom-agent@shop\.service is started\./);
  });

  test('changes nothing where the answer is no', async () => {
    const host = new FakeHost();
    const { code, text } = await install(host, { answer: '' });
    assert.deepEqual([code, host.paths(), host.ran], [75, [], []]);
    assert.match(text, /Nothing was changed/);
  });

  test('does nothing the second time', async () => {
    const host = new FakeHost();
    await install(host);
    const second = new FakeHost({
      files: Object.fromEntries(host.files),
      run: async (file, args) => running(file, args),
    });
    const { text } = await install(second);
    assert.match(text, /Nothing to do/);
    assert.deepEqual(second.ran, []);
  });

  test('takes all back where the start fails, and tells the log', async () => {
    const host = new FakeHost({
      programs: (argv) => (argv.includes('enable') ? { ok: false, output: 'Job failed' } : undefined),
      run: async (file) => (file === 'journalctl' ? 'no database\n' : null),
    });
    await assert.rejects(install(host), {
      exitCode: 75,
      message:
        /not installed: systemctl enable .*: Job failed\n.*\n {2}no database\nWhat was written is undone$/,
    });
    assert.deepEqual(host.paths(), []);
    assert.deepEqual(host.ran.slice(2), [
      'systemctl disable --now rom-agent@shop.service',
      'systemctl daemon-reload',
      'systemctl reset-failed rom-agent@shop.service',
    ]);
  });

  test('keeps a configuration that was edited under another name, and removes what is no longer wanted', async () => {
    const host = new FakeHost();
    await install(host, { user: 'root' }).catch(() => {});
    const edited = new FakeHost({
      files: { [config]: 'port = 7\n', [dropIn]: host.text(dropIn) ?? '' },
    });
    const { text } = await install(edited);
    assert.equal(edited.text(`${config}.old`), 'port = 7\n');
    assert.match(
      text,
      /shop\.toml \(edited; the present one is kept as .*\.old\)\n[\s\S]*- port = 7\n[\s\S]*\+ port = 0/,
    );
  });

  test('shows the names of variables and not their values', async () => {
    const { text } = await install(new FakeHost(), { environment: { TOKEN: 'hush', LONG: 'a\nhush' } });
    assert.match(text, /TOKEN=\.\.\./);
    assert.doesNotMatch(text, /hush/);
  });

  for (const [what, options, given, exitCode, message] of [
    ['an app that is not there', {}, { settings: { app: '/srv/none.js' } }, 66, /no app \/srv\/none\.js/],
    [
      'an app among temporary files',
      { files: { '/tmp/a/s.js': '' } },
      { settings: { app: '/tmp/a/s.js' } },
      77,
      /temporary files are deleted/,
    ],
    [
      'a whole home',
      { files: { '/root/s.js': '' } },
      { settings: { app: '/root/s.js' } },
      77,
      /all of \/root/,
    ],
    [
      'a folder that others may not enter',
      { folders: { '/srv/shop': { mode: 0o700 } } },
      {},
      77,
      /chmod o\+x \/srv\/shop/,
    ],
    ['a user that does not exist', {}, { user: 'nemo' }, 64, /"nemo" does not exist.*useradd/],
    ['a group that does not exist', {}, { group: 'nemo' }, 64, /"nemo" does not exist.*groupadd/],
    [
      'a node of nvm',
      { execPath: '/root/.nvm/v22/bin/node' },
      {},
      77,
      /hidden from services .*install Node for all users/,
    ],
    [
      'a package out of reach',
      {
        libdir: '/home/a/rom-agent',
        files: {
          '/home/a/rom-agent/systemd/rom-agent@.service': '',
          '/home/a/rom-agent/systemd/rom-agent@.socket': '',
        },
      },
      {},
      77,
      /rom-agent itself is in \/home\/a/,
    ],
    [
      'a node without the addon',
      {
        loadAddon: () => {
          throw new Error('no sd-notify');
        },
      },
      {},
      77,
      /no sd-notify/,
    ],
    [
      'a file of variables that is not there',
      {},
      { envFile: '/srv/.env' },
      64,
      /\/srv\/\.env does not exist/,
    ],
    [
      'two ports',
      { files: { '/srv/e': 'PORT=5' } },
      { envFile: '/srv/e' },
      64,
      /PORT=5 in \/srv\/e wins over port = 3001/,
    ],
    [
      'a wrong variable',
      { files: { '/srv/e': 'WORKERS=x' } },
      { envFile: '/srv/e' },
      78,
      /workers: "x" \(from WORKERS/,
    ],
    ['the name of the plain unit', {}, { name: 'rom-agent' }, 64, /plain unit/],
    [
      'a port that is taken',
      {
        tryListen: async ({ port }: { port: number }) => (port === 3001 ? 'EADDRINUSE' : null),
        portHolder: () => ({ pid: 7, name: 'nginx' }),
        files: { '/proc/7/cgroup': '0::/system.slice/nginx.service\n' },
      },
      {},
      69,
      /taken by nginx \(pid 7, the service nginx\.service\).*--port 3002/,
    ],
  ] as [string, HostOptions, Parameters<typeof request>[0], number, RegExp][]) {
    test(`refuses ${what}`, async () => {
      await assert.rejects(prepare(options, given), { exitCode, message });
    });
  }

  test('without rights, without systemd and without a terminal says what to do', async () => {
    await assert.rejects(install(new FakeHost({ uid: 1000 })), {
      exitCode: 77,
      message: /sudo rom-agent install/,
    });
    const bare = new FakeHost();
    bare.files.delete('/run/systemd/system/.there');
    await assert.rejects(install(bare), { exitCode: 69, message: /no systemd runs here/ });
  });

  test('lets an account write where it may, and says where it may not', async () => {
    const { plan, warnings } = await prepare(
      {
        folders: { '/srv/shop/uploads': { uid: 1000 }, '/srv/shop/logs': { uid: 0 } },
        run: async (_, args) => (args.includes('alice') ? '1000' : null),
      },
      { user: 'alice' },
    );
    assert.match(
      plan.files.find(({ path }) => path === dropIn)?.content ?? '',
      /^ReadWritePaths=\/srv\/shop\/uploads$/m,
    );
    assert.match(warnings.join(' '), /write to \/srv\/shop\/logs .*chown -R alice \/srv\/shop\/logs/);
  });

  test('needs no second copy of units that a package has installed', async () => {
    const unit = '[Service]\nExecStart=/opt/node/bin/node /usr/lib/rom-agent/dist/cli/main.js serve\n';
    const { plan, program } = await prepare({
      libdir: '/usr/lib/rom-agent',
      execPath: '/root/node',
      files: {
        '/usr/lib/systemd/system/rom-agent@.service': unit,
        '/usr/lib/systemd/system/rom-agent@.socket': '',
      },
    });
    assert.deepEqual(
      plan.files.map(({ path }) => path),
      [config],
    );
    assert.deepEqual([program.node, program.libdir], ['/opt/node/bin/node', '/usr/lib/rom-agent']);
  });

  test('knows no port of an app that is no server', async () => {
    const taken = { tryListen: async () => 'EADDRINUSE' };
    const settings = { app: '/srv/shop/server.js', kind: 'process' };
    assert.equal((await prepare(taken, { settings })).address, null);
  });

  test('warns of a service that does not run now and is set to the same port', async () => {
    const unit = (name: string) =>
      `Id=rom-agent@${name}.service\nLoadState=loaded\nActiveState=inactive\nUnitFileState=disabled\nMainPID=0\nEnvironment=ROM_AGENT_CONFIG=/etc/rom-agent/${name}.toml`;
    const host: HostOptions = {
      files: {
        '/etc/systemd/system/rom-agent@.service': '',
        '/etc/rom-agent/api.toml': 'port = 3001\n',
        '/etc/rom-agent/web.toml': 'port = 3002\n',
      },
      run: async (_, [verb, ...units]) =>
        verb === 'show' && units.includes('rom-agent@api.service')
          ? `${unit('api')}\n\n${unit('web')}`
          : null,
    };
    const { warnings } = await prepare(host);
    assert.deepEqual(
      warnings.filter((warning) => warning.includes('port')),
      [
        'The service api is set to port 3001 too: only one of the two can run at a time. Give one another port, or rom-agent uninstall api.',
      ],
    );
    const elsewhere = await prepare(host, { settings: { app: '/srv/shop/server.js', port: 3003 } });
    assert.ok(!elsewhere.warnings.join().includes('only one of the two'));
  });

  test('warns of a node that the app does not ask for', async () => {
    const manifest = JSON.stringify({ name: 'x', engines: { node: '>=24' } });
    const { warnings } = await prepare({ files: { '/srv/shop/package.json': manifest } });
    assert.match(warnings.join(' '), /asks for node >=24 .* v22\.1\.0/);
  });
});

describe('what to run', () => {
  function from(manifest: object, files: Readonly<Record<string, string>> = {}, app = '.') {
    const host = new FakeHost({ files: { '/srv/shop/package.json': JSON.stringify(manifest), ...files } });
    return requestFrom({ app, flags: {}, args: undefined, seam: host.seam });
  }

  test('is what a plain start script says, with its flags, arguments and variables', () => {
    const start = 'NODE_ENV=production DEBUG=x node --enable-source-maps dist/main --loud';
    const { name, settings, environment } = from(
      { name: '@acme/My Shop', scripts: { start } },
      { '/srv/shop/dist/main.js': '' },
    );
    assert.equal(name, 'my-shop');
    assert.deepEqual(settings, {
      app: '/srv/shop/dist/main.js',
      args: ['--loud'],
      node_args: ['--enable-source-maps'],
    });
    assert.deepEqual(environment, { NODE_ENV: 'production', DEBUG: 'x' });
  });

  test('is what a start script says that has another program in the place of node, or npx', () => {
    const files = { '/srv/shop/server.ts': '' };
    const tsx = from({ name: 'a', scripts: { start: 'tsx --env-file .env server.ts' } }, files).settings;
    assert.deepEqual(tsx, { app: '/srv/shop/server.ts', node_args: ['--import=tsx', '--env-file=.env'] });
    const next = { '/srv/shop/node_modules/next/package.json': '{"bin":{"next":"dist/bin/next"}}' };
    assert.deepEqual(from({ name: 'web', scripts: { start: 'npx next start' } }, next).settings, {
      app: '/srv/shop/next',
      args: ['start'],
    });
  });

  test('is a command that a package brings', () => {
    const next = { '/srv/shop/node_modules/next/package.json': '{"bin":{"next":"dist/bin/next"}}' };
    assert.deepEqual(from({ name: 'web', scripts: { start: 'next start -p 1' } }, next).settings, {
      app: '/srv/shop/next',
      args: ['start', '-p', '1'],
    });
    assert.equal(from({ name: 'web' }, next, 'next').settings.app, '/srv/shop/next');
  });

  test('is main where a shell would have to run the script, else a usual file', () => {
    const scripts = { start: 'npm run build && node dist/main.js' };
    assert.equal(
      from({ name: 'a', scripts, main: 'lib' }, { '/srv/shop/lib.js': '' }).settings.app,
      '/srv/shop/lib.js',
    );
    assert.equal(from({ name: 'a', scripts }).settings.app, '/srv/shop/server.js');
  });
});

describe('uninstall', () => {
  test('removes what install wrote, keeps what was edited and what others wrote', async () => {
    const host = new FakeHost({ folders: { '/var/lib/rom-agent@shop': {} } });
    await install(host, { group: null, socket: true });
    host.files.set('/etc/systemd/system/rom-agent@shop.service.d/override.conf', {
      text: 'x',
      mode: 0o644,
      uid: 0,
      gid: 0,
    });
    const file = host.files.get(config);
    assert.ok(file);
    host.files.set(config, { ...file, text: `${file.text}workers = 3\n` });
    const printed: string[] = [];
    const print = (text: string) => void printed.push(text);
    const terminal = { print, warn: print, paint: (_: string, text: string) => text };
    const code = await uninstallService('shop', { seam: host.seam, terminal, ask: null, yes: true });
    assert.equal(code, 0);
    assert.deepEqual(host.paths(), [
      `${config}.old`,
      '/etc/systemd/system/rom-agent@shop.service.d/override.conf',
    ]);
    assert.match(
      printed.join(''),
      /keep .*override\.conf: not written by[\s\S]*keep +\/var\/lib\/rom-agent@shop/,
    );
    assert.ok(host.ran.includes('systemctl disable --now rom-agent@shop.socket'));
  });

  test('of what is no service lists those that are', async () => {
    const host = new FakeHost();
    await install(host);
    const terminal = { print: () => {}, warn: () => {}, paint: (_: string, text: string) => text };
    await assert.rejects(uninstallService('shpo', { seam: host.seam, terminal, ask: null, yes: true }), {
      exitCode: 64,
      message: /"shpo" is no service .*expected one of shop/,
    });
  });
});

describe('the services of a host', () => {
  const wants = '/etc/systemd/system/multi-user.target.wants';
  const host = new FakeHost({
    files: {
      '/usr/lib/systemd/system/rom-agent.service': '',
      '/usr/lib/systemd/system/rom-agent@.service': '',
      [`${wants}/rom-agent@api.service`]: '',
      '/etc/rom-agent/idle.toml': '',
      '/etc/rom-agent/rom-agent.toml': '',
      '/run/rom-agent@shop/control.sock': '',
      '/etc/systemd/system/old.service':
        '[Service]\nExecStart=/usr/bin/node /usr/local/lib/rom-agent/current/dist/cli/main.js serve\n',
      '/etc/systemd/system/other.service': '[Service]\nExecStart=/usr/bin/nginx serve rom-agent\n',
    },
  });

  test('are the plain one, those of the template and those that others have written', () => {
    assert.deepEqual(
      findServices(host.seam).map(({ name, isInUse }) => [name, isInUse]),
      [
        ['api', true],
        ['idle', false],
        ['old', false],
        ['rom-agent', false],
        ['shop', true],
      ],
    );
  });

  test('are meant by name, by unit, or where there is only one in use', () => {
    const services = findServices(host.seam);
    assert.equal(serviceNamed('shop', services).unit, 'rom-agent@shop.service');
    assert.equal(serviceNamed('old.service', services).name, 'old');
    assert.throws(() => serviceNamed('x', services), { exitCode: 64, message: /there is api, idle, old/ });
    assert.throws(() => onlyService(services), { exitCode: 64, message: /--name, of api, shop/ });
    assert.equal(onlyService(services.slice(0, 2))?.name, 'api');
    assert.equal(onlyService([]), null);
  });

  test('under launchd are its plists', () => {
    const files = {
      '/Library/LaunchDaemons/org.rom-agent.shop.plist': '',
      '/Library/LaunchDaemons/org.rom-agent.plist': '',
      '/Library/LaunchDaemons/com.other.plist': '',
    };
    const mac = new FakeHost({ platform: 'darwin', files });
    assert.deepEqual(
      findServices(mac.seam).map(({ unit }) => unit),
      ['org.rom-agent', 'org.rom-agent.shop'],
    );
  });
});

describe('engines of a package.json', () => {
  for (const [range, version, expected] of [
    ['>=20', 'v20.19.0', true],
    ['>=20.19', 'v20.18.9', false],
    ['>= 18 < 21', 'v21.0.0', false],
    ['^20.5 || ^22', 'v22.9.0', true],
    ['^20.5 || ^22', 'v21.0.0', false],
    ['20', 'v20.1.2', true],
    ['20.x', 'v22.0.0', false],
    ['~20.5.1', 'v20.6.0', false],
    ['18 - 20', 'v20.5.0', true],
    ['18 - 20', 'v22.0.0', false],
    ['>20', 'v20.9.0', false],
    ['*', 'v26.0.0', true],
    ['lts/*', 'v26.0.0', null],
  ] as const) {
    test(`of ${range} ${expected === null ? 'say nothing about' : expected ? 'fit' : 'do not fit'} ${version}`, () => {
      assert.equal(fitsEngines(range, version), expected);
    });
  }
});
