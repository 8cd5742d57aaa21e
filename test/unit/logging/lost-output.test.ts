import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { guardOutput } from '../../../src/logging/lost-output.js';

function fakeProcess() {
  let opened = 0;
  const stream = new EventEmitter();
  const worker = Object.defineProperties({} as Pick<NodeJS.Process, 'stdout' | 'stderr'>, {
    stdout: {
      get: () => {
        opened++;
        return stream;
      },
      configurable: true,
    },
    stderr: { value: stream, configurable: true },
  });
  return { worker, stream, opened: () => opened };
}

const broken = (code: string) => Object.assign(new Error(`write ${code}`), { code });

test('what nobody reads is lost and counted, and said once', () => {
  const { worker, stream } = fakeProcess();
  const said: string[] = [];
  const output = guardOutput(worker, (name) => said.push(name));
  assert.equal(worker.stdout, stream);
  assert.equal(worker.stdout, stream);
  stream.emit('error', broken('EPIPE'));
  stream.emit('error', broken('EPIPE'));
  assert.deepEqual([said, output.count(), stream.listenerCount('error')], [['stdout'], 2, 1]);
});

test('any other failure is thrown where the app has no listener, as without us', () => {
  const { worker, stream } = fakeProcess();
  guardOutput(worker, () => {});
  void worker.stdout;
  assert.throws(() => stream.emit('error', broken('ENOSPC')), /ENOSPC/);
  stream.on('error', () => {});
  stream.emit('error', broken('ENOSPC'));
});

test('the stream is not opened before somebody asks for it', () => {
  const { worker, opened } = fakeProcess();
  guardOutput(worker, () => {});
  assert.equal(opened(), 0);
});
