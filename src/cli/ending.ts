import { type ExitCode, exitCodes } from '../errors.js';
import { formatJournal } from '../logging/format.js';
import { chooseLayout } from '../logging/layout.js';
import { detectServiceManager } from '../service-manager/detect.js';
import type { ServiceManager } from '../service-manager/service-manager.js';
import { complain, writeError } from './output.js';

/** What commander prints to standard error; in the journal at priority err, as what ends a service is. */
export function printError(text: string): void {
  writeError(isJournal() ? text.replaceAll(/^(?=.)/gm, '<3>') : text);
}

/** Why the process ends, said without the log: to standard error, a stack in one entry of the journal. */
export function sayLast(message: string, stack?: string): void {
  if (isJournal()) writeError(entry(message, stack));
  else complain(stack === undefined ? message : `${message}\n${stack}`);
}

/** For `systemctl status`. An addon that cannot be loaded has been told of already, or does not matter any more. */
export function tellReason(serviceManager: ServiceManager, message: string, error?: unknown): void {
  const { errno } = (error ?? {}) as NodeJS.ErrnoException;
  const number = typeof errno === 'number' ? { errno: Math.abs(errno) } : {};
  serviceManager.notify({ status: message, ...number });
}

/** One line for an error that nobody expected. */
export function bugMessage(error: unknown): string {
  return `a bug in rom-agent: ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}`;
}

/** What entry.cjs says of a file that is needed at once, for one that is loaded with a command. */
export const fileMissing = 'a file of rom-agent is missing; reinstall it unless an upgrade is in progress';

/** Only files and packages of rom-agent's own are loaded in this process. */
export function isIncomplete(error: unknown): error is Error {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND';
}

function isJournal(): boolean {
  return chooseLayout('auto', { fd: 2, env: process.env }) === 'journal';
}

function entry(msg: string, stack: string | undefined): string {
  const bindings = { role: 'master' };
  const fields = { ...bindings, ...(stack === undefined ? {} : { stack }) };
  return formatJournal({ level: 'error', time: '', pid: process.pid, msg, ...fields }, { bindings });
}

/** Who started this process. */
export function findServiceManager(onProblem: (problem: string) => void): ServiceManager {
  const { env, pid, ppid, platform } = process;
  return detectServiceManager({ env, pid, ppid, platform, send: process.send?.bind(process), onProblem });
}

/** What a restart cannot mend. */
const fatal: ReadonlySet<ExitCode> = new Set([exitCodes.config, exitCodes.usage]);

/** launchd knows no RestartPreventExitStatus: it is told of success, or it would try the same for ever. */
export function exitStatusFor({ loopsOnFatalErrors }: ServiceManager, exitCode: ExitCode): ExitCode {
  return loopsOnFatalErrors && fatal.has(exitCode) ? exitCodes.ok : exitCode;
}
