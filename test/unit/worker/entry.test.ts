import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parseWorkerMessage } from '../../../src/protocol/messages.js';
import { repoRoot } from '../../support/process.js';
import { folder } from '../control/place.js';

describe('the file of a worker that is forked', () => {
  for (const [when, start] of [
    ['at once', "require('../chunks/gone.js')"],
    ['a moment later', "exports.loaded = Promise.resolve().then(() => require('../chunks/gone.js'))"],
  ] as const)
    test(`tells the master which file is missing ${when}`, async (t) => {
      const place = folder(t);
      copyFileSync(join(repoRoot, 'src', 'worker', 'entry.cjs'), join(place, 'main.js'));
      writeFileSync(join(place, 'start.js'), start);
      writeFileSync(join(place, 'package.json'), '{"type": "commonjs"}');
      const child = fork(join(place, 'main.js'));
      const [[raw], [code]] = await Promise.all([once(child, 'internalMessage'), once(child, 'exit')]);
      assert.equal(code, 75);
      const parsed = parseWorkerMessage(raw);
      assert.ok(parsed.kind === 'message' && parsed.message.type === 'failed', JSON.stringify(raw));
      const { failure } = parsed.message;
      assert.match(failure.message, /^rom-agent's worker cannot be loaded; .*'..\/chunks\/gone\.js'$/);
      assert.equal(failure.exitCode, 75);
    });
});
