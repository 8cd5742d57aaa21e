import type { LogConfig } from '../config/config.js';
import { type LoadInput, loadConfig } from '../config/load.js';
import { systemInput } from '../config/system.js';
import { ConfigError, describeProblem, RomAgentError } from '../errors/errors.js';
import { exitCodes } from '../errors/exit-codes.js';
import { serve } from '../master/serve.js';
import type { Supervisor } from '../supervisor/supervisor.js';
import { openDailyFile } from '../telemetry/daily-file.js';
import { createLog, type Log } from '../telemetry/log.js';
import { exitStatusFor, findSupervisor } from './supervisor.js';
import { version } from './version.js';

/** `rom-agent serve`: runs until the service has ended. Resolves to the exit status. */
export async function serveCommand(flags: LoadInput['flags']): Promise<number> {
  let log = createLog({ config: untilConfigured, bindings: { role: 'master' } });
  const supervisor = findSupervisor((problem) => log.warn(problem));
  const input = systemInput(flags);
  try {
    const { config } = await loadConfig(input);
    log = createLog({ config: config.log, bindings: { role: 'master' } });
    if (config.log.dir !== null) openDailyFile({ dir: config.log.dir, clock: Date.now });
    failWithLog(log);
    const { cpus } = input.machine;
    const exitCode = await serve({ config, supervisor, log, version, cpus, printBanner: bannerPrinter(log) });
    log.flush();
    return exitCode;
  } catch (error) {
    if (!(error instanceof RomAgentError)) throw error;
    return refuse(error, { supervisor, log });
  }
}

/** Good enough to say what is wrong with the configuration. */
const untilConfigured: LogConfig = { level: 'info', format: 'auto', dir: null, statsInterval: 0 };

function refuse(error: RomAgentError, { supervisor, log }: { supervisor: Supervisor; log: Log }): number {
  const lines = error instanceof ConfigError ? error.problems.map(describeProblem) : [error.message];
  supervisor.notify({ status: lines.join('; ') });
  if (log.format === 'journal') for (const line of lines) log.error(line);
  else process.stderr.write(`${lines.map((line) => `rom-agent: ${line}`).join('\n')}\n`);
  log.flush();
  return exitStatusFor(supervisor, error.exitCode);
}

/** A bug of the master's own ends it: its workers finish what they have and go, and it is started anew. */
function failWithLog(log: Log): void {
  process.on('uncaughtException', (error) => {
    log.fatal('a bug in the master', { error });
    log.flush();
    process.exit(exitCodes.bug);
  });
}

/** The banner is for a person at a terminal. */
function bannerPrinter({ format }: Log): ((text: string) => void) | null {
  return format === 'pretty' && process.stdout.isTTY ? (text) => void process.stdout.write(text) : null;
}
