// Runs test files in the order in which they are given, so many at once: run-files.js COUNT FILE...
// `node --test` sorts them by their names, and what takes longest is then alone at the end.
import { run } from 'node:test';
import { spec, tap } from 'node:test/reporters';

const [count, ...files] = process.argv.slice(2);
const results = run({ files, concurrency: Number(count) }).on('test:fail', ({ todo }) => {
  if (todo === undefined || todo === false) process.exitCode = 1;
});
if (process.stdout.isTTY) results.compose(new spec()).pipe(process.stdout);
else results.compose(tap).pipe(process.stdout);
