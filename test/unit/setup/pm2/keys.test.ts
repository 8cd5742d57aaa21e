import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { keyOf, pm2Keys } from '../../../../src/setup/pm2/keys.js';

/** The keys of PM2's schema, version 7.0.4; `make test-pm2` compares them with the PM2 that it installs. */
const schema =
  'script name name_prefix filter_env namespace install_url cwd args exec_interpreter node_args out_file error_file ' +
  'log_file disable_logs log_type log_date_format time env env_* max_memory_restart pid_file restart_delay ' +
  'exp_backoff_restart_delay source_map_support disable_source_map_support wait_ready instances kill_timeout ' +
  'shutdown_with_message listen_timeout cron_restart merge_logs vizion autostart autorestart stop_exit_codes ' +
  'watch_delay watch ignore_watch watch_options min_uptime max_restarts execute_command exec_mode force ' +
  'append_env_to_name post_update trace disable_trace v8 event_loop_inspector deep_monitoring increment_var ' +
  'instance_var pmx automation treekill port username uid gid windowsHide kill_retry_time write io';

describe('the keys of PM2', () => {
  test('are all known, and no other', () => {
    assert.deepEqual(Object.keys(pm2Keys).sort(), schema.split(' ').sort());
  });

  test('each have an answer to whatever value they have, in words', () => {
    const context = { name: 'shop', kind: 'server' as const, config: {}, cpus: 2 };
    for (const [name, { answer }] of Object.entries(pm2Keys)) {
      for (const value of [true, false, 0, 1, 5000, '1', 'x', '/dev/null', ['a'], {}]) {
        const outcome = answer?.(value, context);
        if (outcome !== undefined && outcome !== null)
          assert.match(outcome.says, /\S/, `${name}: ${JSON.stringify(value)}`);
      }
    }
  });

  test('are found under env_NAME', () => {
    assert.equal(keyOf('env_production'), pm2Keys['env_*']);
    assert.equal(keyOf('constructor'), null);
  });
});

describe('docs/how-to/migrate-from-pm2.md', () => {
  const path = 'docs/how-to/migrate-from-pm2.md';
  const [begin, end] = ['<!-- keys: begin -->', '<!-- keys: end -->'];

  test('has every key, as the table in the sources says', () => {
    const text = readFileSync(path, 'utf8');
    const [before, rest = ''] = text.split(begin);
    const [, after] = rest.split(end);
    const wanted = `${before}${begin}\n${tableOfKeys()}${end}${after}`;
    if (process.env.UPDATE_DOCS === '1') writeFileSync(path, wanted);
    assert.equal(readFileSync(path, 'utf8'), wanted, 'run the tests with UPDATE_DOCS=1 to write it anew');
  });
});

function tableOfKeys(): string {
  const rows = Object.entries(pm2Keys).map(([name, { aliases = [], page }]) => {
    const names = [name, ...aliases].map((each) => `\`${each}\``).join(', ');
    return `| ${names} | ${page.replaceAll('|', '\\|')} |\n`;
  });
  return `| key of PM2 | what becomes of it |\n|---|---|\n${rows.join('')}`;
}
