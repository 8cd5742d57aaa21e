// Runs test files in the order in which they are given, so many at once: run-files.js COUNT FILE...
// `node --test` sorts them by their names, and what takes longest is then alone at the end. TEST_NAMES is a regular
// expression: only tests whose names match run, and each of its alternatives has to match one.
import { run } from 'node:test';
import { spec, tap } from 'node:test/reporters';

const [count, ...files] = process.argv.slice(2);
const names = process.env.TEST_NAMES;
const some = names === undefined ? {} : { testNamePatterns: [new RegExp(names)] };
const unmet = new Set(names?.split('|'));
// ms for a file. The longest takes a minute, and what a test waits for ends within five. A file also counts as running
// while a process that it left behind holds its output.
const limit = 600_000;
const running = new Set<string>();
const results = run({ files, concurrency: Number(count), timeout: limit, ...some })
  .on('test:dequeue', ({ name, file }) => name === file && running.add(name))
  .on('test:complete', ({ name }) => running.delete(name))
  .on('test:fail', ({ name, todo }) => {
    meet(name);
    if (todo === undefined || todo === false) process.exitCode = 1;
  })
  .on('test:pass', ({ name }) => meet(name))
  .on('end', () => {
    for (const alternative of unmet) {
      process.stderr.write(`not ok - no test has a name that matches ${alternative}\n`);
      process.exitCode = 1;
    }
  });

function meet(name: string): void {
  for (const alternative of unmet) if (new RegExp(alternative).test(name)) unmet.delete(alternative);
}

const report = process.stdout.isTTY ? results.compose(new spec()) : results.compose(tap);
report.pipe(process.stdout);
// The pipes of a file that was ended may still be open.
report.on('end', () => process.exit());

process.on('SIGTERM', () => {
  for (const file of running) process.stderr.write(`not ok - ${file} was running when all was ended\n`);
  process.exit(143);
});
