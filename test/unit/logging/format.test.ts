import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type Entry,
  formatJournal,
  formatNative,
  formatPretty,
  type Level,
} from '../../../src/logging/format.js';

const time = new Date(2026, 0, 2, 3, 4, 5, 6).toISOString();
const worker = { worker: 2 };

function entry(fields: Record<string, unknown>, level: Level = 'info'): Entry {
  return { level, time, pid: 42, worker: 2, msg: 'said', ...fields };
}

function journal(fields: Record<string, unknown>): string {
  return formatJournal(entry(fields), { bindings: worker });
}

function pretty(fields: Record<string, unknown>, colour = false): string {
  return formatPretty(entry(fields), { bindings: worker, colour });
}

const cause = {
  type: 'Error',
  message: 'boom: inner',
  stack: 'Error: boom\n    at a (b.js:1:2)\ncaused by: Error: inner\n    at c (d.js:3:4)',
};

describe('a journal line', () => {
  const cases: readonly [title: string, fields: Record<string, unknown>, text: string][] = [
    [
      'leaves simple values bare',
      { port: 3000, ok: true, none: null, path: '/a' },
      'port=3000 ok=true none=null path=/a',
    ],
    ['quotes what has spaces', { note: 'two words' }, 'note="two words"'],
    ['quotes what is empty', { note: '' }, 'note=""'],
    ['escapes quotes and backslashes', { note: 'a "b" \\c' }, 'note="a \\"b\\" \\\\c"'],
    ['quotes an equals sign', { note: 'a=b' }, 'note="a=b"'],
    ['escapes line breaks', { note: 'a\nb\r\nc\td' }, 'note="a\\nb\\r\\nc\\td"'],
    ['escapes control characters', { note: '\x1b[31mred\x07\x9b' }, 'note="\\u001b[31mred\\u0007\\u009b"'],
    ['keeps other scripts', { note: 'grüß-世界-🚀' }, 'note=grüß-世界-🚀'],
    [
      'makes dotted keys of nested objects',
      { memory: { rss: 1, heap: { used: 2 } } },
      'memory.rss=1 memory.heap.used=2',
    ],
    ['keeps arrays and empty objects as JSON', { list: [1, 'a b'], none: {} }, 'list=[1,"a b"] none={}'],
    ['cleans keys', { 'a key="x"\n': 1 }, 'a_key__x__=1'],
    [
      'makes one value of an error, its causes included',
      { err: { ...cause, code: 'EX' } },
      'err="Error: boom | at a (b.js:1:2) | caused by: Error: inner | at c (d.js:3:4)" err.code=EX',
    ],
    [
      'shows an error without a stack',
      { err: { type: 'TypeError', message: 'no', stack: '' } },
      'err="TypeError: no"',
    ],
  ];
  for (const [title, fields, text] of cases) {
    it(title, () => assert.equal(journal(fields), `<6>said ${text} worker=2 pid=42\n`));
  }

  const priorities: readonly [Level, number][] = [
    ['trace', 7],
    ['debug', 7],
    ['info', 6],
    ['warn', 4],
    ['error', 3],
    ['fatal', 2],
  ];
  for (const [level, priority] of priorities) {
    it(`of level ${level} has priority ${priority}`, () =>
      assert.equal(
        formatJournal(entry({}, level), { bindings: worker }),
        `<${priority}>said worker=2 pid=42\n`,
      ));
  }

  it('is one line even where the message is not', () =>
    assert.equal(journal({ msg: 'one\ntwo\x1b' }), '<6>one\\ntwo\\u001b worker=2 pid=42\n'));

  it('stays below the length at which journald would split it', () => {
    for (const letter of ['x', 'ä', '世', '🚀']) {
      const line = journal({ note: letter.repeat(60_000) });
      assert.ok(Buffer.byteLength(line) < 48 * 1024, `${Buffer.byteLength(line)} bytes`);
      assert.match(line, /^<6>said note=[^\uFFFD]+…\n$/u);
    }
  });
});

describe('a pretty line', () => {
  it('names time, level, worker and PID before the message', () =>
    assert.equal(pretty({ port: 3000 }), '03:04:05.006 INFO  worker 2 42 said port=3000\n'));

  it('names the master by its role, and the worker it speaks of as a field', () => {
    const line = formatPretty(
      { level: 'warn', time, pid: 41, role: 'master', msg: 'worker crashed', worker: 2 },
      {
        bindings: { role: 'master' },
        colour: false,
      },
    );
    assert.equal(line, '03:04:05.006 WARN  master 41 worker crashed worker=2\n');
  });

  it('puts a stack on lines of its own', () =>
    assert.equal(
      pretty({ err: { ...cause, code: 'EX' } }),
      [
        '03:04:05.006 INFO  worker 2 42 said err.code=EX',
        '    Error: boom',
        '        at a (b.js:1:2)',
        '    caused by: Error: inner',
        '        at c (d.js:3:4)',
        '',
      ].join('\n'),
    ));

  it('does so with the stack of another process, which is a text', () =>
    assert.equal(
      pretty({ inFlight: 1, stack: 'at a (b.js:1:2)\nat c (d.js:3:4)' }),
      [
        '03:04:05.006 INFO  worker 2 42 said inFlight=1',
        '    at a (b.js:1:2)',
        '    at c (d.js:3:4)',
        '',
      ].join('\n'),
    ));

  it('indents the further lines of a message', () =>
    assert.equal(pretty({ msg: 'one\ntwo' }), '03:04:05.006 INFO  worker 2 42 one\n    two\n'));

  it('lets nothing from a message or a stack steer the terminal', () => {
    const stack = 'Error: \x1b[2J\x9b\n    at \x07';
    const line = pretty({
      msg: 'a\x1b]0;title\x07',
      err: { type: 'Error', message: '', stack },
      x: '\x1b[2J',
    });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
    assert.doesNotMatch(line, /[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
  });

  it('is coloured by level where colours are wanted, and resets each', () => {
    const line = pretty({ port: 3000 }, true);
    assert.equal(
      line,
      '\x1b[2m03:04:05.006\x1b[0m \x1b[32mINFO \x1b[0m \x1b[36mworker 2 42\x1b[0m said \x1b[2mport=\x1b[0m3000\n',
    );
  });
});

describe('an entry of the native protocol', () => {
  const native = (fields: Record<string, unknown>) =>
    formatNative(entry(fields, 'error'), { bindings: worker, fields: { ROM_WORKER: 2 } });
  const rest = 'PRIORITY=3\nSYSLOG_IDENTIFIER=rom-agent\nROM_WORKER=2\n';

  it('has the text of the line, its priority and what it is about', () =>
    assert.equal(
      native({ port: 3000, msg: 'one\ntwo' }).toString(),
      `MESSAGE=one\\ntwo port=3000 worker=2 pid=42\n${rest}`,
    ));

  it('has a stack on lines of its own, in a value that is told by its length in bytes', () => {
    const text = `said err.code=é worker=2 pid=42\n${cause.stack}`;
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(Buffer.byteLength(text)));
    assert.deepEqual(
      native({ err: { ...cause, code: 'é' } }),
      Buffer.concat([
        Buffer.from('MESSAGE\n'),
        length,
        Buffer.from(`${text}\n${rest.replace('ROM_', 'CODE_FILE=b.js\nCODE_LINE=1\nCODE_FUNC=a\nROM_')}`),
      ]),
    );
  });

  const fields = (given: Record<string, unknown>) =>
    Object.fromEntries(
      native(given)
        .toString('latin1')
        .split('\n')
        .filter((line) => /^(?:CODE|REQUEST)_/.test(line))
        .map((line) => line.split('=')),
    );

  it('names the place in the code of an error or a stack: the topmost frame of the app', () => {
    const stack = [
      'Error: boom',
      '    at query (/srv/app/node_modules/pg/lib/client.js:3:1)',
      '    at async checkout (file:///srv/my%20app/server.mjs:12:5)',
      '    at run (/srv/app/server.js:90:1)',
    ].join('\n');
    const place = { CODE_FILE: '/srv/my app/server.mjs', CODE_LINE: '12', CODE_FUNC: 'checkout' };
    assert.deepEqual(fields({ stack }), place);
    assert.deepEqual(fields({ error: { type: 'Error', message: 'boom', stack } }), place);
    assert.deepEqual(fields({ stack: 'Error: a\n    at /srv/app.js:5:69' }), {
      CODE_FILE: '/srv/app.js',
      CODE_LINE: '5',
    });
  });

  it('names a place in a package where the app has no frame, and none where there is only Node', () => {
    const ofPackage = '    at query (/srv/node_modules/pg/lib/client.js:3:1)';
    const ofNode = '    at node:internal/main:1:2';
    assert.equal(
      fields({ stack: `Error: a\n${ofNode}\n${ofPackage}` }).CODE_FILE,
      '/srv/node_modules/pg/lib/client.js',
    );
    assert.deepEqual(fields({ stack: `Error: a\n${ofNode}` }), {});
    assert.deepEqual(fields({ stack: 'no stack at all' }), {});
  });

  it('names the request', () =>
    assert.deepEqual(fields({ requestId: 'a\nPRIORITY=0' }), { REQUEST_ID: 'a\\nPRIORITY' }));

  it('has nothing in a stack that could steer a terminal, nor a field that the app has made up', () =>
    assert.match(
      native({ stack: 'Error: \x1b[31mred\nPRIORITY=0\n    at a (b.js:1:2)' }).toString('latin1'),
      /^MESSAGE\n.{8}said worker=2 pid=42\nError: \\u001b\[31mred\nPRIORITY=0\n {4}at a \(b\.js:1:2\)\nPRIORITY=3\n/s,
    ));
});
