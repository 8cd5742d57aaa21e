import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parse as parsePlist } from 'plist';
import { parse as parseToml } from 'smol-toml';
import { ownershipOf } from '../../../src/setup/files.js';
import { planService, type ServicePlan } from '../../../src/setup/plan.js';
import { facts, request } from './facts.js';

function contentOf(plan: ServicePlan, path: string): string {
  const file = plan.files.find((each) => each.path === path);
  assert.ok(file, `the plan has no ${path}, but ${plan.files.map((each) => each.path).join(', ')}`);
  return file.content;
}

const dropIn = '/etc/systemd/system/rom-agent@shop.service.d/10-install.conf';
const packaged = { service: '/usr/lib/systemd/system/rom-agent@.service', socket: null };

describe('the plan of a service under systemd', () => {
  test('has a template with the paths of node and package, and a configuration', () => {
    const plan = planService(request(), facts());
    assert.deepEqual(
      plan.files.map(({ path, mode }) => [path, mode]),
      [
        ['/etc/systemd/system/rom-agent@.service', 0o644],
        ['/etc/rom-agent/shop.toml', 0o644],
      ],
    );
    assert.match(
      contentOf(plan, '/etc/systemd/system/rom-agent@.service'),
      /^ExecStart=\/usr\/bin\/node \/usr\/lib\/node_modules\/rom-agent\/dist\/cli\/main.js serve$/m,
    );
    assert.deepEqual(plan.commands, [
      ['systemctl', 'daemon-reload'],
      ['systemctl', 'enable', '--now', 'rom-agent@shop.service'],
    ]);
  });

  test('leaves the template of a package alone', () => {
    const plan = planService(request(), facts({ templates: packaged }));
    assert.deepEqual(
      plan.files.map(({ path }) => path),
      ['/etc/rom-agent/shop.toml'],
    );
  });

  test('signs every file as its own', () => {
    const plan = planService(request({ user: 'alice', socket: true, environment: { A: 'b' } }), facts());
    assert.deepEqual([...new Set(plan.files.map(({ content }) => ownershipOf(content)))], ['ours']);
  });

  test('writes settings as TOML, those of sections below those without', () => {
    const settings = {
      'log.level': 'debug',
      app: '/srv/a "b".js',
      drain_timeout: '1m',
      args: ['--x', 'y z'],
    };
    const text = contentOf(planService(request({ settings }), facts()), '/etc/rom-agent/shop.toml');
    assert.deepEqual(JSON.parse(JSON.stringify(parseToml(text))), {
      app: '/srv/a "b".js',
      args: ['--x', 'y z'],
      drain_timeout: '60s',
      log: { level: 'debug' },
    });
  });

  test('refuses settings that do not exist, are wrong or have a relative path, all at once', () => {
    const settings = { app: 'server.js', port: 'x', colour: 'red' };
    assert.throws(() => planService(request({ settings }), facts()), {
      exitCode: 78,
      message: /^app: .*absolute path\nport: "x" .*integer from 0 to 65535\ncolour: "red" .*exists$/,
    });
  });

  test('keeps variables in a file that root alone may read, quoted as systemd reads them', () => {
    const environment = { PLAIN: 'a/b', SPACES: 'a "b" $c', QUOTE: `it's $5` };
    const plan = planService(request({ environment }), facts());
    const file = plan.files.find(({ path }) => path === '/etc/default/rom-agent@shop');
    assert.equal(file?.mode, 0o600);
    assert.match(file?.content ?? '', /^PLAIN=a\/b\nSPACES='a "b" \$c'\nQUOTE="it's \\\$5"\n$/m);
  });

  test('refuses a variable that no environment can hold', () => {
    assert.throws(() => planService(request({ environment: { 'a-b': '1' } }), facts()), {
      exitCode: 64,
      message: /"a-b".*expected a name of letters/,
    });
  });

  test('runs the service as the account that is named', () => {
    const plan = planService(request({ user: 'alice', group: 'web' }), facts());
    assert.match(contentOf(plan, dropIn), /^\[Service\]\nDynamicUser=no\nUser=alice\nGroup=web\n$/m);
  });

  test('reads a file of variables where it is', () => {
    const plan = planService(request({ envFile: '/srv/shop/100%.env' }), facts());
    assert.match(contentOf(plan, dropIn), /^EnvironmentFile=\/srv\/shop\/100%%\.env$/m);
  });

  test('makes an app in a home visible, and nothing else of it', () => {
    const plan = planService(request(), facts({ hiddenFolder: '/home/alice/my shop' }));
    assert.match(contentOf(plan, dropIn), /^ProtectHome=tmpfs\nBindReadOnlyPaths="\/home\/alice\/my shop"$/m);
  });

  test('lets the app write where it has to', () => {
    const plan = planService(request({ user: 'alice' }), facts({ writes: ['/srv/shop/uploads'] }));
    assert.match(contentOf(plan, dropIn), /^ReadWritePaths=\/srv\/shop\/uploads$/m);
  });

  test('refuses a path that a unit cannot hold', () => {
    assert.throws(() => planService(request(), facts({ hiddenFolder: '/home/a:b' })), { exitCode: 64 });
  });

  test('asks for the right to a port below 1024 unless systemd opens it, wherever the port is named', () => {
    const below = { settings: { app: '/srv/shop/server.js', port: 80 } };
    assert.match(contentOf(planService(request(below), facts()), dropIn), /^AmbientCapabilities=CAP_NET/m);
    const inFile = facts({ envFileVariables: { PORT: '443' } });
    assert.match(contentOf(planService(request(), inFile), dropIn), /^AmbientCapabilities=CAP_NET/m);
    const held = planService(request({ ...below, socket: true }), facts());
    assert.ok(!held.files.some(({ path }) => path === dropIn));
  });

  for (const [host, listen] of [
    [undefined, '3001'],
    ['127.0.0.1', '127.0.0.1:3001'],
    ['localhost', '127.0.0.1:3001'],
    ['::1', '[::1]:3001'],
    ['/run/shop.sock', '/run/shop.sock'],
  ] as const) {
    test(`has systemd listen on ${listen} for the host ${host}`, () => {
      const settings = { app: '/srv/shop/server.js', port: 3001, ...(host === undefined ? {} : { host }) };
      const plan = planService(request({ settings, socket: true }), facts());
      const text = contentOf(plan, '/etc/systemd/system/rom-agent@shop.socket.d/10-install.conf');
      assert.ok(text.endsWith(`[Socket]\nListenStream=\nListenStream=${listen}\n`), text);
      assert.deepEqual(plan.commands[1]?.slice(3), ['rom-agent@shop.socket', 'rom-agent@shop.service']);
    });
  }

  for (const name of ['', 'Shop', '../x', 'a b', '-x', 'a'.repeat(42), 'a@b']) {
    test(`refuses the name ${JSON.stringify(name)}`, () => {
      assert.throws(() => planService(request({ name }), facts()), { exitCode: 64, message: /name/ });
    });
  }
});

describe('the plan of a service under launchd', () => {
  const plist = '/Library/LaunchDaemons/org.rom-agent.shop.plist';
  const mac = facts({
    platform: 'darwin',
    node: '/usr/local/bin/node',
    libdir: '/usr/local/lib/rom & agent',
  });

  test('is a plist of its own, with its label, configuration and directories', () => {
    const environment = { SECRET: '<a> & "b"' };
    const plan = planService(request({ environment, user: 'alice', group: 'staff' }), mac);
    const job = parsePlist(contentOf(plan, plist)) as Record<string, unknown>;
    assert.equal(job.Label, 'org.rom-agent.shop');
    assert.deepEqual(job.ProgramArguments, [
      '/usr/local/bin/node',
      '/usr/local/lib/rom & agent/dist/cli/main.js',
      'serve',
    ]);
    assert.deepEqual([job.UserName, job.GroupName], ['alice', 'staff']);
    assert.deepEqual(job.EnvironmentVariables, {
      SECRET: '<a> & "b"',
      ROM_AGENT_CONFIG: '/etc/rom-agent/shop.toml',
      ROM_AGENT_SUPERVISOR: 'launchd',
      STATE_DIRECTORY: '/var/db/rom-agent.shop',
      RUNTIME_DIRECTORY: '/var/db/rom-agent.shop/run',
      ROM_AGENT_OUTPUT: '/var/log/rom-agent.shop/rom-agent.log',
    });
    assert.equal(plan.files.find(({ path }) => path === plist)?.mode, 0o600);
    assert.deepEqual([...new Set(plan.files.map(({ content }) => ownershipOf(content)))], ['ours']);
    assert.deepEqual(plan.commands.at(-1), ['launchctl', 'bootstrap', 'system', plist]);
  });

  test('copies the variables of a file, which launchd does not read', () => {
    const plan = planService(request({ envFile: '/srv/.env' }), {
      ...mac,
      envFileVariables: { DB: 'x' },
    });
    const job = parsePlist(contentOf(plan, plist)) as { EnvironmentVariables: Record<string, string> };
    assert.equal(job.EnvironmentVariables.DB, 'x');
    assert.match(plan.notes.join(' '), /\/srv\/\.env was copied/);
  });

  test('leaves no placeholder', () => {
    for (const { content } of planService(request(), mac).files) assert.doesNotMatch(content, /@[A-Z]+@/);
  });
});

describe('whose a file is', () => {
  const [signedFile] = planService(request(), facts({ templates: packaged })).files;

  test('is told by the checksum in its first line', () => {
    const text = signedFile?.content ?? '';
    assert.equal(ownershipOf(text), 'ours');
    assert.equal(ownershipOf(text.replace('3001', '3002')), 'edited');
    assert.equal(ownershipOf('port = 3001\n'), 'foreign');
  });
});
