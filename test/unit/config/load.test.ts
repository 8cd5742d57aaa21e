import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loadConfig } from '../../../src/config/load.js';
import { ConfigError } from '../../../src/errors.js';
import { flagNameOf, keys, variablesOf } from '../../../src/settings/settings.js';
import { fileError, fourCpus, loadInput } from '../../support/load-input.js';

const etc = '/etc/rom-agent/rom-agent.toml';

async function load(input: Parameters<typeof loadInput>[0] = {}) {
  return loadConfig(loadInput(input));
}

async function config(input: Parameters<typeof loadInput>[0] = {}) {
  return (await load(input)).config;
}

/** The problems of a configuration that is refused, as `field: what would be right`. */
async function refused(input: Parameters<typeof loadInput>[0]): Promise<ConfigError['problems']> {
  const error = await load(input).catch((reason: unknown) => reason);
  assert.ok(error instanceof ConfigError, `expected a ConfigError, not ${String(error)}`);
  assert.equal(error.exitCode, 78);
  return error.problems;
}

async function fields(input: Parameters<typeof loadInput>[0]): Promise<readonly string[]> {
  return (await refused(input)).map(({ field }) => field);
}

describe('loadConfig without any source', () => {
  test('gives the documented defaults', async () => {
    assert.deepEqual(await config(), {
      app: null,
      args: [],
      nodeArgs: [],
      workingDirectory: null,
      kind: 'server',
      waitReady: 'off',
      mode: 'cluster',
      workers: 4,
      port: 3000,
      host: null,
      listenWait: 0,
      workerPorts: null,
      keepAliveTimeout: 0,
      shed: { eventLoopDelay: 0, inFlight: 0, retryAfter: 1_000 },
      lameDuck: 0,
      socketMode: null,
      nodeEnv: 'production',
      dispatch: 'shared',
      balance: 'auto',
      sticky: 'off',
      stickyCookie: 'rom-agent',
      maxOldSpaceSize: 512,
      maxSemiSpaceSize: 16,
      memoryBudget: null,
      bootTimeout: 30_000,
      drainTimeout: 30_000,
      fleet: {
        ...{ redisUrl: null, redisUrlFile: null, name: 'rom-agent', host: null, tlsCa: null },
        ...{ canaryHost: null, reload: 'one-at-a-time' },
      },
      linger: 500,
      hangTimeout: 10_000,
      orphanTimeout: 5000,
      websockets: 'close',
      redact: 'on',
      spares: 0,
      maxAge: 0,
      maxRequests: 0,
      scale: { target: 70, downAfter: 300_000 },
      start: { probe: null },
      health: {
        slowDelay: 500,
        slowLimit: 30_000,
        check: null,
        checkInterval: 10_000,
        checkTimeout: 5_000,
        checkFailures: 3,
        probe: null,
        masterTimeout: 30_000,
        capture: 'on',
        stallReport: 500,
      },
      accessLog: {
        format: 'off',
        file: null,
        sample: 100,
        errors: 'on',
        slow: 0,
        requestId: 'on',
        trustedProxies: [],
      },
      memory: { maxRss: null, maxHeap: 90, pressure: 90, trim: 'on' },
      poison: {
        deaths: 3,
        window: 600_000,
        block: 0,
        cell: 'off',
        cellRequests: 4,
        cellTimeout: 30_000,
        cellMemory: null,
      },
      restart: {
        intensity: 25,
        window: 60_000,
        crashDelay: 100,
        crashDelayMax: 5000,
        bootDelay: 1000,
        bootDelayMax: 30_000,
      },
      reload: {
        soak: 5_000,
        probe: '/healthz',
        probeTimeout: 5_000,
        maxErrors: 5,
        maxLatency: 4,
        mirror: 'off',
        mirrorRoutes: [],
        mirrorCredentials: 'off',
        mirrorRate: 50,
        mirrorRequests: 200,
        mirrorTime: 30_000,
        mirrorDifferences: 100,
      },
      controlSocket: '/run/rom-agent/control.sock',
      stateDir: '/var/lib/rom-agent',
      metrics: { enabled: 'on', http: 'on', app: 'off' },
      log: { level: 'info', format: 'auto', dir: null, statsInterval: 60_000 },
      record: { size: 8 },
      admin: null,
      adminTokenFile: null,
      adminSocketMode: 0o600,
      notify: {
        command: [],
        webhook: null,
        webhookFile: null,
        tokenFile: null,
        interval: 600_000,
        unhealthyAfter: 60_000,
      },
      deploy: {
        source: null,
        ref: null,
        sha256: null,
        directory: '/var/lib/rom-agent/deploy',
        install: [],
        build: [],
        test: [],
        steps: [],
        stepTimeout: 600_000,
        fetchTimeout: 300_000,
        user: null,
        env: {},
        keep: 5,
        minFree: 512,
        minFreeInodes: 50_000,
        schedule: null,
        window: null,
        hookSecretFile: null,
        hookBranch: null,
      },
      routesPrefix: null,
      dotenv: {},
      jobs: [],
    });
  });

  test('is frozen to the bottom', async () => {
    const loaded = await load({ files: { '/srv/cwd/.env': 'A=1\n' } });
    assert.throws(() => Object.assign(loaded.config, { port: 1 }), TypeError);
    assert.throws(() => Object.assign(loaded.config.log, { level: 'trace' }), TypeError);
    assert.throws(() => Object.assign(loaded.config.dotenv, { B: '2' }), TypeError);
    assert.throws(() => Object.assign(loaded.origins, { port: 'x' }), TypeError);
  });

  test('says where computed values come from', async () => {
    const { origins } = await load();
    assert.equal(origins.workers, 'default: CPU affinity');
    assert.equal(origins['restart.intensity'], 'default: 5 + 5 per worker');
    assert.equal(origins.port, 'default');
  });
});

describe('precedence', () => {
  const files = { '/srv/cwd/.env': 'PORT=3\n', [etc]: 'port = 4\n' };
  const flags = { port: '1' };
  const env = { PORT: '2' };

  for (const [title, input, port, origin] of [
    ['a flag heartbeats everything', { flags, env, files }, 1, '--port'],
    ['the environment heartbeats .env and the file', { env, files }, 2, 'PORT in the environment'],
    ['.env heartbeats the file', { files }, 3, 'PORT in .env'],
    ['an empty variable counts as unset', { env: { PORT: '' }, files }, 3, 'PORT in .env'],
    ['the file heartbeats the default', { files: { [etc]: 'port = 4\n' } }, 4, etc],
  ] as const) {
    test(title, async () => {
      const loaded = await load(input);
      assert.deepEqual([loaded.config.port, loaded.origins.port], [port, origin]);
    });
  }

  test('WORKERS heartbeats WEB_CONCURRENCY, and WEB_CONCURRENCY of the environment heartbeats WORKERS of .env', async () => {
    const both = await load({ env: { WORKERS: '2', WEB_CONCURRENCY: '3' } });
    assert.deepEqual([both.config.workers, both.origins.workers], [2, 'WORKERS in the environment']);
    const dotenv = { '/srv/cwd/.env': 'WORKERS=2\n' };
    assert.equal((await config({ env: { WEB_CONCURRENCY: '3' }, files: dotenv })).workers, 3);
  });

  test('a wrong value that is overridden is not looked at, unless the file has it', async () => {
    assert.equal((await config({ flags, env: { PORT: 'x' } })).port, 1);
    assert.deepEqual(await fields({ flags, files: { [etc]: 'port = "x"\n' } }), ['port']);
  });

  test('every setting has its own flag, variable and key, and each of them reaches it', async () => {
    const names = keys.flatMap((key) => [flagNameOf(key), ...variablesOf(key), key]);
    assert.equal(new Set(names).size, names.length - keys.filter((key) => flagNameOf(key) === key).length);
    for (const key of keys) {
      const wrong = '\0';
      assert.deepEqual(await fields({ flags: { [flagNameOf(key)]: wrong } }), [key]);
      for (const name of variablesOf(key)) assert.deepEqual(await fields({ env: { [name]: wrong } }), [key]);
      const [name = '', section] = key.split('.').reverse();
      const toml = `${section === undefined ? '' : `[${section}]\n`}${name} = [[]]\n`;
      assert.deepEqual(await fields({ files: { [etc]: toml } }), [key]);
    }
  });

  test('the names of variables are those that are documented', () => {
    assert.deepEqual(variablesOf('drain_timeout'), ['ROM_AGENT_DRAIN_TIMEOUT']);
    assert.deepEqual(variablesOf('restart.crash_delay_max'), ['ROM_AGENT_RESTART_CRASH_DELAY_MAX']);
    const common = ['PORT', 'HOST', 'NODE_ENV', 'WORKERS', 'WEB_CONCURRENCY', 'MAX_OLD_SPACE_SIZE'];
    const own = keys.flatMap(variablesOf).filter((name) => !name.startsWith('ROM_AGENT_'));
    assert.deepEqual(own.sort(), [...common, 'REDIS_URL', 'LOG_LEVEL', 'LOG_FORMAT', 'LOG_DIR'].sort());
  });
});

describe('values', () => {
  for (const [written, millis] of [
    ['0.5s', 500],
    ['500ms', 500],
    ['30s', 30_000],
    ['1.5s', 1500],
    ['2m', 120_000],
    ['1h', 3_600_000],
  ] as const) {
    test(`the time ${written} is ${millis} ms`, async () => {
      const input = { flags: { bootTimeout: written } };
      assert.equal((await config(input)).bootTimeout, millis);
    });
  }

  test('a time in TOML is a string with a unit', async () => {
    const toml = 'boot_timeout = "7s"\ndrain_timeout = "1500ms"\nhang_timeout = "0.05m"\nlinger = 0\n';
    const { bootTimeout, drainTimeout, hangTimeout } = await config({ files: { [etc]: toml } });
    assert.deepEqual([bootTimeout, drainTimeout, hangTimeout], [7000, 1500, 3000]);
  });

  for (const [source, given] of [
    ['a flag', { flags: { drainTimeout: '30000' } }],
    ['the environment', { env: { ROM_AGENT_DRAIN_TIMEOUT: '30000' } }],
    ['.env', { files: { '/work/.env': 'ROM_AGENT_DRAIN_TIMEOUT=30000\n' }, cwd: '/work' }],
    ['TOML', { files: { [etc]: 'drain_timeout = 30000\n' } }],
  ] as const) {
    test(`a time without a unit is refused in ${source}, and the error says what either unit would mean`, async () => {
      const [problem, ...others] = await refused(given);
      assert.deepEqual(others, []);
      assert.equal(problem?.field, 'drain_timeout');
      assert.equal(problem?.expected, 'a time with a unit: "30000ms" is 30 s, "30000s" is 8.3 h');
    });
  }

  for (const wrong of ['', ' ', '-1', '30 s', '30S', '1e3', 'abc', '30d', '0', '2h', 'Infinity']) {
    test(`the time ${JSON.stringify(wrong)} is refused as boot_timeout`, async () => {
      assert.deepEqual(await fields({ flags: { bootTimeout: wrong } }), ['boot_timeout']);
    });
  }

  test('a time may be 0 where that has a meaning', async () => {
    const { linger, orphanTimeout, log } = await config({
      flags: { linger: '0', orphanTimeout: '0s', logStatsInterval: '0' },
    });
    assert.deepEqual([linger, orphanTimeout, log.statsInterval], [0, 0, 0]);
    assert.deepEqual(await fields({ flags: { hangTimeout: '999ms', logStatsInterval: '0.5' } }), [
      'hang_timeout',
      'log.stats_interval',
    ]);
  });

  for (const [written, bits] of [
    ['0660', 0o660],
    ['660', 0o660],
    ['0o600', 0o600],
  ] as const) {
    test(`the permission bits ${written} are octal`, async () => {
      assert.equal((await config({ flags: { socketMode: written } })).socketMode, bits);
    });
  }

  test('permission bits that may be meant as decimal, or are none, are refused', async () => {
    assert.deepEqual(await fields({ files: { [etc]: 'socket_mode = 660\n' } }), ['socket_mode']);
    assert.deepEqual(await fields({ flags: { socketMode: '0680' } }), ['socket_mode']);
  });

  for (const host of [
    'localhost',
    '0.0.0.0',
    '::',
    '::1',
    'fe80::1%eth0',
    '/run/app.sock',
    'a-b.example_c.org',
  ]) {
    test(`the host ${host} is taken`, async () => {
      assert.equal((await config({ env: { HOST: host } })).host, host);
    });
  }

  for (const host of ['localhost:80', '[::1]', 'http://x', './app.sock', 'a b', '/run/', '@abstract']) {
    test(`the host ${host} is refused`, async () => {
      assert.deepEqual(await fields({ env: { HOST: host } }), ['host']);
    });
  }

  for (const [prefix, taken] of [
    ['/_ops', true],
    ['/a/b', true],
    ['/', false],
    ['ops', false],
    ['/ops/', false],
    ['/a//b', false],
  ] as const) {
    test(`the routes prefix ${prefix} is ${taken ? 'taken' : 'refused'}`, async () => {
      const result = await load({ flags: { routesPrefix: prefix } }).then(
        () => true,
        () => false,
      );
      assert.equal(result, taken);
    });
  }

  test('integers are whole, in range and, in TOML, no strings', async () => {
    for (const port of ['65536', '-1', '1.5', '0x10', '1e3', ' 1']) {
      assert.deepEqual(await fields({ env: { PORT: port } }), ['port'], port);
    }
    for (const port of ['65536', '-1', '1.5', '"3000"', 'true', 'nan']) {
      assert.deepEqual(await fields({ files: { [etc]: `port = ${port}\n` } }), ['port'], port);
    }
  });
});

describe('paths', () => {
  test('relative ones start at the working directory for flags and variables', async () => {
    const loaded = await config({ flags: { app: 'app.js' }, env: { LOG_DIR: './logs' } });
    assert.deepEqual([loaded.app, loaded.log.dir], ['/srv/cwd/app.js', '/srv/cwd/logs']);
    assert.equal((await config({ env: { ROM_AGENT_APP: '../app.js' } })).app, '/srv/app.js');
  });

  test('relative ones start at the directory of the file that has them', async () => {
    const files = { '/srv/shop/conf/a.toml': 'app = "../app.js"\n[log]\ndir = "logs"\n' };
    const loaded = await config({ flags: { config: '../shop/conf/a.toml' }, files });
    assert.deepEqual([loaded.app, loaded.log.dir], ['/srv/shop/app.js', '/srv/shop/conf/logs']);
  });

  test('absolute ones are left alone', async () => {
    assert.equal((await config({ files: { [etc]: 'app = "/x/app.js"\n' } })).app, '/x/app.js');
  });
});

describe('modes', () => {
  test('single has one worker, and more cannot be asked for', async () => {
    const loaded = await load({ flags: { mode: 'single' } });
    assert.deepEqual([loaded.config.workers, loaded.origins.workers], [1, 'default: mode single']);
    assert.equal((await config({ flags: { mode: 'single', workers: '1' } })).workers, 1);
    assert.equal((await config({ flags: { mode: 'single', workers: 'auto' } })).workers, 1);
    const hinted = await load({ flags: { mode: 'single' }, env: { WEB_CONCURRENCY: '4' } });
    assert.deepEqual(
      [hinted.config.workers, hinted.origins.workers],
      [1, 'mode single, over WEB_CONCURRENCY in the environment'],
    );
    const [problem] = await refused({ flags: { mode: 'single' }, env: { WORKERS: '4' } });
    assert.deepEqual(problem, {
      field: 'workers',
      value: '4',
      source: 'WORKERS in the environment',
      expected: '1 in mode single (from --mode), or mode cluster or turbo',
    });
  });

  test('turbo shares 8192 MiB among the workers and sizes the semi-space', async () => {
    const { maxOldSpaceSize, maxSemiSpaceSize } = await config({ flags: { mode: 'turbo' } });
    assert.deepEqual([maxOldSpaceSize, maxSemiSpaceSize], [2048, 64]);
  });

  test('turbo takes 80 % of a smaller machine, but a budget that is set as it is', async () => {
    const machine = { ...fourCpus, memory: 1000, memoryFrom: 'cgroup memory limit' };
    const small = await load({ flags: { mode: 'turbo' }, machine });
    assert.equal(small.config.maxOldSpaceSize, 200);
    assert.equal(small.origins.memory_budget, 'default: 80 % of the cgroup memory limit');
    assert.equal(
      (await config({ flags: { mode: 'turbo', memoryBudget: '4000' }, machine })).maxOldSpaceSize,
      1000,
    );
  });

  test("the heap follows the cgroup's memory and the number of workers, spares included, unless it is set", async () => {
    const limited = (memory: number) => ({
      ...fourCpus,
      memory,
      memoryFrom: 'cgroup memory limit',
      memoryIsLimited: true,
    });
    const heap = async (memory: number, flags = {}) =>
      (await config({ flags, machine: limited(memory) })).maxOldSpaceSize;
    assert.equal(await heap(1024), 166);
    assert.equal(await heap(16_384), 3_622);
    assert.equal(await heap(1024, { workers: '1' }), 809);
    assert.equal(await heap(1024, { workers: '1', spares: '1' }), 380);
    assert.equal(await heap(100), 32, 'what a worker cannot do without');
    assert.equal(await heap(1024, { maxOldSpaceSize: '700' }), 700);
    const { origins } = await load({ machine: limited(1024) });
    assert.equal(origins.max_old_space_size, 'default: a share of the cgroup memory limit');
  });

  test('turbo refuses a budget that is too small for its workers', async () => {
    const machine = { ...fourCpus, memory: 100 };
    assert.deepEqual(await fields({ flags: { mode: 'turbo' }, machine }), ['memory_budget']);
    assert.deepEqual(await fields({ flags: { mode: 'turbo', memoryBudget: '127' } }), ['memory_budget']);
    assert.equal((await config({ flags: { mode: 'turbo', memoryBudget: '128' } })).maxOldSpaceSize, 32);
  });

  test('a heap and a semi-space that are set are kept in turbo, if they fit a budget that is set', async () => {
    const flags = { mode: 'turbo', maxOldSpaceSize: '3000', maxSemiSpaceSize: '16' };
    const loaded = await config({ flags });
    assert.deepEqual([loaded.maxOldSpaceSize, loaded.maxSemiSpaceSize], [3000, 16]);
    assert.deepEqual(await fields({ flags: { ...flags, memoryBudget: '8192' } }), ['max_old_space_size']);
  });

  test('a budget does nothing in the other modes', async () => {
    assert.equal((await config({ flags: { memoryBudget: '64' } })).maxOldSpaceSize, 512);
  });

  test('workers are counted in the intensity unless it is set', async () => {
    assert.equal((await config({ flags: { workers: '7' } })).restart.intensity, 40);
    assert.equal((await config({ flags: { restartIntensity: '0' } })).restart.intensity, 0);
  });
});

describe('settings that must fit each other', () => {
  test('linger is less than drain_timeout, and the one that was set is blamed', async () => {
    const [low] = await refused({ flags: { linger: '30s' } });
    assert.deepEqual([low?.field, low?.value, low?.source], ['linger', '30s', '--linger']);
    assert.equal(low?.expected, 'less than drain_timeout, which is 30s (from default)');
    const [high] = await refused({ flags: { drainTimeout: '400ms' } });
    assert.deepEqual(
      [high?.field, high?.expected],
      ['drain_timeout', 'more than linger, which is 500ms (from default)'],
    );
  });

  test('a delay is at most its longest one', async () => {
    assert.equal((await config({ flags: { restartCrashDelay: '5s' } })).restart.crashDelay, 5000);
    assert.deepEqual(await fields({ flags: { restartCrashDelay: '6s', restartBootDelayMax: '10ms' } }), [
      'restart.crash_delay',
      'restart.boot_delay_max',
    ]);
  });

  test('a value that is wrong by itself is not reported a second time', async () => {
    assert.deepEqual(await fields({ flags: { drainTimeout: 'x', linger: '40s' } }), ['drain_timeout']);
  });

  for (const [nodeVersion, platform, taken] of [
    ['20.19.0', 'linux', false],
    ['22.11.0', 'linux', false],
    ['22.12.0', 'linux', true],
    ['23.0.0', 'linux', false],
    ['23.1.0', 'linux', true],
    ['24.0.0', 'linux', true],
    ['24.0.0', 'darwin', false],
  ] as const) {
    test(`reuseport is ${taken ? 'taken' : 'refused'} by Node ${nodeVersion} on ${platform}`, async () => {
      const input = { flags: { dispatch: 'reuseport' }, nodeVersion, platform };
      if (taken) assert.equal((await config(input)).dispatch, 'reuseport');
      else
        assert.match(
          (await refused(input))[0]?.expected ?? '',
          new RegExp(`Node ${nodeVersion} on ${platform}`),
        );
    });
  }

  test('spares wait for the listener of the master, which reuseport has not', async () => {
    const input = { nodeVersion: '24.0.0', platform: 'linux' } as const;
    assert.deepEqual(await refused({ ...input, flags: { dispatch: 'reuseport', spares: '1' } }), [
      {
        field: 'spares',
        value: '1',
        source: '--spares',
        expected: '0 with dispatch reuseport (from --dispatch)',
      },
    ]);
    assert.equal((await config({ flags: { spares: '1' } })).spares, 1);
  });

  test('a port is waited for by asking the master again, which reuseport does not do', async () => {
    const input = { nodeVersion: '24.0.0', platform: 'linux' } as const;
    assert.deepEqual(await refused({ ...input, flags: { dispatch: 'reuseport', listenWait: '5s' } }), [
      {
        field: 'listen_wait',
        value: '5s',
        source: '--listen-wait',
        expected: '0 with dispatch reuseport (from --dispatch)',
      },
    ]);
    assert.equal((await config({ flags: { listenWait: '5s' } })).listenWait, 5_000);
  });

  test('ports of the workers that another server of the service has are refused', async () => {
    const refusal = async (flags: Record<string, string>) => (await refused({ flags }))[0]?.expected;
    const flags = { workers: '4', workerPorts: '2998' };
    assert.equal(
      await refusal(flags),
      'ports of their own: 2998 to 3001, for 4 workers, have 3000 among them',
    );
    assert.equal(
      await refusal({ ...flags, port: '8000', admin: '127.0.0.1:2999' }),
      'ports of their own: 2998 to 3001, for 4 workers, have 2999 among them',
    );
    assert.equal(await refusal({ workers: '4', workerPorts: '65533' }), 'at most 65532 for 4 workers');
    assert.equal(
      await refusal({ ...flags, port: '8000', sticky: 'cookie' }),
      'none with sticky (from --sticky), which sends clients to other workers',
    );
    assert.equal((await config({ flags: { ...flags, port: '8000' } })).workerPorts, 2_998);
  });

  test('a resident set that holds no more than the heap may is refused', async () => {
    const flags = { memoryMaxRss: '512', maxOldSpaceSize: '512' };
    const [problem] = await refused({ flags });
    assert.equal(problem?.field, 'memory.max_rss');
    assert.equal(
      problem?.expected,
      'more than max_old_space_size, the heap that a worker may use, which is 512 MiB (from --max-old-space-size)',
    );
    assert.equal((await config({ flags: { ...flags, memoryMaxRss: '513' } })).memory.maxRss, 513);
  });

  test('a resident set that holds no more than the heap that was computed is refused, with the remedy', async () => {
    const [problem] = await refused({ flags: { memoryMaxRss: '400' } });
    assert.equal(
      problem?.expected,
      'more than max_old_space_size, the heap that a worker may use, which is 512 MiB (from default); ' +
        'or set max_old_space_size to less than 400 MiB',
    );
    const machine = { ...fourCpus, memory: 1024, memoryIsLimited: true };
    assert.equal((await config({ machine, flags: { memoryMaxRss: '400' } })).memory.maxRss, 400);
  });

  test("a unix socket's path fits the address", async () => {
    const path = (bytes: number) => `/${'a'.repeat(bytes - 1)}`;
    assert.equal((await config({ env: { HOST: path(107) } })).host, path(107));
    assert.deepEqual(await fields({ env: { HOST: path(108) } }), ['host']);
    assert.deepEqual(await fields({ env: { HOST: `/${'é'.repeat(54)}` } }), ['host']);
    assert.equal((await config({ env: { HOST: path(103) }, platform: 'darwin' })).host, path(103));
    assert.deepEqual(await fields({ env: { HOST: path(104) }, platform: 'darwin' }), ['host']);
  });
});

describe('.env', () => {
  test('is handed on where the environment sets nothing', async () => {
    const files = { '/srv/cwd/.env': 'URL="a b"\nDEBUG=1\nTAKEN=no\nPORT=5\n' };
    const loaded = await config({ env: { DEBUG: '', TAKEN: 'yes', PORT: '' }, files });
    assert.deepEqual(loaded.dotenv, { URL: 'a b', PORT: '5' });
    assert.equal(loaded.port, 5);
  });

  test('that is a directory is none, one that cannot be read is an error', async () => {
    const path = '/srv/cwd/.env';
    assert.deepEqual((await config({ files: { [path]: fileError('EISDIR', path) } })).dotenv, {});
    assert.deepEqual(await fields({ files: { [path]: fileError('EACCES', path) } }), ['.env']);
  });
});

describe('the configuration file', () => {
  test('is named by --config, then ROM_AGENT_CONFIG of the environment, then of .env', async () => {
    const files = {
      '/srv/cwd/flag.toml': 'port = 1\n',
      '/env.toml': 'port = 2\n',
      '/dotenv.toml': 'port = 3\n',
      '/srv/cwd/.env': 'ROM_AGENT_CONFIG=/dotenv.toml\n',
      [etc]: 'port = 4\n',
    };
    const env = { ROM_AGENT_CONFIG: '/env.toml' };
    const flagged = await load({ flags: { config: 'flag.toml' }, env, files });
    assert.deepEqual([flagged.config.port, flagged.file], [1, '/srv/cwd/flag.toml']);
    assert.equal((await config({ env, files })).port, 2);
    assert.equal((await config({ files })).port, 3);
  });

  test('must exist where it is named, and be readable where it exists', async () => {
    const [missing] = await refused({ flags: { config: '/no.toml' } });
    assert.deepEqual([missing?.field, missing?.value, missing?.source], ['config', '/no.toml', '--config']);
    assert.match(missing?.expected ?? '', /ENOENT/);
    assert.deepEqual(await fields({ files: { [etc]: fileError('EACCES', etc) } }), ['config']);
  });

  test('with a syntax error is refused with line and column, beside what else is wrong', async () => {
    const problems = await refused({ env: { PORT: 'x' }, files: { [etc]: 'port = 1\nhost = = 2\n' } });
    assert.deepEqual(
      problems.map(({ field }) => field),
      ['config', 'port'],
    );
    assert.equal(problems[0]?.value, 'host = = 2');
    assert.match(problems[0]?.expected ?? '', /line 2, column 8/);
  });

  for (const [toml, hint] of [
    ['prot = 1', 'did you mean port?'],
    ['[job.report]\nschedule = "@daily"', 'did you mean jobs, [jobs.NAME]?'],
    ['[fleet]\nredis = "redis://a"', 'did you mean fleet.redis_url?'],
    ['drainTimeout = 1', 'did you mean drain_timeout?'],
    ['drain-timeot = 1', 'did you mean drain_timeout?'],
    ['log_level = "info"', 'did you mean log.level (in the section [log])?'],
    ['level = "info"', 'did you mean log.level (in the section [log])?'],
    ['"log.level" = "info"', 'did you mean log.level (in the section [log])?'],
    ['[log]\nlevle = "info"', 'did you mean log.level?'],
    ['[log]\nport = 1', 'did you mean port (above the first section)?'],
    ['[logs]\nlevel = 1', 'a setting that exists'],
    ['zzz = 1', 'a setting that exists'],
    ['log = "info"', 'a section, [log]'],
  ] as const) {
    test(`with ${JSON.stringify(toml)} is answered "${hint}"`, async () => {
      const problems = await refused({ files: { [etc]: `${toml}\n` } });
      assert.equal(problems.length, 1);
      assert.ok(problems[0]?.expected.endsWith(hint), problems[0]?.expected);
    });
  }
});

describe('everything that is wrong', () => {
  test('is reported at once, with value, source and what would be right', async () => {
    const problems = await refused({
      flags: { mode: 'fast', hangTimeout: '1ms' },
      env: { PORT: '70000', LOG_LEVEL: 'loud' },
      files: {
        '/srv/cwd/.env': 'WORKERS=0\n',
        [etc]: 'linger = "1m"\nunknown_thing = 1\n[log]\nformat = 3\n[restart]\nintensity = -1\n',
      },
    });
    const found = Object.fromEntries(problems.map(({ field, source }) => [field, source]));
    assert.deepEqual(found, {
      mode: '--mode',
      hang_timeout: '--hang-timeout',
      port: 'PORT in the environment',
      'log.level': 'LOG_LEVEL in the environment',
      workers: 'WORKERS in .env',
      linger: etc,
      unknown_thing: etc,
      'log.format': etc,
      'restart.intensity': etc,
    });
    assert.deepEqual(
      problems.find(({ field }) => field === 'port'),
      {
        field: 'port',
        value: '70000',
        source: 'PORT in the environment',
        expected: 'an integer from 0 to 65535',
      },
    );
  });
});
