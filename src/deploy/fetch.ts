import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, lstatSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type CommandResult, lastWords } from './command.js';
import { describeSource, type Source, type TarballPlace } from './plan.js';

/** Runs a command as who gets the source, in the environment of the deploy. */
export type Run = (
  command: readonly string[],
  cwd: string,
  timeoutMs: number,
  more?: {
    /** Variables that it has, too. */
    readonly secrets?: Readonly<Record<string, string>>;
    /** @see CommandOptions */
    readonly giveUp?: () => string | null;
  },
) => Promise<CommandResult>;

export interface FetchInput {
  readonly source: Source;
  /** An empty directory, which becomes the release. */
  readonly into: string;
  readonly timeoutMs: number;
  readonly run: Run;
  /** Free space of the file system, bytes, and what is to be left of it by a download. */
  readonly freeBytes: () => number;
  readonly minFreeBytes: number;
  /** Monotonic, ms. */
  readonly now: () => number;
}

export interface Fetched {
  /** Of git, or the SHA-256 of the tarball. */
  readonly commit: string | null;
}

/** What went wrong while the source was fetched, in words. */
export class FetchError extends Error {}

/** @throws FetchError */
export async function fetchSource(input: FetchInput): Promise<Fetched> {
  const { source } = input;
  if (source.kind === 'git') return fetchGit(input, source);
  if (source.kind === 'tarball') return fetchTarball(input, source);
  const copied = await input.run(['cp', '-RP', `${source.path}/.`, input.into], input.into, input.timeoutMs);
  mustSucceed(copied, `${describeSource(source)} cannot be copied`);
  return { commit: null };
}

/**
 * The URL without its password, and the command with which git gets at it. Every user of the host may read the arguments of
 * a process: the password goes as a header in a variable, which only the account of the process may read
 * (`--config-env`, git 2.31).
 */
export function gitAccess(url: string): {
  readonly url: string;
  readonly command: readonly string[];
  readonly secrets: Readonly<Record<string, string>>;
} {
  const { plain, authorization } = withoutPassword(url);
  if (authorization === null) return { url, command: gitCommand, secrets: {} };
  const header = `--config-env=http.${new URL(plain).origin}/.extraHeader=${secretVariable}`;
  return {
    url: plain,
    command: [...gitCommand, header],
    secrets: { [secretVariable]: `Authorization: ${authorization}` },
  };
}

const secretVariable = 'ROM_AGENT_GIT_HEADER';

/** Of http and https: other URLs have no password that their programs take. */
function withoutPassword(url: string): { readonly plain: string; readonly authorization: string | null } {
  if (!/^https?:/.test(url) || !URL.canParse(url)) return { plain: url, authorization: null };
  const plain = new URL(url);
  const [name, password] = [plain.username, plain.password].map(decodeURIComponent);
  if (name === '' && password === '') return { plain: url, authorization: null };
  [plain.username, plain.password] = ['', ''];
  const token = Buffer.from(`${name}:${password}`).toString('base64');
  return { plain: plain.href, authorization: `Basic ${token}` };
}

/** No helper programs by a URL, no hooks, and nobody is asked for a password. */
const gitCommand = ['git', '-c', 'protocol.ext.allow=never', '-c', 'core.hooksPath=/dev/null'] as const;

async function fetchGit(
  { into, timeoutMs, run, now }: FetchInput,
  source: Extract<Source, { kind: 'git' }>,
): Promise<Fetched> {
  const { ref } = source;
  const { url, command, secrets } = gitAccess(source.url);
  const end = now() + timeoutMs;
  const git = (...words: readonly string[]) =>
    run([...command, ...words], into, Math.max(1_000, end - now()), { secrets });
  const what = describeSource(source);
  mustSucceed(await git('init', '--quiet', '.'), 'git init failed');
  // A commit by its number is not given by every server, and never by a short number.
  let fetched = await git('fetch', '--quiet', '--depth=1', '--no-tags', '--', url, ref ?? 'HEAD');
  let target = 'FETCH_HEAD';
  if (fetched.failure !== null && ref !== null && /^[0-9a-f]{7,64}$/.test(ref)) {
    fetched = await git('fetch', '--quiet', '--tags', '--', url, '+refs/heads/*:refs/remotes/origin/*');
    target = ref;
  }
  mustSucceed(fetched, `${what} cannot be fetched`);
  mustSucceed(await git('checkout', '--quiet', '--detach', target), `${what} cannot be checked out`);
  const head = await git('rev-parse', 'HEAD');
  mustSucceed(head, 'git rev-parse failed');
  return { commit: head.tail.at(-1) ?? null };
}

async function fetchTarball(
  input: FetchInput,
  source: Extract<Source, { kind: 'tarball' }>,
): Promise<Fetched> {
  const { into, timeoutMs, run } = input;
  const file = `${into}.tar`;
  const what = describeSource(source);
  try {
    const sha256 = await download(source.from, { ...input, file, what });
    if (source.sha256 !== null && sha256 !== source.sha256)
      throw new FetchError(`${what} has the SHA-256 ${sha256}, and ${source.sha256} was expected`);
    const giveUp = (): string | null => tooLarge(input, what);
    const command = ['tar', '-x', '--no-same-owner', '--no-same-permissions', '-f', file, '-C', into];
    const unpacked = await run(command, into, timeoutMs, { giveUp });
    // A small archive may become large. The disk may have been filled between two looks, too.
    const why = giveUp();
    if (why !== null) throw new FetchError(why);
    mustSucceed(unpacked, `${what} cannot be unpacked`);
    await unwrap(into);
    return { commit: sha256 };
  } finally {
    rmSync(file, { force: true });
  }
}

/** The SHA-256 of what was written. */
async function download(
  from: TarballPlace,
  {
    file,
    timeoutMs,
    what,
    ...disk
  }: Pick<FetchInput, 'timeoutMs' | 'freeBytes' | 'minFreeBytes'> & { file: string; what: string },
): Promise<string> {
  const hash = createHash('sha256');
  let unchecked = lookEvery;
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    const bytes = 'path' in from ? createReadStream(from.path) : await open(from.url, signal);
    await pipeline(
      bytes,
      async function* (chunks: AsyncIterable<Buffer>) {
        for await (const chunk of chunks) {
          hash.update(chunk);
          unchecked += chunk.length;
          if (unchecked >= lookEvery) mustLeaveSpace(disk, what);
          unchecked %= lookEvery;
          yield chunk;
        }
      },
      createWriteStream(file, { mode: 0o644 }),
      { signal },
    );
  } catch (error) {
    if (error instanceof FetchError) throw error;
    const why = signal.aborted ? `no end within ${timeoutMs / 1000} s` : reasonOf(error);
    throw new FetchError(`${what} cannot be fetched: ${why}`, { cause: error });
  }
  return hash.digest('hex');
}

/** Bytes of a download between two looks at what is left of the disk. */
const lookEvery = 2 ** 23;

/** Rounded down: what is free is not to be more than there is. */
export function wholeMebibytes(bytes: number): number {
  return Math.floor(bytes / 2 ** 20);
}

/** Nobody knows how long an answer goes on: a full disk would harm the service that runs. */
function mustLeaveSpace(disk: Pick<FetchInput, 'freeBytes' | 'minFreeBytes'>, what: string): void {
  const why = tooLarge(disk, what);
  if (why !== null) throw new FetchError(why);
}

/** null: it is not. */
function tooLarge(
  { freeBytes, minFreeBytes }: Pick<FetchInput, 'freeBytes' | 'minFreeBytes'>,
  what: string,
): string | null {
  const free = freeBytes();
  if (free >= minFreeBytes) return null;
  return `${what} is too large: ${wholeMebibytes(free)} MiB of the disk are left, ${wholeMebibytes(minFreeBytes)} are wanted (deploy.min_free)`;
}

/** fetch() refuses a URL with a password in it, and says the password. */
export function fetchUrl(url: string, init: Omit<RequestInit, 'headers'>): Promise<Response> {
  const { plain, authorization } = withoutPassword(url);
  return authorization === null
    ? fetch(url, init)
    : fetch(plain, { ...init, headers: { Authorization: authorization } });
}

async function open(url: string, signal: AbortSignal): Promise<Readable> {
  const answer = await fetchUrl(url, { signal, redirect: 'follow' });
  if (!answer.ok || answer.body === null)
    throw new FetchError(`${new URL(url).origin} answers ${answer.status} for the tarball`);
  return Readable.fromWeb(answer.body as Parameters<typeof Readable.fromWeb>[0]);
}

/** One directory that holds everything, as npm and the forges make it, is taken away. */
async function unwrap(into: string): Promise<void> {
  const [only, ...more] = readdirSync(into, { withFileTypes: true });
  if (only === undefined || more.length > 0 || !only.isDirectory()) return;
  const outer = `${into}.wrapped`;
  renameSync(into, outer);
  renameSync(join(outer, only.name), into);
  await rm(outer, { recursive: true, force: true });
  // Who unpacked it owned it until then.
  if (!lstatSync(into).isDirectory()) throw new FetchError('what was unpacked is no directory any more');
}

function mustSucceed({ failure, tail }: CommandResult, what: string): void {
  if (failure === null) return;
  const said = lastWords(tail, 3);
  throw new FetchError(`${what}: ${failure}${said === '' ? '' : `: ${said}`}`);
}

function reasonOf(error: unknown): string {
  const { cause, message } = error as Error;
  return cause instanceof Error && cause.message !== '' ? `${message} (${cause.message})` : message;
}

/** Makes the directory that a source is fetched into. */
export async function makeEmpty(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
  await mkdir(path, { mode: 0o755 });
}
