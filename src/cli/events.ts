import { exitCodes } from '../errors.js';
import type { ControlEvent, WorkerEnding } from '../protocol/control-api.js';
import { count, timeOfDay } from './human.js';
import { type ReloadTeller, reloadTeller } from './reload.js';
import type { CommandExit, Session } from './session.js';

/** `rom-agent events`: what happens in the daemon, until Ctrl-C or until it stops. */
export async function eventsCommand(
  { client, terminal, clock, interrupted }: Session,
  { json = false }: { readonly json?: boolean },
): Promise<CommandExit> {
  const ended = AbortSignal.any([interrupted(), terminal.readerGone]);
  const teller = reloadTeller(terminal);
  await client.events((event) => {
    if (json) return terminal.printJson(event, 'line');
    const line = describe(event, teller);
    if (line !== null) terminal.print(`${timeOfDay(clock())}  ${line}\n`);
  }, ended);
  if (!ended.aborted) terminal.warn('the daemon has ended the stream, as it does when it stops');
  return exitCodes.ok;
}

/** null where another event says it. */
function describe(event: ControlEvent, teller: ReloadTeller): string | null {
  switch (event.type) {
    case 'service':
      return `service   ${event.status}, ${event.wanted} wanted`;
    case 'worker':
      // The same again, with its PID, is on its way.
      return event.phase === 'starting' && event.pid === null ? null : workerLine(event);
    case 'step': {
      const line = teller.step(event.step);
      return line === null ? null : `reload    ${line.trimStart()}`;
    }
    case 'record':
      return `reload    ${teller.summary(event.record)}`;
  }
}

function workerLine(event: Extract<ControlEvent, { type: 'worker' }>): string {
  const { worker, pid, generation, ending, reason } = event;
  const who = worker === 0 ? 'a spare ' : `worker ${worker}`;
  const what = ending === null ? event.phase : endings[ending.kind];
  const process = `${pid === null ? '' : `pid ${pid}, `}generation ${generation}`;
  const more = ending === null ? (reason ?? '') : endingOf(ending);
  return `${who}  ${what.padEnd(8)}  ${process}${more === '' ? '' : `: ${more}`}`;
}

/** What stands in the place of "gone". */
const endings: Readonly<Record<WorkerEnding['kind'], string>> = {
  drained: 'drained',
  killed: 'killed',
  boot: 'failed',
  crash: 'crashed',
  hang: 'hung',
};

function endingOf({ cause, code, signal, lost }: WorkerEnding): string {
  const exit = signal ?? (code === null || code === 0 ? null : `code ${code}`);
  const parts = [cause, exit, `${count(lost, 'request')} lost`];
  return parts.filter((part) => part !== null).join(', ');
}
