import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { connectControl, type LastLine } from '../../src/control/client.js';
import type { Journal } from '../../src/deploy/decide.js';
import type { DeployLine, DeployOptions, DeployRecord } from '../../src/protocol/deploy.js';
import { waitFor } from '../support/wait.js';
import { fixture, patience, patient, type Service, serve, temporaryDirectory } from './service.js';

/** A service whose app comes from deploys, and the directory that they are made of. */
export interface Deploying extends Service {
  /** `deploy.directory` */
  readonly directory: string;
  readonly source: string;
  readonly stateDir: string;
  readonly config: string;
}

export interface DeployingOptions {
  /** Lines of `[deploy]`. */
  readonly deploy?: string;
  /** Lines above the first section. */
  readonly top?: string;
  readonly soak?: string;
  readonly directory?: string;
}

/** Makes the first release by hand, and serves it. */
export async function serveDeploying(t: TestContext, options: DeployingOptions = {}): Promise<Deploying> {
  const root = temporaryDirectory(t);
  const directory = options.directory ?? join(root, 'shop');
  const source = join(root, 'source');
  const place = { directory, source, stateDir: join(root, 'state'), config: join(root, 'rom-agent.toml') };
  mkdirSync(join(directory, 'releases/first'), { recursive: true });
  fill(join(directory, 'releases/first'), 'good.mjs');
  symlinkSync('releases/first', join(directory, 'current'));
  fill(source, 'good.mjs');
  configure(place, options);
  return { ...(await start(t, place)), ...place };
}

export function start(t: TestContext, place: Pick<Deploying, 'stateDir' | 'config'>): Promise<Service> {
  const env = {
    ...patient,
    ROM_AGENT_STATE_DIR: place.stateDir,
    ROM_AGENT_CONTROL_SOCKET: join(place.stateDir, 'control.sock'),
  };
  mkdirSync(place.stateDir, { recursive: true, mode: 0o750 });
  return serve(t, { flags: ['--config', place.config], env: { ...env, ROM_AGENT_ROUTES_PREFIX: '/_ops' } });
}

/** Each deploy reads the file again. */
export function configure(
  { directory, source, config }: Pick<Deploying, 'directory' | 'source' | 'config'>,
  { deploy = '', top = '', soak = '0' }: DeployingOptions = {},
): void {
  const text = `app = "${directory}/current/app.mjs"
${top}
[reload]
soak = ${soak === '0' ? '0' : JSON.stringify(soak)}
[deploy]
source = "${source}"
directory = "${directory}"
${/min_free =/.test(deploy) ? '' : 'min_free = 0'}
min_free_inodes = 0
${deploy}
`;
  writeFileSync(config, text);
}

/** The directory becomes what is deployed next: a fixture of test/fixtures/releases. */
export function fill(directory: string, name: string): void {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  cpSync(fixture('releases/good.mjs'), join(directory, 'good.mjs'));
  cpSync(fixture(`releases/${name}`), join(directory, 'app.mjs'));
}

export interface Asked {
  readonly lines: readonly DeployLine[];
  readonly last: LastLine;
  readonly record: DeployRecord;
}

/** Resolves once it is over. */
export async function deploy(
  { stateDir }: Pick<Deploying, 'stateDir'>,
  options: Partial<DeployOptions> = {},
): Promise<Asked> {
  const lines: DeployLine[] = [];
  const client = connectControl({ path: join(stateDir, 'control.sock'), timeout: patience });
  const last = await client.deploy({ by: 'alice', ...options }, (line) => lines.push(line));
  if (last.type !== 'record') throw new Error(`no record: ${JSON.stringify(last)}`);
  return { lines, last, record: last.record };
}

export function currentOf({ directory }: Pick<Deploying, 'directory'>): string {
  return readlinkSync(join(directory, 'current')).replace('releases/', '');
}

/** The process of the deploy, once its journal says this stage. */
export async function processAt(
  { directory }: Pick<Deploying, 'directory'>,
  stage: Journal['stage'],
): Promise<number> {
  const look = () => {
    try {
      const journal = JSON.parse(readFileSync(join(directory, 'deploy.json'), 'utf8')) as Journal;
      const { pid } = JSON.parse(readFileSync(join(directory, 'deploy.lock'), 'utf8')) as { pid: number };
      return journal.stage === stage ? pid : 0;
    } catch {
      return 0;
    }
  };
  return waitFor(`the stage ${stage}`, look, { timeout: patience, interval: 2, until: (pid) => pid > 0 });
}

/** A git repository of what the directory has. */
export async function commitAll(directory: string): Promise<string> {
  const git = async (...words: readonly string[]) =>
    (
      await promisify(execFile)('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.com', ...words], {
        cwd: directory,
      })
    ).stdout.trim();
  await git('init', '--quiet', '-b', 'main');
  await git('add', '-A');
  await git('commit', '--quiet', '--allow-empty', '-m', 'a release');
  return git('rev-parse', 'HEAD');
}
