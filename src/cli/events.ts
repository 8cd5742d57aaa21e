import type { ControlEvent } from '../control/api.js';
import { exitCodes } from '../errors/exit-codes.js';
import { timeOfDay } from './human.js';
import { stepLine, summary } from './reload.js';
import type { CommandExit, Session } from './session.js';
import type { Terminal } from './terminal.js';

/** `rom-agent events`: what happens in the daemon, until Ctrl-C or until it stops. */
export async function eventsCommand(
  { client, terminal, clock, interrupted }: Session,
  { json = false }: { readonly json?: boolean },
): Promise<CommandExit> {
  const ended = AbortSignal.any([interrupted(), terminal.readerGone]);
  await client.events((event) => {
    const line = json ? JSON.stringify(event) : `${timeOfDay(clock())}  ${describe(event, terminal)}`;
    terminal.print(`${line}\n`);
  }, ended);
  if (!ended.aborted) terminal.warn('the daemon has ended the stream, as it does when it stops');
  return exitCodes.ok;
}

function describe(event: ControlEvent, terminal: Terminal): string {
  switch (event.type) {
    case 'service':
      return `service   ${event.status}, ${event.wanted} wanted`;
    case 'worker': {
      const pid = event.pid === null ? '' : `pid ${event.pid}, `;
      return `worker ${event.worker}  ${event.phase.padEnd(8)}  ${pid}generation ${event.generation}`;
    }
    case 'step':
      return `reload    ${stepLine(event.step, terminal).trimStart()}`;
    case 'record':
      return `reload    ${summary(event.record, terminal)}`;
  }
}
