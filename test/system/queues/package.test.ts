import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { repoRoot } from '../../support/process.js';

const consumer = `
import { type BackplaneError, broadcast, type Job, lock, queue, schedule, state } from 'rom-agent';
import { socketIoAdapter } from 'rom-agent/socket.io';
import { Server } from 'socket.io';

interface Pdf { readonly invoice: number }
const pdf = queue<Pdf>('pdf');
export const work = pdf.work(async (job: Job<Pdf>, signal: AbortSignal) => { signal.throwIfAborted(); return job.data.invoice; }, { concurrency: 2 });
export const added: Promise<{ readonly id: string; readonly added: boolean }> = pdf.add({ invoice: 1 }, { attempts: 5, backoff: '10s', delay: 5, priority: 1 });
export const every = schedule('report', '0 2 * * *', ({ dueAtMs }) => console.log(dueAtMs), { timezone: 'America/Sao_Paulo' });
export const sessions = state<{ readonly user: string }>('sessions').update('a', (old) => old ?? { user: 'a' }, { ttl: '1h' });
export const result: Promise<number> = lock('one').run(async (token, signal) => (signal.aborted ? 0 : token));
export const off = broadcast<string>('news').on((text) => text.length);
export const io = new Server({ adapter: socketIoAdapter() });
export const codeOf = (error: BackplaneError) => error.code;
// @ts-expect-error
pdf.add({ invoice: 'one' });
`;
const use = `
const q = queue('q');
const working = q.work(async (job) => { console.log(job.data.text); void working.close(); });
q.add({ text: 'done' });
`;

describe('the packed package', () => {
  let directory = '';

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'rom-agent-package-'));
    const installed = join(directory, 'node_modules', 'rom-agent');
    mkdirSync(installed, { recursive: true });
    const [packed] = JSON.parse(
      execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', directory], {
        cwd: repoRoot,
        encoding: 'utf8',
      }),
    ) as { filename: string }[];
    execFileSync('tar', [
      '-xzf',
      join(directory, packed?.filename ?? ''),
      '--strip-components=1',
      '-C',
      installed,
    ]);
    for (const name of ['pino', 'socket.io', 'socket.io-adapter', 'typescript', '@types'])
      symlinkSync(join(repoRoot, 'node_modules', name), join(directory, 'node_modules', name));
    writeFileSync(join(directory, 'package.json'), '{ "name": "consumer" }');
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  const run = (file: string, source: string, args: readonly string[] = []): string => {
    writeFileSync(join(directory, file), source);
    return execFileSync(process.execPath, [...args, file], { cwd: directory, encoding: 'utf8' });
  };

  it('has types for consumers of both kinds under NodeNext', () => {
    const options = { module: 'NodeNext', strict: true, noEmit: true, skipLibCheck: false, types: ['node'] };
    for (const file of ['consumer.mts', 'consumer.cts']) {
      writeFileSync(join(directory, file), consumer);
      const config = { compilerOptions: { ...options, skipLibCheck: true }, files: [file] };
      writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify(config));
      try {
        execFileSync(join(repoRoot, 'node_modules/.bin/tsc'), ['-p', '.'], {
          cwd: directory,
          encoding: 'utf8',
        });
      } catch (error) {
        assert.fail(`${file}: ${(error as { stdout: string }).stdout}`);
      }
    }
  });

  it('is imported, and required, and is one and the same', () => {
    assert.equal(run('a.mjs', `import { queue } from 'rom-agent';${use}`), 'done\n');
    assert.equal(run('a.cjs', `const { queue } = require('rom-agent');${use}`), 'done\n');
    const both = `
      import { createRequire } from 'node:module';
      import * as one from 'rom-agent';
      const other = createRequire(import.meta.url)('rom-agent');
      console.log(Object.keys(one).sort().join(), one.queue === other.queue);`;
    assert.equal(run('b.mjs', both), 'BackplaneError,broadcast,lock,queue,schedule,state true\n');
  });

  it('lets go on what used its files before', () => {
    const source = `
      const { readFileSync } = require('node:fs');
      const { name } = require('rom-agent/package.json');
      console.log(name, readFileSync(require.resolve('rom-agent/systemd/rom-agent.service'), 'utf8').includes('[Service]'));`;
    assert.equal(run('c.cjs', source), 'rom-agent true\n');
    const bin = join(directory, 'node_modules/rom-agent/dist/cli/main.js');
    assert.match(execFileSync(process.execPath, [bin, '--version'], { encoding: 'utf8' }), /^\d+\.\d+\.\d+/);
  });
});
