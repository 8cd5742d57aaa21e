import { exitCodes, RomAgentError } from '../errors.js';
import type { Found, StackAnswer } from '../protocol/control-api.js';
import { longestProfile } from '../protocol/limits.js';
import type { RequestNote } from '../protocol/requests.js';
import { count, span, type Terminal } from './output.js';
import { type CommandExit, type Session, workerNumber } from './session.js';

type Stack = Found<StackAnswer>;

/** `rom-agent stack <worker>`: what it does at this moment. */
export async function stackCommand(
  { client, terminal, by }: Session,
  worker: string,
  { json = false }: { readonly json?: boolean },
): Promise<CommandExit> {
  const found = await client.stack(workerNumber('stack', worker), by);
  if (json) terminal.printJson(found, 'pretty');
  else terminal.print(report(found, terminal));
  return exitCodes.ok;
}

function report(found: Stack, { paint }: Terminal): string {
  const { worker, pid, stack, detail, requests } = found;
  const colour = found.state === 'idle' || found.state === 'running' ? 'green' : 'red';
  const lines = [
    `worker ${worker} (pid ${pid}) ${paint(colour, inWords(found))}`,
    ...(detail === null ? [] : [detail]),
    ...(stack === null ? [] : [stack.replaceAll(/^(?! {4})/gm, '    ')]),
    ...(requests === null ? [] : requestLines(requests)),
  ];
  return `${lines.join('\n')}\n`;
}

function inWords({ state, at }: Stack): string {
  switch (state) {
    case 'running':
      return at === null ? 'runs' : `runs ${at}`;
    case 'idle':
      return 'is idle: no JavaScript runs in it';
    case 'stopped':
      return 'is stopped by a signal';
    case 'blocked':
      return 'is blocked in a system call';
    case 'starved':
      return at === null ? 'gets no CPU' : `gets no CPU, in ${at}`;
    case 'unknown':
      return 'is in an unknown state';
  }
}

function requestLines(requests: readonly RequestNote[]): readonly string[] {
  if (requests.length === 0) return ['no requests in flight'];
  const lines = requests.map(({ method, path, age }) => `    ${method} ${path}  ${span(age)}`);
  return [`${count(requests.length, 'request')} in flight`, ...lines];
}

/** `rom-agent profile <worker>`: the path of its file alone goes to standard output. */
export async function profileCommand(
  { client, terminal, by }: Session,
  worker: string,
  { seconds }: { readonly seconds: string },
): Promise<CommandExit> {
  const { path } = await client.profile(workerNumber('profile', worker), secondsIn(seconds), by);
  terminal.print(`${path}\n`);
  return exitCodes.ok;
}

/** `rom-agent heap-snapshot <worker>` */
export async function heapSnapshotCommand(
  { client, terminal, by }: Session,
  worker: string,
): Promise<CommandExit> {
  const { path } = await client.heapSnapshot(workerNumber('heap-snapshot', worker), by);
  terminal.print(`${path}\n`);
  return exitCodes.ok;
}

function secondsIn(value: string): number {
  if (/^[1-9]\d{0,2}$/.test(value) && Number(value) <= longestProfile) return Number(value);
  throw new RomAgentError(
    `profile: --seconds ${JSON.stringify(value)} is not right: expected a number from 1 to ${longestProfile}`,
    { exitCode: exitCodes.usage },
  );
}
