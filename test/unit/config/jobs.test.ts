import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inspectConfig } from '../../../src/config/load.js';
import { ConfigError } from '../../../src/errors.js';
import { loadInput } from '../../support/load-input.js';

const file = '/etc/rom-agent/rom-agent.toml';

async function inspect(toml: string) {
  const { loaded, problems } = await inspectConfig(loadInput({ files: { [file]: toml } }));
  return {
    jobs: loaded.config.jobs,
    message: problems.length === 0 ? '' : new ConfigError(problems).message,
  };
}

describe('[jobs.NAME]', () => {
  test('has defaults for all but what runs, and when', async () => {
    const { jobs, message } = await inspect(
      '[jobs.report]\nschedule = "0 2 * * *"\ncommand = ["/bin/report"]\n',
    );
    assert.equal(message, '');
    assert.deepEqual(jobs, [
      {
        ...{ name: 'report', schedule: '0 2 * * *', timezone: null },
        work: { kind: 'command', command: ['/bin/report'] },
        ...{ timeout: 3_600_000, overlap: 'skip', missed: 'once', retries: 0, backoff: 10_000, jitter: 0 },
        ...{ memoryLimit: null, onStop: 'wait', onLost: 'report', env: {}, enabled: true },
      },
    ]);
  });

  test('takes a line for the shell, a function of a module, and a request', async () => {
    const { jobs, message } = await inspect(`
[jobs.line]
schedule = "@daily"
command = "backup | gzip > /tmp/x"
[jobs.module]
schedule = "*/5 * * * * *"
module = "./jobs/report.mjs"
function = "nightly"
[jobs.request]
schedule = "0 2 * * *"
timezone = "America/Sao_Paulo"
request = "POST /jobs/report"
body = '{"all":true}'
timeout = "10m"
overlap = "queue"
missed = "skip"
retries = 3
backoff = "30s"
jitter = "5m"
memory_limit = 512
on_stop = "end"
on_lost = "rerun"
env = { TO = "ops@example.com" }
enabled = false
`);
    assert.equal(message, '');
    assert.deepEqual(
      jobs.map(({ work }) => work),
      [
        { kind: 'command', command: ['/bin/sh', '-c', 'backup | gzip > /tmp/x'] },
        { kind: 'module', path: '/etc/rom-agent/jobs/report.mjs', export: 'nightly' },
        { kind: 'request', method: 'POST', path: '/jobs/report', body: '{"all":true}' },
      ],
    );
    const { work: _, ...rest } = jobs[2] ?? { work: null };
    assert.deepEqual(rest, {
      ...{ name: 'request', schedule: '0 2 * * *', timezone: 'America/Sao_Paulo', timeout: 600_000 },
      ...{ overlap: 'queue', missed: 'skip', retries: 3, backoff: 30_000, jitter: 300_000 },
      ...{ memoryLimit: 512, onStop: 'end', onLost: 'rerun', env: { TO: 'ops@example.com' }, enabled: false },
    });
  });

  const wrong: readonly (readonly [toml: string, message: RegExp])[] = [
    ['jobs = 3', /jobs: .*expected a table for each job, \[jobs\.NAME\]/],
    ['[jobs]\nschedule = "@daily"', /jobs\.schedule: .*a section with the name of the job, \[jobs\.NAME\]/],
    ['[jobs."a b"]\nschedule = "@daily"\ncommand = "x"', /jobs\.a b: .*1 to 63 letters, digits/],
    [
      '[jobs.a]\ncommand = "x"',
      /jobs\.a\.schedule: missing in .*: expected a cron expression with 5 or 6 fields/,
    ],
    ['[jobs.a]\nschedule = "@daily"', /jobs\.a: missing in .*: expected one of command, module and request/],
    ['[jobs.a]\nschedule = "61 * * * *"\ncommand = "x"', /jobs\.a\.schedule: "61 \* \* \* \*".*minute/],
    ['[jobs.a]\nschedule = "* * *"\ncommand = "x"', /5 or 6 fields.*but: it has 3 fields/],
    ['[jobs.a]\nschedule = "@reboot"\ncommand = "x"', /but: it is none of @yearly/],
    [
      '[jobs.a]\nschedule = "@daily"\ntimezone = "Mars/Base"\ncommand = "x"',
      /jobs\.a\.timezone: "Mars\/Base".*time zone/,
    ],
    [
      '[jobs.a]\nschedule = "@daily"\ncommand = "x"\nmodule = "y"',
      /jobs\.a\.module: .*only one of command, module and request/,
    ],
    ['[jobs.a]\nschedule = "@daily"\ncommand = "x"\nfunction = "y"', /jobs\.a\.function: .*module beside it/],
    [
      '[jobs.a]\nschedule = "@daily"\nrequest = "FETCH /x"',
      /jobs\.a\.request: "FETCH \/x".*a method and a path/,
    ],
    ['[jobs.a]\nschedule = "@daily"\nrequest = "GET /x"\nbody = "y"', /jobs\.a\.body: .*no body with GET/],
    ['[jobs.a]\nschedule = "@daily"\ncommand = []', /jobs\.a\.command: .*an array such as/],
    ['[jobs.a]\nschedule = "@daily"\ncommand = "x"\ntimeout = 30', /jobs\.a\.timeout: 30.*"30s" is 30 s/],
    [
      '[jobs.a]\nschedule = "@daily"\ncommand = "x"\noverlap = "wait"',
      /jobs\.a\.overlap: "wait".*"skip", "queue", "replace"/,
    ],
    [
      '[jobs.a]\nschedule = "@daily"\ncommand = "x"\nenabled = "yes"',
      /jobs\.a\.enabled: "yes".*true or false/,
    ],
    ['[jobs.a]\nschedule = "@daily"\ncommand = "x"\nenv = { A = 1 }', /jobs\.a\.env: .*a table of strings/],
    [
      '[jobs.a]\nschedule = "@daily"\ncommand = "x"\nretires = 1',
      /jobs\.a\.retires: .*did you mean retries\?/,
    ],
    [
      '[jobs.a]\nschedule = "*/5 * * * *"\ncommand = "x"\njitter = "10m"',
      /jobs\.a\.jitter: "10m".*less than 5m/,
    ],
  ];
  for (const [toml, message] of wrong) {
    test(`names what is wrong: ${toml.replaceAll('\n', ' ')}`, async () => {
      const found = await inspect(toml);
      assert.match(found.message, message);
      assert.deepEqual(found.jobs, []);
    });
  }
});

test('deploy.schedule that is never due, or is none, is a mistake as that of a job is', async () => {
  const right = await inspect('[deploy]\nschedule = "30 2 * * 1-5"\n');
  assert.equal(right.message, '');
  const wrong: [string, RegExp][] = [
    ['61 * * * *', /deploy\.schedule: "61 \* \* \* \*".*five or six fields.*but: .*minute/],
    ['0 0 31 2 *', /deploy\.schedule: "0 0 31 2 \*".*but: no day ever fits it/],
    ['0 0 1 FOO *', /deploy\.schedule: /],
  ];
  for (const [pattern, message] of wrong)
    assert.match((await inspect(`[deploy]\nschedule = "${pattern}"\n`)).message, message);
});
