import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { ask, freePort } from '../support/net.js';
import { type Daemon, startDaemon } from '../support/process.js';
import { waitFor } from '../support/wait.js';
import { folder } from '../unit/control/place.js';

/** An app of two modules, served with --watch. */
async function watched(t: TestContext, { ending, load }: { ending: string; load: string }) {
  const place = folder(t);
  const port = await freePort('127.0.0.1');
  const write = (name: string, text: string): void => writeFileSync(join(place, name), text);
  write('word.js', load.includes('import') ? "export default 'one';" : "module.exports = 'one';");
  if (load.includes('import')) write('package.json', '{ "name": "shop", "type": "module" }');
  const listen = `createServer((_, answer) => answer.end(word + process.env.NODE_ENV)).listen(process.env.PORT);`;
  write(`server.${ending}`, `${load}\n${listen}`);
  const daemon = startDaemon({
    t,
    args: ['serve', `server.${ending}`, '--watch', '--port', String(port)],
    cwd: place,
    env: {
      ROM_AGENT_CONTROL_SOCKET: join(place, 'control.sock'),
      ROM_AGENT_STATE_DIR: join(place, 'state'),
    },
  });
  const answers = (word: string): Promise<unknown> =>
    waitFor(
      `the answer ${word}`,
      async () => {
        const text = await ask({ port, path: '/' }).then(
          (answer) => answer.text,
          () => null,
        );
        return text === `${word}development` || null;
      },
      { timeout: 120_000 },
    );
  return { daemon, write, answers };
}

async function ended(daemon: Daemon, signal: NodeJS.Signals): Promise<void> {
  daemon.killGroup(signal);
  assert.deepEqual(await daemon.waitForExit(120_000), { code: 0, signal: null }, daemon.output());
  assert.deepEqual(await daemon.group(), []);
  assert.equal(
    daemon.lines
      .filter((line) => / stopped /.test(line))
      .at(-1)
      ?.includes('exitCode=0'),
    true,
  );
}

describe('serve --watch', { timeout: 600_000 }, () => {
  it('starts the app anew when one of its modules changes, and waits after a syntax error', async (t) => {
    const load = "const { createServer } = require('node:http'); const word = require('./word.js');";
    const { daemon, write, answers } = await watched(t, { ending: 'js', load });
    await answers('one');
    write('word.js', "module.exports = 'tw");
    await daemon.waitForLine(/^Failed running/, 120_000);
    const starts = daemon.lines.filter((line) => /cannot start: SyntaxError/.test(line));
    assert.equal(starts.length, 1, daemon.output());
    write('word.js', "module.exports = 'two';");
    await answers('two');
    assert.ok(!daemon.output().includes('discarded a message'), daemon.output());
    await ended(daemon, 'SIGINT');
  });

  it('follows ES modules, too, and ends with SIGTERM', async (t) => {
    const load = "import { createServer } from 'node:http'; import word from './word.js';";
    const { daemon, write, answers } = await watched(t, { ending: 'js', load });
    await answers('one');
    write('word.js', "export default 'two';");
    await answers('two');
    await ended(daemon, 'SIGTERM');
  });
});
