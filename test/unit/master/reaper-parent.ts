import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { startReaper } from '../../../src/master/reaper.js';

/**
 * A master on the smallest scale, for reaper.test.ts: two children that sleep, watched by a reaper with one second.
 * It prints their PIDs, obeys `forget PID` and `dismiss`, and answers each with `done`.
 */
const reaper = startReaper({ limit: 1_000 });
const children = [sleeper(), sleeper()];
const pids = children.map(({ pid }) => pid ?? 0);
for (const pid of pids) reaper.watch(pid);
process.stdout.write(`${pids.join(' ')}\n`);

createInterface({ input: process.stdin }).on('line', (line) => {
  const [order, pid] = line.split(' ');
  if (order === 'forget') reaper.forget(Number(pid));
  if (order === 'dismiss') reaper.dismiss();
  process.stdout.write('done\n');
});

function sleeper(): ChildProcess {
  return spawn('sleep', ['300'], { stdio: 'ignore' });
}
