import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseStartCommand } from '../../../src/config/start-script.js';

const none = { args: [], nodeArgs: [], env: {} };
const understood = {
  'node server.js': { ...none, app: 'server.js' },
  'node .': { ...none, app: '.' },
  'NODE_ENV=production node --enable-source-maps dist/main --port 80': {
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
    ...none,
    app: 'next',
    args: ['start', '-p', '3000'],
    env: { A: 'b c' },
  },
  'npx next start': { ...none, app: 'next', args: ['start'] },
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
    'pm2 start server.js',
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
