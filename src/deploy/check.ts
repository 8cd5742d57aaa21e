import { accessSync, constants, existsSync, readFileSync, statfsSync, statSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import type { DeployFinding, DeploySettings } from '../protocol/deploy.js';
import { type Account, accountOf } from './account.js';
import { fetchUrl, gitAccess, type Run, wholeMebibytes } from './fetch.js';
import { isOccupied, type Layout } from './layout.js';
import { describeSource, type Planned, planSource, type Source } from './plan.js';
import { isWithin, parseWindow } from './window.js';

export interface CheckInput {
  readonly settings: DeploySettings;
  readonly layout: Layout;
  /** What the command names. */
  readonly ref: string | null;
  /** What the commands get for PATH. */
  readonly path: string;
  readonly nowMs: number;
}

export interface Checked {
  readonly findings: readonly DeployFinding[];
  /** null where one of the findings is bad. */
  readonly plan: { readonly source: Source; readonly account: Account | null } | null;
}

/** What has to be right before a deploy begins, and is cheap to know. */
export function checkAll(input: CheckInput): Checked {
  const { settings } = input;
  const planned = planSource({ settings, ref: input.ref, isRepository });
  const account = accountOf(settings.user);
  const findings = [
    sourceFinding(planned),
    directoryFinding(input.layout),
    appFinding(settings, input.layout),
    ...diskFindings(settings, input.layout),
    userFinding(settings, account),
    ...stepFindings(input),
    ...windowFinding(input),
  ];
  const isGood = findings.every((each) => each.isGood) && 'source' in planned && 'account' in account;
  return { findings, plan: isGood ? { source: planned.source, account: account.account } : null };
}

/** Whether the source can be reached: takes a while, and so belongs to a dry run. */
export async function checkReachable(
  source: Source,
  { run, cwd, timeoutMs }: { run: Run; cwd: string; timeoutMs: number },
): Promise<DeployFinding> {
  const what = describeSource(source);
  const bad = (detail: string) => ({ what: 'source', isGood: false, detail: `${what}: ${detail}` });
  if (source.kind === 'directory' || (source.kind === 'tarball' && 'path' in source.from)) {
    const path = source.kind === 'directory' ? source.path : 'path' in source.from ? source.from.path : '';
    const problem = unreadable(path, source.kind);
    return problem === null ? { what: 'source', isGood: true, detail: `${what} is there` } : bad(problem);
  }
  if (source.kind === 'tarball') {
    const url = 'url' in source.from ? source.from.url : '';
    try {
      const { ok, status } = await fetchUrl(url, { method: 'HEAD', signal: AbortSignal.timeout(timeoutMs) });
      return ok
        ? { what: 'source', isGood: true, detail: `${what} answers ${status}` }
        : bad(`answers ${status}`);
    } catch (error) {
      return bad((error as Error).message);
    }
  }
  const ref = source.ref ?? 'HEAD';
  const { url, command, secrets } = gitAccess(source.url);
  const { failure, tail } = await run([...command, 'ls-remote', '--', url, ref], cwd, timeoutMs, secrets);
  if (failure !== null) return bad(`${failure}: ${tail.slice(-3).join(' / ')}`);
  const [commit = ''] = (tail.find((line) => /^[0-9a-f]{40,}\s/.test(line)) ?? '').split(/\s/);
  if (commit === '' && !/^[0-9a-f]{7,64}$/.test(ref)) return bad('there is no such branch or tag');
  const found =
    commit === '' ? 'the repository answers; a commit is looked for when it is fetched' : `is at ${commit}`;
  return { what: 'source', isGood: true, detail: `${what} ${found}` };
}

function unreadable(path: string, kind: Source['kind']): string | null {
  try {
    accessSync(path, constants.R_OK);
    const isDirectory = statSync(path).isDirectory();
    return isDirectory === (kind === 'directory') ? null : `it is ${isDirectory ? 'a' : 'no'} directory`;
  } catch (error) {
    return `it cannot be read (${(error as NodeJS.ErrnoException).code})`;
  }
}

function sourceFinding(planned: Planned): DeployFinding {
  return 'problem' in planned
    ? { what: 'source', isGood: false, detail: planned.problem }
    : { what: 'source', isGood: true, detail: describeSource(planned.source) };
}

function directoryFinding(layout: Layout): DeployFinding {
  const { directory } = layout;
  const nearest = nearestThere(directory);
  const what = 'directory';
  if (isOccupied(layout))
    return { what, isGood: false, detail: `${layout.current} is no symbolic link: move it away first` };
  try {
    accessSync(nearest, constants.W_OK | constants.X_OK);
    return { what, isGood: true, detail: directory };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const detail = `deploy.directory: ${directory} cannot be written (${code} at ${nearest}): expected a directory that the account of the service may write, such as one in its StateDirectory`;
    return { what, isGood: false, detail };
  }
}

/** A deploy that changes a link which nobody follows would change nothing. */
function appFinding({ app, workingDirectory }: DeploySettings, { current }: Layout): DeployFinding {
  const through = [app, workingDirectory].some(
    (path) => path !== null && (path === current || path.startsWith(`${current}${sep}`)),
  );
  if (through) return { what: 'app', isGood: true, detail: `leads through ${current}` };
  const detail = `app: ${JSON.stringify(app)} is not right: expected a path through ${current}, such as ${join(current, 'server.js')}, since a deploy changes where that link leads`;
  return { what: 'app', isGood: false, detail };
}

/** Of the file system with this directory, or with the nearest above it that is there. */
export function freeBytes(directory: string): number {
  const { bavail, bsize } = statfsSync(nearestThere(directory));
  return bavail * bsize;
}

function diskFindings(
  { minFreeBytes, minFreeInodes }: DeploySettings,
  { directory }: Layout,
): readonly DeployFinding[] {
  const { files, ffree } = statfsSync(nearestThere(directory));
  const free = freeBytes(directory);
  const space = `${wholeMebibytes(free)} MiB free at ${directory}, ${wholeMebibytes(minFreeBytes)} wanted (deploy.min_free)`;
  const inodes = `${ffree} inodes free at ${directory}, ${minFreeInodes} wanted (deploy.min_free_inodes)`;
  return [
    { what: 'disk', isGood: free >= minFreeBytes, detail: space },
    // btrfs and others have no fixed number of them, and say 0.
    ...(files === 0 ? [] : [{ what: 'disk', isGood: ffree >= minFreeInodes, detail: inodes }]),
  ];
}

function userFinding({ user }: DeploySettings, answer: ReturnType<typeof accountOf>): DeployFinding {
  if ('problem' in answer) return { what: 'user', isGood: false, detail: answer.problem };
  const { account } = answer;
  const own = `the commands run as the account of the service, uid ${process.getuid?.()}`;
  return {
    what: 'user',
    isGood: true,
    detail: account === null ? own : `the commands run as ${user}, uid ${account.uid}`,
  };
}

function stepFindings({ settings, path }: CheckInput): readonly DeployFinding[] {
  if (settings.steps.length === 0) return [{ what: 'steps', isGood: true, detail: 'none' }];
  return settings.steps.map(({ name, command }) => {
    const [program = ''] = command;
    const found = program.includes('/') ? isThere(program) : onPath(program, path);
    const detail = found
      ? `${name}: ${command.join(' ')}`
      : `${name}: there is no command ${program} (PATH=${path})`;
    return { what: 'steps', isGood: found, detail };
  });
}

/** A relative one comes with the release. */
function isThere(program: string): boolean {
  return !program.startsWith('/') || isExecutable(program);
}

function onPath(program: string, path: string): boolean {
  return path.split(':').some((folder) => folder !== '' && isExecutable(join(folder, program)));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function windowFinding({ settings, nowMs }: CheckInput): readonly DeployFinding[] {
  if (settings.window === null) return [];
  const window = parseWindow(settings.window);
  const detail =
    window === null
      ? `deploy.window: ${settings.window} is not right: this Node does not know the time zone`
      : `${settings.window}: a scheduled deploy could ${isWithin(window, nowMs) ? '' : 'not '}start now`;
  return [{ what: 'window', isGood: window !== null, detail }];
}

/** A directory with `.git`, or a bare one. */
function isRepository(path: string): boolean {
  if (existsSync(join(path, '.git'))) return true;
  try {
    return (
      /^(ref: |[0-9a-f]{40})/.test(readFileSync(join(path, 'HEAD'), 'utf8')) &&
      existsSync(join(path, 'objects'))
    );
  } catch {
    return false;
  }
}

/** The path itself, or the nearest directory above it that exists. */
function nearestThere(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : nearestThere(dirname(path));
}
