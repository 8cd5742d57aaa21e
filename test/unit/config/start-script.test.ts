import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseStartCommand } from '../../../src/config/start-script.js';

const none = { runs: 'file', args: [], nodeArgs: [], env: {} };
const command = { ...none, runs: 'command' };
const understood = {
  'node server.js': { ...none, app: 'server.js' },
  'node .': { ...none, app: '.' },
  'NODE_ENV=production node --enable-source-maps dist/main --port 80': {
    runs: 'file',
    app: 'dist/main',
    args: ['--port', '80'],
    nodeArgs: ['--enable-source-maps'],
    env: { NODE_ENV: 'production' },
  },
  'node --import ./tracing.mjs -r dotenv/config server.js': {
    ...none,
    app: 'server.js',
    nodeArgs: ['--import=./tracing.mjs', '--require=dotenv/config'],
  },
  'cross-env A="b c" next start -p 3000': {
    ...command,
    app: 'next',
    args: ['start', '-p', '3000'],
    env: { A: 'b c' },
  },
  'npx next start': { ...command, app: 'next', args: ['start'] },
  './node_modules/.bin/next start': { ...command, app: 'next', args: ['start'] },
  '/usr/bin/node server.js': { ...none, app: 'server.js' },
  'npx --yes next start': { ...command, app: 'next', args: ['start'] },
  'A=1 cross-env B=2 node server.js': { ...none, app: 'server.js', env: { A: '1', B: '2' } },
  'npm run serve': { ...none, runs: 'manager', app: 'npm', args: ['run', 'serve'] },
  'pm2 start server.js': { ...none, runs: 'manager', app: 'pm2', args: ['start', 'server.js'] },
  'tsx watch src/server.ts': { ...none, app: 'src/server.ts', nodeArgs: ['--import=tsx'] },
  'nodemon server.js watch': { ...none, app: 'server.js', args: ['watch'] },
};

describe('the command that starts an app', () => {
  for (const [script, expected] of Object.entries(understood)) {
    test(`${script} is understood`, () => assert.deepEqual(parseStartCommand(script), expected));
  }

  for (const script of [
    'npm run build && node server.js',
    'node $APP',
    'node *.js',
    'node',
    'node --import',
    'node "server.js',
    'A=1',
    '',
  ]) {
    test(`${script || 'an empty one'} is not guessed at`, () =>
      assert.equal(parseStartCommand(script), null));
  }
});
