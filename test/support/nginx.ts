import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { plainEnvironment, signalPid } from './process.js';
import { waitFor } from './wait.js';

export interface Nginx {
  /** Answers what it has begun and ends; returns its error log. */
  stop(): Promise<string>;
}

export interface NginxOptions {
  /** What stands inside of `http { }`. */
  readonly http: string;
  /** With it nginx is killed at the end of the test, where it still runs. */
  readonly t?: { after(hook: () => void): void };
}

/** Resolves once nginx listens; rejects with its error log where the configuration is wrong. */
export async function startNginx({ http, t }: NginxOptions): Promise<Nginx> {
  const directory = mkdtempSync(join(tmpdir(), 'rom-agent-nginx-'));
  // As root it starts its worker as another user.
  chmodSync(directory, 0o755);
  const files = { config: join(directory, 'nginx.conf'), log: join(directory, 'error.log') };
  const pid = join(directory, 'nginx.pid');
  writeFileSync(files.config, configuration({ directory, pid, log: files.log, http }));
  const child = spawn('nginx', ['-c', files.config, '-p', directory, '-e', files.log], {
    env: { ...plainEnvironment(), PATH: `${process.env.PATH}:/usr/sbin` },
    stdio: ['ignore', 'inherit', 'inherit'],
    detached: true,
  });
  const end = () => {
    killGroup(child);
    rmSync(directory, { recursive: true, force: true });
  };
  process.once('exit', end);
  t?.after(end);
  const log = () => (existsSync(files.log) ? readFileSync(files.log, 'utf8') : '');
  // It writes that file once it has its sockets.
  await Promise.race([waitFor('nginx', () => existsSync(pid)), failedToStart(child, log)]);
  return {
    stop: async () => {
      const exited = once(child, 'exit', { signal: AbortSignal.timeout(60_000) });
      child.kill('SIGQUIT');
      await exited;
      const said = log();
      rmSync(directory, { recursive: true, force: true });
      return said;
    },
  };
}

interface Files {
  readonly directory: string;
  readonly pid: string;
  readonly log: string;
  readonly http: string;
}

function configuration({ directory, pid, log, http }: Files): string {
  const folders = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `  ${name}_temp_path ${directory}/${name};`,
  );
  return `daemon off;
worker_processes 1;
pid ${pid};
error_log ${log} warn;
events { worker_connections 1024; }
http {
${folders.join('\n')}
  access_log off;
${http}
}
`;
}

function failedToStart(child: ChildProcess, log: () => string): Promise<never> {
  return new Promise((_, reject) => {
    child.once('error', (error) => reject(new Error(`nginx: ${error.message} (Debian: nginx-light)`)));
    child.once('exit', (code) => reject(new Error(`nginx ended with ${code}: ${log()}`)));
  });
}

function killGroup({ pid, exitCode, signalCode }: ChildProcess): void {
  if (pid !== undefined && exitCode === null && signalCode === null) signalPid(-pid, 'SIGKILL');
}
