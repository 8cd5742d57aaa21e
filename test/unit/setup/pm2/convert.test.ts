import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parse } from 'smol-toml';
import { keys, settingOf } from '../../../../src/settings/settings.js';
import { tomlOf } from '../../../../src/setup/files.js';
import { appsOfFile, appsOfList } from '../../../../src/setup/pm2/apps.js';
import { type Circumstances, convert, kindOf, serviceName } from '../../../../src/setup/pm2/convert.js';

const files: Readonly<Record<string, string>> = {
  '/srv/shop/server.js': '',
  '/srv/shop/package.json': JSON.stringify({
    name: 'shop',
    scripts: {
      start: 'NODE_ENV=production node --enable-source-maps dist/main.js --fast',
      web: 'next start',
      both: 'a && b',
    },
    dependencies: { next: '1' },
  }),
  '/srv/shop/node_modules/next/package.json': JSON.stringify({
    name: 'next',
    bin: { next: 'dist/bin/next' },
  }),
};

function readFile(path: string): string {
  const text = files[path];
  if (text === undefined) throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' });
  return text;
}

const usual: Circumstances = {
  kind: 'server',
  seen: { ports: null, user: null },
  environment: null,
  socket: false,
  readFile,
  cpus: 4,
  node: '/usr/bin/node',
};

function converted(app: object, circumstances: Partial<Circumstances> = {}) {
  const found = appsOfFile({ apps: [{ script: 'server.js', ...app }] }, '/srv/shop');
  const [first] = found?.apps ?? [];
  assert.ok(first !== undefined);
  return convert(first, { ...usual, ...circumstances });
}

function settingsOf(app: object, circumstances: Partial<Circumstances> = {}) {
  const { request, rows } = converted(app, circumstances);
  assert.ok(request !== null, JSON.stringify(rows));
  for (const [key, value] of Object.entries(request.settings)) {
    const known = keys.find((each) => each === key);
    if (known === undefined) continue;
    assert.notEqual(
      settingOf(known).kind.parse(value, 'toml'),
      undefined,
      `${key} = ${JSON.stringify(value)}`,
    );
  }
  return request.settings;
}

function rowOf(app: object, key: string, circumstances: Partial<Circumstances> = {}) {
  const row = converted(app, circumstances).rows.find((each) => each.key === key);
  assert.ok(row !== undefined, key);
  return row;
}

describe('an app of an ecosystem file', () => {
  test('becomes a service with the same script, directory, arguments and port', () => {
    const { name, request } = converted({
      name: 'Shop API',
      cwd: './',
      args: '--flag "two words"',
      node_args: '--enable-source-maps -r ./trace.js',
      env: { PORT: 8080, TOKEN: 'secret', NODE_ENV: 'staging', LIST: { a: 1 } },
    });
    assert.equal(name, 'shop-api');
    assert.deepEqual(request, {
      name: 'shop-api',
      settings: {
        app: '/srv/shop/server.js',
        args: ['--flag', 'two words'],
        node_args: ['--enable-source-maps', '--require=./trace.js'],
        working_directory: '/srv/shop',
        workers: 1,
        port: 8080,
        node_env: 'staging',
      },
      environment: { TOKEN: 'secret', LIST: '{"a":1}' },
      envFile: null,
      user: null,
      group: null,
      socket: false,
    });
  });

  test('has a configuration file that reads back as it was asked for', () => {
    const settings = settingsOf({
      instances: 2,
      max_memory_restart: '400M',
      restart_delay: 7000,
      kill_timeout: 3000,
    });
    assert.deepEqual(JSON.parse(JSON.stringify(parse(tomlOf(settings, 'shop')))), {
      app: '/srv/shop/server.js',
      working_directory: '/srv/shop',
      workers: 2,
      max_old_space_size: 300,
      drain_timeout: '3s',
      memory: { max_rss: 400 },
      restart: { crash_delay: '7s', crash_delay_max: '7s' },
    });
  });

  for (const [instances, workers] of [
    ['max', 'auto'],
    [0, 'auto'],
    [-1, 3],
    ['-1', 3],
    [-9, 1],
    [3, 3],
    ['3', 3],
  ] as const)
    test(`with instances ${JSON.stringify(instances)} has ${workers} workers on four CPUs`, () => {
      assert.equal(settingsOf({ instances, exec_mode: 'cluster' }).workers, workers);
    });

  test('takes the variables of the environment that is named over the others', () => {
    const app = { env: { A: '1', B: '1' }, env_production: { B: '2', PORT: 80 }, env_staging: { B: '3' } };
    const { request, rows } = converted(app, { environment: 'production' });
    assert.deepEqual(request?.environment, { A: '1', B: '2' });
    assert.equal(request?.settings.port, 80);
    assert.equal(rows.find(({ key }) => key === 'env_production')?.verdict, 'becomes');
    assert.match(rows.find(({ key }) => key === 'env_staging')?.says ?? '', /--env staging/);
  });

  test('shows no value of a variable', () => {
    assert.ok(!JSON.stringify(converted({ env: { TOKEN: 'secret' } }).rows).includes('secret'));
  });

  test('has the port of the key port rather than that of the variable, as under PM2', () => {
    assert.equal(settingsOf({ port: 4000, env: { PORT: 5000 } }).port, 4000);
  });

  test('has the port that it listens on under PM2 where none is given', () => {
    const seen = { ports: [8080, 9229], user: null };
    assert.equal(settingsOf({}, { seen }).port, 8080);
    assert.match(rowOf({}, 'port', { seen }).says, /9229 besides/);
    assert.equal(rowOf({}, 'port').verdict, 'todo');
  });

  test('keeps a variable that rom-agent reads too, unless rom-agent would refuse it', () => {
    assert.deepEqual(converted({ env: { LOG_LEVEL: 'debug' } }).request?.environment, { LOG_LEVEL: 'debug' });
    assert.deepEqual(converted({ env: { LOG_LEVEL: 'silly' } }).request?.environment, {});
    assert.match(rowOf({ env: { LOG_LEVEL: 'silly' } }, 'env.LOG_LEVEL').says, /under another name/);
  });

  test('gives way to a heap limit of its own below the limit of memory', () => {
    const smaller = settingsOf({ max_memory_restart: '1G', node_args: ['--max-old-space-size=600'] });
    assert.deepEqual([smaller['memory.max_rss'], smaller.max_old_space_size], [1024, 600]);
    const larger = { max_memory_restart: '300M', node_args: ['--max_old_space_size=600'] };
    assert.equal(settingsOf(larger)['memory.max_rss'], undefined);
    assert.equal(rowOf(larger, 'max_memory_restart').verdict, 'todo');
  });

  test('of the package manager is what the script in package.json runs', () => {
    const start = converted({ script: 'npm', args: 'start -- --more' });
    assert.equal(start.request?.settings.app, '/srv/shop/dist/main.js');
    assert.deepEqual(start.request?.settings.args, ['--fast', '--more']);
    assert.deepEqual(start.request?.settings.node_args, ['--enable-source-maps']);
    assert.equal(start.request?.settings.node_env, 'production');
    const web = converted({ script: 'yarn run web' });
    assert.equal(web.request?.settings.app, '/srv/shop/node_modules/next/dist/bin/next');
    assert.deepEqual(web.request?.settings.args, ['start']);
    assert.equal(converted({ script: 'npm', args: 'run both' }).request, null);
  });

  test('by the link in node_modules/.bin is the file of that command', () => {
    const { request } = converted({ script: './node_modules/.bin/next', args: ['start', '-p', '80'] });
    assert.equal(request?.settings.app, '/srv/shop/node_modules/next/dist/bin/next');
    assert.deepEqual(request?.settings.args, ['start', '-p', '80']);
  });

  for (const app of [
    { interpreter: 'python3' },
    { script: 'job.sh' },
    { interpreter: 'bun' },
    { script: 'a | b' },
  ])
    test(`that is not run by Node is refused: ${JSON.stringify(app)}`, () => {
      const { request, rows } = converted(app);
      assert.equal(request, null);
      assert.equal(rows.find(({ key }) => key === 'script')?.verdict, 'refused');
    });

  test('that runs to its end at a time is refused, with the units for it', () => {
    const { request, byHand } = converted({
      name: 'report',
      autorestart: false,
      cron_restart: '30 2 * * 1-5',
      env: { TOKEN: 'a$b' },
    });
    assert.equal(request, null);
    assert.deepEqual(
      byHand.map(({ path }) => path),
      ['/etc/systemd/system/report.service', '/etc/systemd/system/report.timer'],
    );
    assert.match(byHand[0]?.content ?? '', /^ExecStart=\/usr\/bin\/node \/srv\/shop\/server\.js$/m);
    assert.match(byHand[0]?.content ?? '', /^# A file with TOKEN\nEnvironmentFile=\/etc\/default\/report$/m);
    assert.ok(!JSON.stringify(byHand).includes('a$b'));
    assert.match(byHand[1]?.content ?? '', /^OnCalendar=Mon,Tue,Wed,Thu,Fri \*-\*-\* 2:30:0$/m);
  });

  test('with cron_restart has a timer that reloads the service', () => {
    const { timer } = converted({ name: 'shop', cron_restart: '0 4 * * *' });
    assert.equal(timer?.unit, 'rom-agent-reload-shop.timer');
    const [service, when] = timer?.files ?? [];
    assert.match(service?.content ?? '', /^ExecStart=systemctl reload rom-agent@shop\.service$/m);
    assert.match(when?.content ?? '', /^OnCalendar=\*-\*-\* 4:0:0$/m);
    assert.match(
      rowOf({ cron_restart: '0 4 L * *' }, 'cron_restart').says,
      /root systemctl reload rom-agent@/,
    );
  });

  test('that has no listener becomes N processes', () => {
    const settings = settingsOf({ instances: 2, exec_mode: 'fork' }, { kind: 'process' });
    assert.deepEqual([settings.kind, settings.workers, settings.port], ['process', 2, undefined]);
  });

  test('runs as the user that PM2 is told, or else as who runs PM2', () => {
    const seen = { ports: [80], user: 'deploy' };
    assert.equal(converted({}, { seen }).request?.user, 'deploy');
    const { request } = converted({ uid: 'web', gid: 'www' }, { seen });
    assert.deepEqual([request?.user, request?.group], ['web', 'www']);
  });

  test('with a key that PM2 does not know says so', () => {
    assert.match(rowOf({ instancez: 4 }, 'instancez').says, /PM2 does not know/);
  });
});

describe('whether an app is a server', () => {
  const kind = (app: object, ports: readonly number[] | null) => {
    const [first] = appsOfFile([{ script: 'a.js', ...app }], '/srv')?.apps ?? [];
    assert.ok(first !== undefined);
    return kindOf(first, { ports });
  };
  test('is told by the cluster mode, then by its sockets, then by its port', () => {
    assert.equal(kind({ exec_mode: 'cluster' }, []), 'server');
    assert.equal(kind({ instances: 2 }, null), 'server');
    assert.equal(kind({ exec_mode: 'fork', instances: 2 }, []), 'process');
    assert.equal(kind({}, [3000]), 'server');
    assert.equal(kind({ env: { PORT: 1 } }, null), 'server');
    assert.equal(kind({}, null), null);
  });
});

describe('an ecosystem file', () => {
  test('is {apps}, a list, one app, or a package.json with a section pm2', () => {
    const app = { name: 'a', script: 'a.js' };
    for (const content of [{ apps: [app] }, { apps: app }, [app], app, { name: 'x', pm2: [app] }])
      assert.deepEqual(
        appsOfFile(content, '/srv')?.apps.map(({ name }) => name),
        ['a'],
      );
    assert.deepEqual(appsOfFile({ apps: [app], deploy: {} }, '/srv')?.sections, ['deploy']);
    assert.equal(appsOfFile('no', '/srv'), null);
  });

  test('gives an app without a name that of its script', () => {
    assert.equal(appsOfFile([{ script: './dist/worker.mjs' }], '/srv')?.apps[0]?.name, 'worker');
  });

  test('may use any alias and the camel case of a key', () => {
    const { config } =
      appsOfFile(
        [{ exec: 'a.js', interpreterArgs: '--x', killTimeout: 1, err_log: '/e', cron: '@daily' }],
        '/srv',
      )?.apps[0] ?? assert.fail();
    assert.deepEqual(config, {
      script: 'a.js',
      node_args: '--x',
      kill_timeout: 1,
      error_file: '/e',
      cron_restart: '@daily',
    });
  });
});

describe('the list of PM2', () => {
  const entry = (pid: number, more: object = {}) => ({
    pid,
    name: 'web',
    pm2_env: {
      name: 'web',
      pm_exec_path: '/srv/shop/server.js',
      pm_cwd: '/srv/shop',
      exec_mode: 'cluster_mode',
      exec_interpreter: 'node',
      node_args: [],
      vizion: true,
      autorestart: true,
      namespace: 'default',
      pm_out_log_path: '/home/d/.pm2/logs/web-out.log',
      pm_err_log_path: '/var/log/web.log',
      max_memory_restart: 314572800,
      env: {
        PATH: '/bin',
        SSH_TTY: '/dev/pts/0',
        PORT: 80,
        TOKEN: 'x',
        web: '{}',
        unique_id: 'u',
        PM2_HOME: '/h',
        HOME: '/root',
      },
      ...more,
    },
  });

  test('has an app for all processes of a name, without what PM2 and the shell add', () => {
    const found = appsOfList([entry(1), entry(2)], '/home/d/.pm2');
    assert.deepEqual(found?.apps, [
      {
        name: 'web',
        cwd: '/srv/shop',
        pids: [1, 2],
        config: {
          name: 'web',
          script: '/srv/shop/server.js',
          exec_mode: 'cluster_mode',
          max_memory_restart: 314572800,
          error_file: '/var/log/web.log',
          env: { PORT: 80, TOKEN: 'x' },
          instances: 2,
        },
      },
    ]);
  });

  test('leaves out the modules of PM2, and knows no processes of a dump', () => {
    assert.deepEqual(appsOfList([entry(1, { pmx_module: true })], '/h')?.apps, []);
    assert.equal(appsOfList([entry(1).pm2_env], '/h')?.apps[0]?.pids, null);
    assert.deepEqual(appsOfList([entry(0)], '/h')?.apps[0]?.pids, []);
  });
});

test("the name of a service is the app's in small letters", () => {
  assert.deepEqual(
    ['Shop API', '@scope/app', 'Caf\u00e9', 'a'.repeat(60)].map(serviceName),
    ['shop-api', 'scope-app', 'cafe-', 'a'.repeat(41)].map((name) => name.replace(/-$/, '')),
  );
});
