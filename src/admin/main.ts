import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { endWithMaster, runCompanion, tellMaster } from '../companion-process.js';
import { type ControlClient, connectControl } from '../control/client.js';
import { RefusedByDaemon } from '../control/client-errors.js';
import { exitCodes, RomAgentError } from '../errors.js';
import {
  type AdminHook,
  type AdminMessage,
  type AdminSettings,
  adminVariable,
  secretProblem,
  shortestToken,
} from '../protocol/admin-process.js';
import type { DeployLine } from '../protocol/deploy.js';
import { createAdminApp, type Hooks } from './app.js';
import { createGate } from './gate.js';
import { createHook, createHookQueue } from './hook.js';
import { listen } from './listen.js';
import { createObserver } from './observer.js';
import { loadPages } from './pages.js';

/** The composition root of the admin server's process. */
async function main(): Promise<void> {
  const settings = JSON.parse(process.env[adminVariable] ?? '') as AdminSettings;
  delete process.env[adminVariable];
  const { name, version, controlSocket, place, by } = settings;
  const token = tokenOf(settings);
  const client = connectControl({ path: controlSocket, timeout: 5_000 });
  const observer = createObserver({
    ...{ name, version, client, readLog },
    clock: Date.now,
    after: (ms, call) => {
      const timer = setTimeout(call, ms);
      return () => clearTimeout(timer);
    },
    boot: randomBytes(6).toString('hex'),
  });
  const app = createAdminApp({
    ...{ observer, client, by },
    hooks: settings.hook === null ? null : hooksOf(settings.hook, client),
    gate: createGate({ token, hosts: hostsOf(settings) }),
    pages: loadPages(fileURLToPath(new URL('../page/', import.meta.url))),
    renderMetrics: async (snapshot) => {
      const { metricsType, renderMetrics } = await import('../metrics/render.js');
      return { type: metricsType, text: renderMetrics(snapshot) };
    },
    onError: (error, { method, path }) => {
      // That the daemon does not answer is told by its state.
      if (error instanceof RomAgentError) return;
      const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
      tell({ type: 'problem', message: `admin server: ${method} ${path.slice(0, 200)} failed: ${why}` });
    },
  });
  const server = await listen(app, place);
  endWithMaster(() => {
    observer.end();
    server.close();
  });
  tell({ type: 'listening', port: server.port, token: settings.token.kind === 'random' ? token : null });
  await observer.run();
}

/** The secret is read with each delivery, so that it can be changed. */
function hooksOf({ secretFile, branch, ref }: AdminHook, client: ControlClient): Hooks {
  const secret = (): string => {
    const text = readFileSync(secretFile, 'utf8').trim();
    // An empty key would be everybody's.
    if (text.length >= shortestToken) return text;
    throw new Error(`deploy.hook_secret_file: ${secretFile} has less than ${shortestToken} characters`);
  };
  return {
    judge: createHook({ secret, branch, clock: Date.now }),
    queue: createHookQueue({
      deploy: (by) =>
        new Promise((resolve, reject) => {
          const options = { by, origin: 'hook', ...(ref === null ? {} : { ref }) } as const;
          const onLine = (line: DeployLine): void => {
            if (line.type === 'answer') resolve(line.message);
          };
          // After the answer the daemon's log tells what comes of it.
          client.deploy(options, onLine).then(() => {}, reject);
        }),
      isBusy: (error) => error instanceof RefusedByDaemon && /deploy is under way/.test(error.message),
      after: (ms, call) => void setTimeout(call, ms),
      onProblem: (error) =>
        tell({ type: 'problem', message: `a push could not be deployed: ${(error as Error).message}` }),
    }),
  };
}

/** @throws RomAgentError where the file cannot be read, or has no token in it */
function tokenOf({ token }: AdminSettings): string | null {
  if (token.kind === 'none') return null;
  if (token.kind === 'random') return randomBytes(24).toString('base64url');
  let text: string;
  try {
    text = readFileSync(token.path, 'utf8').trim();
  } catch (cause) {
    const { code = String(cause) } = cause as NodeJS.ErrnoException;
    throw new RomAgentError(`admin_token_file: ${token.path} cannot be read (${code})`, {
      exitCode: exitCodes.config,
      cause,
    });
  }
  // Its content is not told.
  const problem = secretProblem(text);
  if (problem === null) return text;
  throw new RomAgentError(`admin_token_file: the content of ${token.path} ${problem}`, {
    exitCode: exitCodes.config,
  });
}

/**
 * A token of an operator's own may be used by any name that leads here, through a proxy say; no browser reaches a unix socket
 * by itself.
 */
function hostsOf({ token, place }: AdminSettings): 'own' | 'any' {
  return token.kind === 'file' || place.kind === 'path' ? 'any' : 'own';
}

const readLog: Parameters<typeof createObserver>[0]['readLog'] = async (source, options, onLine) => {
  if (source.kind === 'none') return;
  const { readLog: read } = await import('../logging/read-log.js');
  await read(source, { ...options, since: null }, onLine);
};

function tell(message: AdminMessage): void {
  tellMaster(message);
}

runCompanion(main);
