import { exitCodes, RomAgentError } from '../../errors.js';
import type { FailedJobsAnswer, QueuesAnswer } from '../../protocol/queues.js';
import { moment, type Terminal, table } from '../output.js';
import type { CommandExit, Session } from '../session.js';

export interface QueuesFlags {
  readonly json?: boolean;
  readonly number?: string;
}

/** `rom-agent queues`, `queues failed NAME` and `queues retry NAME ID` */
export async function queuesCommand(
  { client, terminal, by }: Session,
  { json = false, number }: QueuesFlags,
  [action, name, id]: readonly (string | undefined)[],
): Promise<CommandExit> {
  if (action === undefined) {
    const found = await client.queues();
    if (json) terminal.printJson(found, 'pretty');
    else terminal.print(queuesText(found, terminal));
  } else if (action === 'failed' && name !== undefined && id === undefined) {
    const found = await client.failedJobs({
      queue: name,
      ...(number === undefined ? {} : { limit: count(number) }),
    });
    if (json) terminal.printJson(found, 'pretty');
    else terminal.print(failedText(found, { name, ...terminal }));
  } else if (action === 'retry' && name !== undefined && id !== undefined) {
    terminal.print(`${await client.retryJob({ queue: name, id, by })}\n`);
  } else {
    throw new RomAgentError(
      `queues: ${[action, name, id].filter((each) => each !== undefined).join(' ')} is not right: expected nothing, "failed NAME" or "retry NAME ID"`,
      { exitCode: exitCodes.usage },
    );
  }
  return exitCodes.ok;
}

export function queuesText({ engine, queues }: QueuesAnswer, { paint }: Pick<Terminal, 'paint'>): string {
  if (engine === null) return none;
  const lost =
    engine.connected || engine.lostAtMs === undefined
      ? ''
      : `${paint('red', 'lost Redis')} since ${moment(engine.lostAtMs)}\n`;
  if (queues.length === 0) return `${lost}${none}`;
  const head = ['QUEUE', 'WAITING', 'DELAYED', 'ACTIVE', 'COMPLETED', 'FAILED'].map((text) =>
    paint('bold', text),
  );
  const rows = queues.map(({ name, waiting, delayed, active, completed, failed }) => [
    ...[name, waiting, delayed, active, completed].map(String),
    failed === 0 ? '0' : paint('red', String(failed)),
  ]);
  return `${lost}${table([head, ...rows])}`;
}

export function failedText(
  { jobs }: FailedJobsAnswer,
  { name, paint }: Pick<Terminal, 'paint'> & { readonly name: string },
): string {
  if (jobs.length === 0) return `no failed jobs in the queue ${name}\n`;
  const head = ['ID', 'FAILED', 'ATTEMPTS', 'ERROR'].map((text) => paint('bold', text));
  const rows = jobs.map(({ id, failedAtMs, attempts, error }) => [
    id,
    moment(failedAtMs),
    String(attempts),
    error.split('\n')[0] ?? '',
  ]);
  return table([head, ...rows]);
}

function count(text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new RomAgentError(`-n: ${JSON.stringify(text)} is not right: expected an integer from 1 to 1000`, {
    exitCode: exitCodes.usage,
  });
}

const none = "no app has used a queue yet: it does by queue(NAME).add of import { queue } from 'rom-agent'\n";
