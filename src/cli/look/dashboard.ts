import { spawn } from 'node:child_process';
import { userInfo } from 'node:os';
import { exitCodes, RomAgentError } from '../../errors.js';
import { spawnAdminServer } from '../../master/admin-server.js';
import type { CommandExit, Session } from '../session.js';
import { version } from '../version.js';

export interface DashboardFlags {
  /** False with --no-open. */
  readonly open: boolean;
  readonly name?: string;
}

/** `rom-agent dashboard`: serves the dashboard on the loopback until Ctrl-C. */
export async function dashboardCommand(session: Session, flags: DashboardFlags): Promise<CommandExit> {
  const { client, terminal, by, controlSocket, interrupted } = session;
  const ended = AbortSignal.any([interrupted(), terminal.readerGone]);
  // Where there is no daemon it says so, instead of a page that waits for one.
  await client.status();
  const surroundings = { env: process.env, platform: process.platform };
  return new Promise((resolve, reject) => {
    let reason: string | null = null;
    const server = spawnAdminServer(
      {
        ...{ name: flags.name ?? 'rom-agent', version, controlSocket, by },
        place: { kind: 'tcp', host: loopback, port: 0 },
        token: { kind: 'random' },
        hook: null,
      },
      {
        onMessage: (message) => {
          if (message.type === 'failed') reason = message.message;
          else if (message.type === 'problem') terminal.warn(message.message);
          else if (message.port !== null) {
            const url = urlOf(message.port, message.token ?? '');
            terminal.print(`${url}\n`);
            terminal.warn(instructions({ ...surroundings, port: message.port, user: userName() }));
            const program = flags.open ? browserProgram(surroundings) : null;
            if (program !== null) openBrowser(program, url);
          }
        },
        onEnd: (how) => {
          if (ended.aborted) return resolve(exitCodes.ok);
          const message = reason ?? `the server of the dashboard ended (${how})`;
          reject(new RomAgentError(message, { exitCode: exitCodes.tryAgain }));
        },
      },
      { keepsAlive: true },
    );
    ended.addEventListener('abort', () => server.kill(), { once: true });
    if (ended.aborted) server.kill();
  });
}

const loopback = '127.0.0.1';

function urlOf(port: number, token: string): string {
  return `http://${loopback}:${port}/?token=${token}`;
}

export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly platform: NodeJS.Platform;
}

/** What opens a URL in a browser of the person who asks; null where there is none, as over ssh. */
export function browserProgram({ env, platform }: Surroundings): string | null {
  if (isRemote(env)) return null;
  if (platform === 'darwin') return 'open';
  return env.DISPLAY || env.WAYLAND_DISPLAY ? 'xdg-open' : null;
}

/** What to do with the URL, for a person. */
export function instructions({
  env,
  port,
  user,
}: Surroundings & { readonly port: number; readonly user: string }): string {
  if (!isRemote(env)) return 'open this URL in a browser of this machine; Ctrl-C ends the dashboard';
  // SSH_CONNECTION, ssh(1): the client's address and port, the server's address and port.
  const [, , host = 'HOST', sshPort = '22'] = (env.SSH_CONNECTION ?? '').split(' ');
  const otherPort = sshPort === '22' ? '' : ` -p ${sshPort}`;
  return (
    `on your own machine run: ssh -N${otherPort} -L ${port}:${loopback}:${port} ${user}@${host} ` +
    'and open this URL in your browser; Ctrl-C here ends the dashboard'
  );
}

/** An account without an entry in passwd(5), as containers have them, has no name. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return 'USER';
  }
}

function isRemote(env: Surroundings['env']): boolean {
  return Boolean(env.SSH_CONNECTION || env.SSH_TTY);
}

/** The URL is printed, too: where no browser comes up nothing is lost. */
function openBrowser(program: string, url: string): void {
  const child = spawn(program, [url], { stdio: 'ignore', detached: true });
  child.on('error', () => {});
  child.unref();
}
