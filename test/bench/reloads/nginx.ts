import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../support/net.js';
import { plainEnvironment, signalPid } from '../../support/process.js';
import { waitFor } from '../../support/wait.js';
import { type Contender, patience, type Reloadable } from './contender.js';
import { startRomAgent } from './daemon.js';

/** rom-agent behind nginx, which keeps connections to it. */
export const behindNginx: Contender = { name: 'rom-agent behind nginx', share: 1, start };

async function start(): Promise<Reloadable> {
  const upstream = await startRomAgent();
  const directory = mkdtempSync(join(tmpdir(), 'rom-agent-nginx-'));
  const port = await freePort('127.0.0.1');
  const config = join(directory, 'nginx.conf');
  writeFileSync(config, configuration({ directory, port, upstream: upstream.port }));
  const child = spawn('nginx', ['-c', config, '-p', directory, '-e', join(directory, 'error.log')], {
    env: { ...plainEnvironment(), PATH: `${process.env.PATH}:/usr/sbin` },
    stdio: ['ignore', 'inherit', 'inherit'],
    detached: true,
  });
  process.once('exit', () => killGroup(child));
  await Promise.race([listening(port), failedToStart(child)]);
  return {
    port,
    reload: upstream.reload,
    settled: upstream.settled,
    stop: async () => {
      const exited = once(child, 'exit', { signal: AbortSignal.timeout(patience) });
      child.kill('SIGQUIT');
      await exited;
      const log = readFileSync(join(directory, 'error.log'), 'utf8');
      if (log !== '') process.stderr.write(`nginx says:\n${log.split('\n').slice(0, 20).join('\n')}\n`);
      rmSync(directory, { recursive: true, force: true });
      await upstream.stop();
    },
  };
}

/** Nothing is sent a second time: what the service loses is seen as a 502. */
function configuration({
  directory,
  port,
  upstream,
}: {
  directory: string;
  port: number;
  upstream: number;
}): string {
  const folders = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `  ${name}_temp_path ${directory}/${name};`,
  );
  return `daemon off;
worker_processes 1;
pid ${directory}/nginx.pid;
error_log ${directory}/error.log warn;
events { worker_connections 1024; }
http {
${folders.join('\n')}
  access_log off;
  keepalive_requests 1000000;
  upstream service {
    server 127.0.0.1:${upstream} max_fails=0;
    keepalive 16;
    keepalive_requests 1000000;
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://service;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_request_buffering off;
      proxy_next_upstream off;
    }
  }
}
`;
}

async function listening(port: number): Promise<void> {
  const answers = () => fetch(`http://127.0.0.1:${port}/`).then(({ status }) => status === 200);
  await waitFor('nginx', answers, { timeout: patience });
}

function failedToStart(child: ChildProcess): Promise<never> {
  return new Promise((_, reject) => {
    child.once('error', (error) => reject(new Error(`nginx: ${error.message} (Debian: nginx-light)`)));
    child.once('exit', (code) => reject(new Error(`nginx ended with ${code}`)));
  });
}

function killGroup({ pid, exitCode }: ChildProcess): void {
  if (pid !== undefined && exitCode === null) signalPid(-pid, 'SIGKILL');
}
