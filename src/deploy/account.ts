import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  lchownSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
} from 'node:fs';
import { join } from 'node:path';

/** Who gets the source and runs the commands. */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

export type AccountAnswer = { readonly account: Account | null } | { readonly problem: string };

/** The account of `deploy.user`; null: it is the one of this process. */
export function accountOf(name: string | null): AccountAnswer {
  if (name === null) return { account: null };
  const numbers = idOf(name);
  if (numbers === null)
    return { problem: `deploy.user: ${JSON.stringify(name)} is not right: this machine has no such account` };
  if (numbers.uid === process.getuid?.()) return { account: null };
  if (!mayChange()) {
    const own = process.getuid?.();
    return {
      problem: `deploy.user: ${JSON.stringify(name)} is not right here: the daemon runs as uid ${own} and without CAP_SETUID, CAP_SETGID and CAP_CHOWN, so it cannot run commands as another account; leave it out, or run the service as root`,
    };
  }
  return { account: { name, ...numbers } };
}

function idOf(name: string): { uid: number; gid: number } | null {
  const id = (flag: string) =>
    Number(execFileSync('id', [flag, '--', name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
  try {
    return { uid: id('-u'), gid: id('-g') };
  } catch {
    return null;
  }
}

/** CAP_CHOWN, CAP_SETGID and CAP_SETUID: capabilities(7). */
const needed = (1n << 0n) | (1n << 6n) | (1n << 7n);

function mayChange(): boolean {
  try {
    const [, hex = '0'] = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
    return (BigInt(`0x${hex}`) & needed) === needed;
  } catch {
    return process.getuid?.() === 0;
  }
}

/** Gives a tree to an account. Symbolic links are changed themselves, not what they lead to. */
export function giveTree(path: string, account: Pick<Account, 'uid' | 'gid'>): void {
  // Before, or where only the new owner may read it, after.
  const first = openFolder(path);
  lchownSync(path, account.uid, account.gid);
  const folder = first === 'denied' ? openFolder(path) : first;
  if (folder === null) return;
  if (folder === 'denied') throw new Error(`${path} cannot be read (EACCES)`);
  try {
    // By what is open, not by its path: whoever owns it so far may put a link in its place meanwhile.
    const here = existsSync(openFiles) ? join(openFiles, String(folder)) : path;
    for (const name of readdirSync(here)) giveTree(join(here, name), account);
  } finally {
    closeSync(folder);
  }
}

/** proc_pid_fd(5); only Linux has it. */
const openFiles = '/proc/self/fd';

/** null: it is no directory. */
function openFolder(path: string): number | 'denied' | null {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EACCES') return 'denied';
    // ELOOP: a symbolic link, where ENOTDIR does not come first.
    if (code === 'ENOTDIR' || code === 'ELOOP' || code === 'ENXIO') return null;
    throw error;
  }
}

/** The account of this process. */
export function ownAccount(): Pick<Account, 'uid' | 'gid'> {
  return { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
}

/** The service reads its release, whatever umask the commands had. */
export function openDirectory(path: string): void {
  const found = lstatSync(path);
  if (!found.isDirectory()) throw new Error(`${path} is no directory any more`);
  chmodSync(path, found.mode | 0o555);
}
