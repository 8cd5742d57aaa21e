import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { repoRoot } from '../../support/process.js';

const run = promisify(execFile);

/** A directory that accounts without rights may enter, until the process ends. */
export function place(): string {
  const path = mkdtempSync(join(tmpdir(), 'rom-agent-npm-'));
  chmodSync(path, 0o755);
  process.on('exit', () => rmSync(path, { recursive: true, force: true }));
  return path;
}

export interface Packed {
  readonly file: string;
  readonly files: readonly string[];
}

/** `npm pack` of a folder; without `to` it only says what the tarball would hold. */
export function pack(folder = repoRoot, to?: string): Packed {
  const where = to === undefined ? ['--dry-run'] : ['--pack-destination', to];
  const text = execFileSync('npm', ['pack', '--json', '--ignore-scripts', ...where], {
    cwd: folder,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [packed] = JSON.parse(text) as { filename: string; files: { path: string }[] }[];
  if (packed === undefined) throw new Error(`npm pack: ${text}`);
  return { file: join(to ?? '', packed.filename), files: packed.files.map(({ path }) => path) };
}

/** A PATH with that node and npm, and neither a compiler nor make nor python. */
export function pathWithoutCompiler(folder: string, node: string): string {
  const bin = join(folder, 'bin');
  mkdirSync(bin, { recursive: true });
  const cli = realpathSync(execFileSync('sh', ['-c', 'command -v npm'], { encoding: 'utf8' }).trim());
  for (const name of ['sh', 'env', 'uname', 'ls', 'cat', 'sed', 'dirname', 'id'])
    symlinkSync(
      execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim(),
      join(bin, name),
    );
  symlinkSync(node, join(bin, 'node'));
  for (const [name, file] of [
    ['npm', cli],
    ['npx', cli.replace('npm-cli', 'npx-cli')],
  ] as const)
    writeFileSync(join(bin, name), `#!/bin/sh\nexec "${node}" "${file}" "$@"\n`, { mode: 0o755 });
  return bin;
}

export interface Who {
  /** Where its PATH leads. */
  readonly path: string;
  readonly home: string;
  /** npm's. */
  readonly cache: string;
  /** An account without rights; null: this process's own. */
  readonly uid: number | null;
}

/** Runs a command as that account, with nothing of this process's environment. Rejects with what it wrote. */
export async function as(
  { path, home, cache, uid }: Who,
  [command, ...args]: readonly [string, ...string[]],
): Promise<string> {
  const env = {
    PATH: path,
    HOME: home,
    npm_config_cache: cache,
    npm_config_update_notifier: 'false',
    ...registryOf(uid),
  };
  const identity = uid === null ? {} : { uid, gid: uid };
  try {
    const { stdout, stderr } = await run(join(path.split(delimiter)[0] ?? '', command), args, {
      env,
      cwd: home,
      ...identity,
    });
    return stdout + stderr;
  } catch (error) {
    const { stderr = '', stdout = '' } = error as { stderr?: string; stdout?: string };
    throw new Error(`${command} ${args.join(' ')}: ${stderr}${stdout}`);
  }
}

/** How this machine reaches the registry, without which npm waits in vain. An account has no part in root's. */
export function registryOf(uid: number | null): Record<string, string> {
  const { NODE_EXTRA_CA_CERTS: certificates } = process.env;
  return {
    ...(certificates === undefined ? {} : { NODE_EXTRA_CA_CERTS: certificates }),
    ...(uid === null ? { npm_config_userconfig: join(homedir(), '.npmrc') } : {}),
  };
}

/** Why npm cannot be asked; null: it can. */
export async function whyNoRegistry(): Promise<string | null> {
  try {
    await run('npm', ['view', 'pino@10', 'name', '--json', '--fetch-retries=0'], { timeout: 60_000 });
    return null;
  } catch (error) {
    return `needs npm's registry: ${(error as Error).message.split('\n')[0]}`;
  }
}
