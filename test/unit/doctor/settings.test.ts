import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { DaemonFacts } from '../../../src/doctor/facts.js';
import { keys } from '../../../src/settings/settings.js';
import { fileError } from '../../support/load-input.js';
import { examined, execLine, fakeFacts, type World } from './fake-world.js';

describe('the settings', () => {
  test('are those of the unit: its environment, files, directory and command line, in that order of strength', async () => {
    const { settings } = await fakeFacts({
      env: { PORT: '1' },
      unit: {
        Environment: 'PORT=2 ROM_AGENT_LINGER=1s WORKERS=1',
        ExecStart: execLine('/usr/bin/node /usr/local/lib/rom-agent/dist/cli/main.js serve --workers 3'),
      },
      files: {
        '/etc/default/rom-agent': 'PORT=4\n',
        '/var/lib/rom-agent/.env': 'LOG_LEVEL=warn\n',
        '/etc/rom-agent/rom-agent.toml': 'port = 5\nhang_timeout = "5s"\n',
      },
    });
    const { port, workers, linger, log, hangTimeout, stateDir, controlSocket } = settings.config;
    assert.deepEqual([port, workers, linger, log.level, hangTimeout], [4, 3, 1_000, 'warn', 5_000]);
    assert.deepEqual([stateDir, controlSocket], ['/var/lib/rom-agent', '/run/rom-agent/control.sock']);
    assert.equal(settings.asUnit, 'rom-agent.service');
  });

  test('are those of the shell where no unit is asked for, or there is none', async () => {
    const env = { PORT: '8081' };
    for (const world of [{ unitName: null }, { unit: null }, { booted: false }] as const) {
      const { settings } = await fakeFacts({ env, ...world });
      assert.deepEqual([settings.config.port, settings.asUnit], [8081, null]);
    }
  });

  test('given as flags win, and their paths start where they were given', async () => {
    const unit = { ExecStart: execLine('/usr/bin/node /m.js serve --workers 3 a.js') };
    const { settings } = await fakeFacts({ unit, flags: { workers: '2', app: 'b.js' } });
    assert.deepEqual([settings.config.workers, settings.config.app], [2, '/srv/cwd/b.js']);
  });

  test('that are wrong are all told, and the rest is looked at with defaults', async () => {
    const report = await examined({
      unit: { Environment: 'PORT=x ROM_AGENT_DRAIN_TIMEOUT=soon', TimeoutStopUSec: '5s' },
    });
    const [port, drain, ...more] = report.of('settings');
    assert.match(port ?? '', /^problem: port: "x" \(from PORT in the environment\) is not right/);
    assert.match(drain ?? '', /^problem: drain_timeout: "soon"/);
    assert.equal(more.length, 0);
    assert.match(report.one('TimeoutStopSec').found, /drain_timeout is 30s/);
  });

  test('in files that may not be read are unknown', async () => {
    const paths = ['/etc/default/rom-agent', '/var/lib/rom-agent/.env', '/etc/rom-agent/rom-agent.toml'];
    const files = Object.fromEntries(paths.map((path) => [path, fileError('EACCES', path)]));
    const report = await examined({ files });
    assert.deepEqual(report.those('unknown'), ['settings', 'settings', 'settings']);
    for (const path of paths)
      assert.ok(
        report.of('settings').includes(`unknown: ${path} cannot be read: its settings are unknown here`),
      );
    assert.match(report.of('settings')[0] ?? '', /^ok: those that could be read are right: /);
    assert.deepEqual(report.those('problem'), []);
  });

  test('name the module of a job that does not exist, and how the first release is made', async () => {
    const file = '/etc/rom-agent/rom-agent.toml';
    const toml =
      'app = "/srv/current/server.js"\n[deploy]\nsource = "/srv/shop.git"\n[jobs.report]\nschedule = "@daily"\nmodule = "/srv/report.mjs"\n';
    const report = await examined({ files: { [file]: toml } });
    assert.match(report.one('jobs.report.module').found, /^\/srv\/report\.mjs does not exist/);
    assert.match(report.one('app').change ?? '', /rom-agent deploy --init/);
  });

  test('name an app that does not exist', async () => {
    const flags = { app: '/srv/shop/server.js' };
    const missing = await examined({ flags });
    assert.match(missing.one('app').found, /^\/srv\/shop\/server\.js \(from the argument\) does not exist/);
    assert.equal(missing.one('app').verdict, 'problem');
    const found = await examined({ flags, stats: { '/srv/shop/server.js': {} } });
    assert.deepEqual(found.those('problem'), []);
  });
});

describe('a daemon that runs', () => {
  const running = async (more: Readonly<Record<string, unknown>> = {}): Promise<DaemonFacts> => {
    const { settings } = await fakeFacts();
    const effective = Object.fromEntries(
      keys.map((key) => [key, { value: more[key] ?? settings.effective[key].value, from: 'default' }]),
    );
    return {
      state: 'runs',
      pid: 158,
      pids: [158, 170],
      version: '0.1.0',
      node: 'v24.11.0',
      keepAliveTimeoutMs: null,
      settings: effective,
    };
  };

  test('by the same settings is ok, and may hold the port', async () => {
    const world: World = { daemon: await running(), listens: 'EADDRINUSE' };
    const report = await examined({ ...world, holder: { pid: 170, name: 'node' } });
    assert.deepEqual(
      [...report.those('problem'), ...report.those('warning'), ...report.those('unknown')],
      [],
    );
    assert.match(report.one('port 3000').found, /^held by the daemon, pid 170 \(node\)$/);
    assert.match((await examined(world)).one('port 3000').found, /presumably by the daemon$/);
    assert.match(report.one('in effect').found, /^pid 158 uses the same settings$/);
  });

  test('by other settings is a warning that names them', async () => {
    const report = await examined({ daemon: await running({ drain_timeout: 60_000, workers: 2 }) });
    const { verdict, found } = report.one('in effect');
    assert.equal(verdict, 'warning');
    assert.match(
      found,
      /workers is 2 in the daemon and 4 here, drain_timeout is 60s in the daemon and 30s here$/,
    );
  });

  test('beside a port that somebody else holds does not make that right', async () => {
    const report = await examined({
      daemon: await running(),
      listens: 'EADDRINUSE',
      holder: { pid: 9, name: 'nginx' },
    });
    assert.match(report.one('port 3000').found, /^held by pid 9 \(nginx\): a start would end with 69$/);
    assert.equal(report.one('port 3000').verdict, 'problem');
  });

  test('that may not be asked is unknown', async () => {
    const daemon: DaemonFacts = { state: 'unknown', why: 'no permission' };
    const report = await examined({ daemon, listens: 'EADDRINUSE' });
    assert.deepEqual(report.those('unknown'), ['daemon', 'port 3000']);
  });

  test('is not asked where that would start it', async () => {
    const asked: string[] = [];
    const onAsk = (path: string) => asked.push(path);
    const elsewhere = {
      MainPID: '0',
      ActiveState: 'inactive',
      Environment: 'ROM_AGENT_CONTROL_SOCKET=/run/c.sock',
    };
    assert.equal((await fakeFacts({ unit: elsewhere, onAsk })).daemon.state, 'unknown');
    assert.equal((await fakeFacts({ unit: { MainPID: '0' }, onAsk })).daemon.state, 'none');
    assert.deepEqual(asked, ['/run/rom-agent/control.sock']);
  });
});

describe('an app without a listener', () => {
  const queue: World = {
    unit: { Environment: 'ROM_AGENT_KIND=process ROM_AGENT_APP=/srv/shop/queue.js' },
    stats: { '/srv/shop/queue.js': {} },
  };

  test('is in order without a port, whoever holds it', async () => {
    const report = await examined({ ...queue, listens: 'EADDRINUSE', holder: { pid: 9, name: 'nginx' } });
    assert.deepEqual(report.of('port'), ['ok: none is needed with kind process']);
    assert.deepEqual([...report.those('problem'), ...report.those('warning')], []);
  });

  test('needs no right for a port below 1024, and no port apart from the ephemeral ones', async () => {
    for (const port of [80, 40_000]) {
      const unit = { Environment: `${queue.unit?.Environment} PORT=${port}` };
      const report = await examined({ ...queue, unit });
      assert.deepEqual([...report.of('ports below 1024'), ...report.of('port range')], []);
    }
  });

  test('does not start with a socket unit', async () => {
    const socket = { ActiveState: 'active', UnitFileState: 'enabled' };
    const { verdict, found, change } = (await examined({ ...queue, socket })).one('socket unit');
    assert.equal(verdict, 'problem');
    assert.match(found, /^rom-agent\.socket passes sockets in, and kind is process: a start ends with 78$/);
    assert.equal(change, 'sudo systemctl disable --now rom-agent.socket');
  });
});

describe('how long idle connections are kept', () => {
  const verdict = async (keepAliveTimeoutMs: number | null) => {
    const daemon = {
      state: 'runs',
      pid: 1,
      pids: [1],
      version: '',
      node: '',
      keepAliveTimeoutMs,
      settings: {},
    } as const;
    return (await examined({ daemon })).findings.find(({ check }) => check === 'keep-alive');
  };

  test('is told where a balancer may keep them for longer, which is what steady 502s come from', async () => {
    const found = await verdict(5_000);
    assert.equal(found?.verdict, 'unknown');
    assert.match(found?.found ?? '', /^idle connections are kept for 5 s, Node's default; .* answers 502$/);
    assert.match(found?.change ?? '', /^keep_alive_timeout = "75s"/);
    assert.equal((await verdict(75_000))?.verdict, 'ok');
    assert.equal(await verdict(null), undefined);
  });
});

describe('the daemon that answers', () => {
  const other = {
    daemon: {
      state: 'runs',
      pid: 77,
      pids: [77],
      version: '0.1.0',
      node: 'v24.11.0',
      keepAliveTimeoutMs: null,
      settings: {},
    },
    unitName: 'api.service',
    files: { '/proc/77/cgroup': '0::/system.slice/rom-agent.service\n' },
  } as const;

  test('is of another service where two units have one control socket: nothing is compared with it', async () => {
    const report = await examined(other);
    const { verdict, found, change } = report.one('daemon');
    assert.equal(verdict, 'problem');
    assert.match(found, /^pid 77, which is not of api\.service, answers at \/run\/rom-agent\/control\.sock/);
    assert.equal(change, 'sudo systemctl edit api.service: under [Service] RuntimeDirectory=api');
    assert.deepEqual(report.of('in effect'), []);
  });

  test('is of the unit where it is in its cgroup, whatever is between it and systemd', async () => {
    const files = { '/proc/77/cgroup': '0::/system.slice/api.service\n' };
    assert.match((await examined({ ...other, files })).one('daemon').found, /^pid 77/);
  });
});
