import cluster from 'node:cluster';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type LoadInput, loadConfig } from '../../config/load.js';
import { systemInput } from '../../config/system.js';
import { ConfigError, describeProblem, type ExitCode, exitCodes, RomAgentError } from '../../errors.js';
import { sharedJournal } from '../../logging/journal.js';
import { type LazyLog, lazyLog } from '../../logging/lazy-log.js';
import { guardOutput } from '../../logging/lost-output.js';
import { followOutput, outputVariable } from '../../logging/output-file.js';
import { createLogSubjects } from '../../master/log-subjects.js';
import { serve } from '../../master/serve.js';
import { takeOverFrom } from '../../master/upgrade/successor.js';
import { isWatched, tellWatch } from '../../master/watch-mode.js';
import { insideCluster, killedTooSoon } from '../../service-manager/pm2.js';
import type { ServiceManager } from '../../service-manager/service-manager.js';
import type { LogConfig } from '../../settings/config.js';
import { bugMessage, exitStatusFor, findServiceManager, sayLast, tellReason } from '../ending.js';
import { writeOut } from '../output.js';
import { version } from '../version.js';

/** `rom-agent serve`: runs until the service has ended. Resolves to the exit status. */
export async function serveCommand(flags: LoadInput['flags']): Promise<number> {
  const takeOver = takeOverFrom(process.env, process.pid);
  const outputFile = process.env[outputVariable] ?? null;
  const output = followOutput({ path: outputFile });
  const subjects = createLogSubjects();
  const journal = { open: sharedJournal(), subject: subjects.of };
  const openLog = (config: LogConfig): LazyLog =>
    lazyLog({ config, bindings: { role: 'master' }, stdout: output, journal });
  let log = openLog(untilConfigured);
  const serviceManager = findServiceManager((problem) => unheard(problem, log));
  endOnBug({ serviceManager, log: () => log });
  try {
    if (cluster.isWorker) throw new RomAgentError(insideCluster, { exitCode: exitCodes.usage });
    const input = systemInput(flags);
    reportFiles(input);
    const loaded = await loadConfig(input);
    const { config } = loaded;
    log = openLog(config.log);
    if (process.pid === 1) await reapAsFirst(log);
    const tooSoon = serviceManager.kind === 'pm2' ? killedTooSoon(process.env, config) : null;
    if (tooSoon !== null) log.warn(tooSoon);
    if (config.log.dir !== null) await checkLogDirectory(config.log.dir);
    // Its lines go through the log, which bears that; the banner alone does not.
    guardOutput(process, () => {});
    const { cpus } = input.machine;
    const load = () => loadConfig(systemInput(flags));
    const exitCode = await serve({
      loaded,
      load,
      serviceManager,
      log,
      subjects,
      version,
      cpus,
      output,
      outputFile,
      takeOver,
      printBanner: bannerPrinter(log),
    });
    await log.close();
    return exitCode;
  } catch (error) {
    if (error instanceof RomAgentError) return refuse(error, { serviceManager, log });
    return bug(error, { serviceManager, log });
  }
}

/** Under `node --watch` a change of the configuration, too, is a reason to start anew. */
function reportFiles({ flags, env, cwd, directories }: LoadInput): void {
  if (!isWatched()) return;
  const { config } = flags;
  const file = resolve(
    cwd,
    typeof config === 'string' ? config : (env.ROM_AGENT_CONFIG ?? directories.config),
  );
  tellWatch({ 'watch:require': [file, resolve(cwd, '.env')].filter(existsSync) });
}

/**
 * systemd is not told anything. Where it has started this very process it waits for READY=1 and kills the service after
 * TimeoutStartSec= (90 s): the reason is told at once instead. Else somebody up the line wants to hear, and may not.
 */
function unheard(problem: string, log: LazyLog): void {
  if (process.env.SYSTEMD_EXEC_PID !== String(process.pid)) return log.warn(problem);
  log.error(problem);
  void log.close().finally(() => process.exit(exitCodes.config));
}

async function checkLogDirectory(dir: string): Promise<void> {
  const { openDailyFile } = await import('../../logging/daily-file.js');
  openDailyFile({ dir, clock: Date.now });
}

/** Good enough to say what is wrong with the configuration. */
const untilConfigured: LogConfig = { level: 'info', format: 'auto', dir: null, statsInterval: 0 };

async function refuse(
  error: RomAgentError,
  { serviceManager, log }: { serviceManager: ServiceManager; log: LazyLog },
): Promise<number> {
  const lines = error instanceof ConfigError ? error.problems.map(describeProblem) : [error.message];
  serviceManager.notify({ status: lines.join('; ') });
  if (log.format === 'journal') for (const line of lines) log.error(line);
  else for (const line of lines) sayLast(line);
  await log.close();
  // A connection that waits in a passed socket starts the service again at once, whatever RestartSec= says.
  if (serviceManager.sockets.length > 0) await sleep(1_000);
  return exitStatusFor(serviceManager, error.exitCode);
}

/** A bug of the master's own ends it: its workers finish what they have and go, and it is started anew. */
function endOnBug({ serviceManager, log }: { serviceManager: ServiceManager; log: () => LazyLog }): void {
  process.on('uncaughtException', (error) => {
    void bug(error, { serviceManager, log: log() }).then(
      (exitCode) => process.exit(exitCode),
      () => process.exit(exitCodes.bug),
    );
  });
}

/** A log that cannot be loaded is a reason more to say it without. */
async function bug(
  error: unknown,
  { serviceManager, log }: { serviceManager: ServiceManager; log: LazyLog },
): Promise<ExitCode> {
  const message = bugMessage(error);
  try {
    log.fatal(message, { error });
    await log.close();
  } catch {
    sayLast(message, error instanceof Error ? error.stack : undefined);
  }
  tellReason(serviceManager, message, error);
  return exitCodes.bug;
}

/** The banner is for a person at a terminal. */
function bannerPrinter(log: LazyLog): ((text: string) => void) | null {
  if (log.format !== 'pretty' || !process.stdout.isTTY) return null;
  // Below the lines that came before it, which may still wait for the log to load.
  return (text) => void log.close().then(() => writeOut(text, { colours: true }));
}

async function reapAsFirst(log: LazyLog): Promise<void> {
  const { whyZombies } = await import('../first-process.js');
  const why = whyZombies();
  if (why === null) return;
  const { beginReaping } = await import('../../service-manager/adopted-children.js');
  if (!beginReaping()) log.warn(why);
}
