import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { repoRoot, startDaemon } from '../../support/process.js';
import { waitFor } from '../../support/wait.js';
import { type Broken, brokenApps, startBroken } from './broken-apps.js';
import { patience } from './browser.js';

// Somebody who has never seen these apps, and has read the README and the page on his trouble, types at a terminal: each
// command is one that he has read there, or one that the command before has named.

interface Person {
  /** Types a command that a page of the documents has. */
  readonly reads: (page: string, command: string) => Promise<string>;
  /** Types the command that was named in what he has just read. */
  readonly follows: (named: RegExp) => Promise<string>;
  /** Notes how long he has been at it. */
  readonly tells: (what: string) => void;
}

function person(t: TestContext, { env }: Broken): Person {
  const began = performance.now();
  let last = '';
  const type = async (command: string): Promise<string> => {
    const typed = startDaemon({ t, args: command.split(' ').slice(1), env });
    assert.deepEqual(await typed.waitForExit(patience), { code: 0, signal: null }, typed.output());
    last = typed.output();
    t.diagnostic(`${command}: ${last.length} characters`);
    return last;
  };
  return {
    reads: async (page, command) => {
      assert.ok(readFileSync(join(repoRoot, page), 'utf8').includes(command), `${page} has no ${command}`);
      return type(command);
    },
    follows: async (named) => {
      const [command] = named.exec(last) ?? [];
      assert.ok(command !== undefined, `nothing names ${named}:\n${last}`);
      return type(command);
    },
    tells: (what) => t.diagnostic(`${what} after ${((performance.now() - began) / 1_000).toFixed(1)} s`),
  };
}

/** Asks again until he sees it: trouble takes a moment to begin. */
function until(what: string, look: () => Promise<string>, pattern: RegExp): Promise<unknown> {
  return waitFor(what, async () => (pattern.test(await look()) ? true : null), { timeout: patience });
}

const page = (name: string): string => `docs/how-to/${name}.md`;

describe('from the terminal alone', () => {
  test('the function in which a worker hangs is found, and the request', async (t) => {
    const { name, place } = brokenApps.hangs.culprit;
    const { reads, follows, tells } = person(t, await startBroken(t, brokenApps.hangs));
    await until(
      'a silent worker',
      () => reads('README.md', 'rom-agent status'),
      /no heartbeat from worker \d/,
    );
    tells('status says which worker is silent');
    const stack = await follows(/rom-agent stack \d/);
    assert.match(stack, new RegExp(`^worker \\d \\(pid \\d+\\) .*${name} \\(.*/shop/${place}:\\d+\\)`));
    assert.match(stack, /^ +GET \/report /m);
    tells('stack names the function and the request');
  });

  test('the variable that leaks is found, and the function that fills it', async (t) => {
    const { name, place } = brokenApps.leaks.culprit;
    const { reads, follows, tells } = person(t, await startBroken(t, brokenApps.leaks));
    const look = () => reads(page('find-a-memory-leak'), 'rom-agent top -n 20');
    await until('a heap that grows', look, /^worker \d looks like it leaks.*: its heap grew from /m);
    tells('top says that it leaks');
    const memory = await follows(/rom-agent heap-snapshot \d/);
    assert.match(memory, /\.heapsnapshot$/m);
    assert.match(memory, new RegExp(`visitors \\(Array\\) keeps .*; used by ${name} at ${place}$`, 'm'));
    tells('the snapshot names the variable and the function');
  });

  test('the route on which workers crash is found, and the function', async (t) => {
    const { name, place } = brokenApps.crashes.culprit;
    const { reads, follows, tells } = person(t, await startBroken(t, brokenApps.crashes));
    const look = () => reads('README.md', 'rom-agent status');
    await until('a death', look, /worker \d, .* ago, crashed: TypeError: .*toFixed/);
    tells('status says that it crashed');
    assert.match(await follows(/rom-agent why deaths/), /crashed after .*in flight: GET \/checkout for/);
    const log = await follows(/rom-agent logs --level error/);
    assert.match(log, new RegExp(`at ${name} \\(.*/shop/${place}:\\d+\\)`));
    tells('why names the route, and the log the function');
  });
});
