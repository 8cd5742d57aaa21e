import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { runCheck } from '../../../src/cli/start/config.js';
import { keys } from '../../../src/settings/settings.js';
import { loadInput } from '../../support/load-input.js';

const etc = '/etc/rom-agent/rom-agent.toml';
const secret = { '/srv/cwd/.env': 'DATABASE_URL=postgres://secret\n' };

describe('rom-agent check', () => {
  test('prints every setting, its value and where it comes from, in columns', async () => {
    const input = loadInput({ flags: { drainTimeout: '2m' }, files: { [etc]: 'port = 8080\n' } });
    const { text, errors, exitCode } = await runCheck({ input });
    assert.deepEqual([errors, exitCode], ['', 0]);
    const lines = text.split('\n');
    assert.deepEqual(lines[0]?.split(/ {2,}/), ['setting', 'value', 'from']);
    assert.deepEqual(
      lines.slice(1, keys.length + 1).map((line) => line.split(' ')[0]),
      keys,
    );
    assert.match(text, /^drain_timeout +2m +--drain-timeout$/m);
    assert.match(text, /^port +8080 +\/etc\/rom-agent\/rom-agent\.toml$/m);
    assert.match(text, /^workers +4 +default: CPU affinity$/m);
    assert.match(text, /^Configuration file: \/etc\/rom-agent\/rom-agent\.toml$/m);
    const columns = new Set(lines.slice(0, keys.length + 1).map((line) => /^\S+ +/.exec(line)?.[0].length));
    assert.equal(columns.size, 1);
  });

  test('says where the admin server or the webhook would have no secret, and does not say the secret', async () => {
    const lines = `admin = "127.0.0.1:9464"\nadmin_token_file = "/etc/token"\n[deploy]\nsource = "/srv/shop"\nhook_secret_file = "/etc/hook"\n`;
    const check = (files: Record<string, string>) => {
      const input = loadInput({ files: { [etc]: lines, ...files } });
      return runCheck({ input });
    };
    const good = await check({ '/etc/token': `${'t'.repeat(16)}\n`, '/etc/hook': 'h'.repeat(16) });
    assert.deepEqual([good.errors, good.exitCode], ['', 0]);
    const short = await check({ '/etc/token': 'hunter2', '/etc/hook': 'two words of a secret' });
    assert.equal(short.exitCode, 78);
    assert.match(
      short.errors,
      /^admin_token_file: \/etc\/token \(from .*\) is not right: expected one line of 16 .*\ndeploy\.hook_secret_file: /,
    );
    assert.doesNotMatch(short.errors, /hunter2|two words/);
    const gone = await check({ '/etc/token': 't'.repeat(16) });
    assert.equal(gone.exitCode, 66);
    assert.match(gone.errors, /^deploy\.hook_secret_file: \/etc\/hook \(from .*\) does not exist\n$/);
  });

  test('names the variables of .env and keeps their values to itself', async () => {
    for (const json of [false, true]) {
      const { text } = await runCheck({ input: loadInput({ files: secret }), json });
      assert.match(text, /DATABASE_URL/);
      assert.doesNotMatch(text, /secret(?!_file)/);
    }
  });

  test('prints what differs from the defaults alone where that is asked for', async () => {
    const files = { [etc]: 'port = 3000\ndrain_timeout = "45s"\n' };
    const input = loadInput({ files, flags: { workers: '4', mode: 'cluster' } });
    const { text } = await runCheck({ input, changed: true });
    assert.deepEqual(text.split('\n').slice(0, 4), [
      'setting        value  from',
      'workers        4      --workers',
      `drain_timeout  45s    ${etc}`,
      '',
    ]);
    const json = await runCheck({ input, changed: true, json: true });
    assert.deepEqual(Object.keys(JSON.parse(json.text).settings), ['workers', 'drain_timeout']);
    const none = await runCheck({ input: loadInput(), changed: true });
    assert.match(
      none.text,
      /^every setting has its default\n\nConfiguration file: none\nWorking directory of the workers: /,
    );
  });

  test('prints JSON where that is asked for', async () => {
    const input = loadInput({ env: { ROM_AGENT_LINGER: '1s' }, files: secret });
    const { text } = await runCheck({ input, json: true });
    const { file, dotenv, settings } = JSON.parse(text);
    assert.deepEqual([file, dotenv], [null, ['DATABASE_URL']]);
    assert.deepEqual(Object.keys(settings).sort(), [...keys].sort());
    assert.deepEqual(settings.linger, { value: 1000, from: 'ROM_AGENT_LINGER in the environment' });
  });

  test('says in which directory the workers run, and why', async () => {
    const files = { '/srv/shop/package.json': '{"name":"shop"}' };
    const input = loadInput({ flags: { app: '/srv/shop/dist/server.js' }, files });
    const options = { input, exists: () => true, realpath: (path: string) => path };
    const { text } = await runCheck(options);
    assert.match(
      text,
      /^Working directory of the workers: \/srv\/shop \(the nearest package.json above the app\)$/m,
    );
    const json = await runCheck({ ...options, json: true });
    assert.equal(JSON.parse(json.text).workingDirectory.path, '/srv/shop');
  });

  test('refuses a configured working directory that is not there, with 66', async () => {
    const input = loadInput({ flags: { workingDirectory: '/srv/none' } });
    const { errors, exitCode } = await runCheck({ input, exists: () => false });
    assert.equal(errors, 'working_directory: "/srv/none" (from --working-directory) does not exist\n');
    assert.equal(exitCode, 66);
  });

  test('prints every error, one a line, and exits with 78', async () => {
    const input = loadInput({ env: { PORT: 'x', LOG_LEVEL: 'loud' } });
    const { text, errors, exitCode } = await runCheck({ input });
    assert.deepEqual([text, exitCode], ['', 78]);
    const [port, level, end] = errors.split('\n');
    assert.equal(
      port,
      'port: "x" (from PORT in the environment) is not right: expected an integer from 0 to 65535',
    );
    assert.match(level ?? '', /^log\.level: "loud" .* expected one of "trace", /);
    assert.equal(end, '');
  });

  test('prints the errors as JSON, too', async () => {
    const { text, exitCode } = await runCheck({ input: loadInput({ env: { PORT: 'x' } }), json: true });
    assert.equal(JSON.parse(text).problems[0].field, 'port');
    assert.equal(exitCode, 78);
  });

  test('says that what a job runs does not exist, and how the first release is made', async () => {
    const path = '/etc/rom-agent/rom-agent.toml';
    const check = (toml: string) =>
      runCheck({
        input: loadInput({ files: { [path]: toml } }),
        exists: (file) => file === '/bin/sh',
      });
    const job = await check('[jobs.report]\nschedule = "@daily"\nmodule = "/srv/report.mjs"');
    assert.equal(job.errors, `jobs.report.module: "/srv/report.mjs" (from ${path}) does not exist\n`);
    assert.equal(job.exitCode, 66);
    const command = await check('[jobs.report]\nschedule = "@daily"\ncommand = ["/srv/report"]');
    assert.match(command.errors, /^jobs\.report\.command: "\/srv\/report" .*does not exist$/m);
    assert.equal((await check('[jobs.a]\nschedule = "@daily"\ncommand = "report"')).exitCode, 0);
    const first = await check('app = "/srv/current/server.js"\n[deploy]\nsource = "/srv/shop.git"');
    assert.match(first.errors, /does not exist; rom-agent deploy --init makes the first release$/m);
  });

  test('says that the app does not exist and exits with 66', async () => {
    const input = loadInput({ flags: { app: 'nope.js' } });
    const missing = await runCheck({ input, exists: () => false });
    assert.equal(missing.errors, 'app: "/srv/cwd/nope.js" (from the argument) does not exist\n');
    assert.equal(missing.exitCode, 66);
    assert.match(missing.text, /^app +\/srv\/cwd\/nope\.js +the argument$/m);
    const found = await runCheck({ input, exists: (path) => path === '/srv/cwd/nope.js' });
    assert.deepEqual([found.errors, found.exitCode], ['', 0]);
  });
});
