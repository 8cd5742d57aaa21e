import { type ExitCode, exitCodes } from '../errors.js';
import { detectSupervisor } from '../service-manager/detect.js';
import type { Supervisor } from '../service-manager/supervisor.js';

/** Who started this process. */
export function findSupervisor(onProblem: (problem: string) => void): Supervisor {
  const { env, pid, ppid, platform } = process;
  return detectSupervisor({ env, pid, ppid, platform, send: process.send?.bind(process), onProblem });
}

/** What a restart cannot mend. */
const fatal: ReadonlySet<ExitCode> = new Set([exitCodes.config, exitCodes.usage]);

/** launchd knows no RestartPreventExitStatus: it is told of success, or it would try the same for ever. */
export function exitStatusFor({ loopsOnFatalErrors }: Supervisor, exitCode: ExitCode): ExitCode {
  return loopsOnFatalErrors && fatal.has(exitCode) ? exitCodes.ok : exitCode;
}
