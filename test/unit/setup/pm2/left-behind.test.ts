import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { endianness, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { endLeftBehind, leftBehind } from '../../../../src/setup/pm2/left-behind.js';

const head =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode';
const row = (local: string, remote: string, state: string, inode: number) =>
  `   0: ${local} ${remote} ${state} 00000000:0000003B 00:00000000 00000000  1000        0 ${inode} 1 0 20 4 30 10 -1`;

/** A /proc with one process, 7, that has the sockets 11 to 14 open. */
function procWith(
  t: { after(hook: () => void): void },
  tcp: readonly string[],
  tcp6: readonly string[] = [],
) {
  const proc = mkdtempSync(join(tmpdir(), 'proc-'));
  t.after(() => rmSync(proc, { recursive: true }));
  mkdirSync(join(proc, '7', 'fd'), { recursive: true });
  mkdirSync(join(proc, '7', 'net'));
  for (const inode of [11, 12, 13, 14]) symlinkSync(`socket:[${inode}]`, join(proc, '7', 'fd', `${inode}`));
  writeFileSync(join(proc, '7', 'net', 'tcp'), [head, ...tcp, ''].join('\n'));
  writeFileSync(join(proc, '7', 'net', 'tcp6'), [head, ...tcp6, ''].join('\n'));
  return proc;
}

const skip = endianness() === 'LE' ? false : 'the tables here are of a machine with the other byte order';

describe("what PM2's daemon leaves behind", () => {
  test('is its connections at these ports, whoever else has some there', { skip }, (t) => {
    const proc = procWith(
      t,
      [
        row('0100007F:0BB8', '00000000:0000', '0A', 11),
        row('0100007F:0BB8', '0100007F:B912', '01', 12),
        row('0100007F:0BB8', '0100007F:B913', '01', 99),
        row('0100007F:0BB9', '0100007F:B914', '01', 13),
      ],
      [row('00000000000000000000000001000000:0BB8', '00000000000000000000000001000000:B915', '08', 14)],
    );
    assert.deepEqual(leftBehind(7, [3000], proc), [
      { local: '127.0.0.1:3000', remote: '127.0.0.1:47378' },
      { local: '[0:0:0:0:0:0:0:1]:3000', remote: '[0:0:0:0:0:0:0:1]:47381' },
    ]);
    assert.deepEqual(leftBehind(8, [3000], proc), []);
  });

  test('is ended connection by connection, and what could not be is said', { skip }, async (t) => {
    const proc = procWith(t, [row('0100007F:0BB8', '0100007F:B912', '01', 12)]);
    const run: string[] = [];
    const left = await endLeftBehind({ pid: 7, ports: [3000], proc }, async (argv) => {
      run.push(argv.join(' '));
      return { ok: false, output: 'ss: not found' };
    });
    assert.deepEqual(run, ['ss --kill --tcp --numeric src 127.0.0.1:3000 dst 127.0.0.1:47378']);
    assert.equal(left.length, 1);
  });
});
