import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ownStart } from '../../../../src/worker/app/load-app.js';

const read = (text: string, name = '') => ownStart('/app.js', name, () => text);

const starts: readonly [text: string, name: string][] = [
  ['if (require.main === module) start();\nmodule.exports = start;', 'start'],
  ['if (!module.parent) main()', ''],
  ['if (import.meta.main) await boot()', ''],
  ['if (process.argv[1] === fileURLToPath(import.meta.url)) boot()', ''],
  ['async function start() {}\nstart().catch(fail);\nmodule.exports = start;', 'start'],
];

for (const [text, name] of starts) {
  test(`it starts itself: ${text.split('\n')[0]}`, () => assert.equal(read(text, name).startsItself, true));
}

test('what is only defined and exported does not start itself', () => {
  assert.equal(
    read('async function start () { return app; }\nmodule.exports = start;', 'start').startsItself,
    false,
  );
  assert.equal(read('export default () => app', 'default').startsItself, false);
  assert.equal(read('const restart = () => restart2(); other.start();', 'start').startsItself, false);
});

test('a call of listen() anywhere is one', () => {
  assert.equal(read('connect().then(() => app.listen(port))').listens, true);
  assert.equal(read('module.exports = app').listens, false);
});

test('a file that cannot be read says nothing', () => {
  assert.deepEqual(ownStart('/nowhere/at/all.js', 'start'), { startsItself: false, listens: false });
});
