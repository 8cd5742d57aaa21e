import { spawn } from 'node:child_process';

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  /** Written to its standard input. */
  readonly input?: string;
  /** ms, 2 minutes unless told; then it is killed and the promise rejects. */
  readonly timeout?: number;
}

/** Runs a program to its end. Rejects when it cannot be started or takes too long, not for its exit status. */
export function command(argv: readonly string[], { input = '', timeout = 120_000 }: CommandOptions = {}) {
  return new Promise<CommandResult>((resolve, reject) => {
    const [file = '', ...args] = argv;
    const child = spawn(file, args, { env: plainEnvironment, stdio: 'pipe' });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`${argv.join(' ')}: not done within ${timeout} ms: ${Buffer.concat(stderr)}`));
    }, timeout);
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.once('error', reject).once('close', (code) => {
      clearTimeout(timer);
      resolve({ code, stdout: `${Buffer.concat(stdout)}`, stderr: `${Buffer.concat(stderr)}` });
    });
    // A program that does not read its input may be gone before it is written.
    child.stdin.on('error', () => {}).end(input);
  });
}

/** No colours, no pager, no translations, nothing of the caller's. */
const plainEnvironment = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LANG: 'C.UTF-8',
  SYSTEMD_COLORS: '0',
  SYSTEMD_PAGER: 'cat',
};
