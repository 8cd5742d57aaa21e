import type { Cut, Hang, Kill, Memory } from '../observations.js';
import { count, type Found, lostIn, nameOf, ofDeath, seconds, type Told } from './words.js';

const harms = {
  kill: 'kill -9 of a worker',
  hang: 'a worker that hangs',
  memory: 'a worker whose heap is full',
} as const;

export function ofHarm(observation: Kill | Hang | Memory): Told {
  const { act, tookMs, load } = observation;
  const held = act === 'kill' ? observation.held.lost.length : 0;
  const lost = load.lost + held;
  if (tookMs === null) {
    const what: Found = {
      kind: 'not-replaced',
      text: `${harms[act]} is not replaced: ${observation.deaths[0]?.cause ?? 'the next one does not serve'}`,
      at: null,
      advice:
        'a worker must be able to start after one that ended without its handlers: no lock file, no pid file',
    };
    return { summary: 'not replaced', findings: [what] };
  }
  const after = act === 'hang' ? ` (hang_timeout is ${seconds(observation.hangTimeoutMs)})` : '';
  const refused: readonly Found[] =
    load.refused === 0 ? [] : lostIn({ ...load, lost: 0, failed: 0 }, `at ${harms[act]}`);
  return {
    summary: `another worker serves after ${seconds(tookMs)}${after}; ${lost === 0 ? 'nothing' : count(lost, 'request')} in flight ${lost > 1 ? 'were' : 'was'} lost with it`,
    findings: refused,
  };
}

/** The first few by name: one client of the database keeps all of them waiting. */
function named(names: readonly string[]): string {
  const more = names.length - mostNamed;
  const list = [...names.slice(0, mostNamed), ...(more > 0 ? [count(more, 'other path')] : [])];
  const [last = '', ...others] = list.reverse();
  return others.length === 0 ? `${last} is` : `${others.reverse().join(', ')} and ${last} are`;
}

const mostNamed = 3;

export function ofCut({ variable, connections, paths, deaths, recoveredMs }: Cut): Told {
  const findings: Found[] = [];
  const waits = paths.filter(({ status }) => status === null);
  const [first] = waits;
  if (first !== undefined)
    findings.push({
      kind: 'no-timeout',
      text: `${named(waits.map(({ sample }) => nameOf(sample)))} not answered within ${seconds(first.tookMs)} while ${variable} is silent`,
      at: null,
      advice:
        'give the client of the database a timeout for commands and for connecting, and answer 503 when it is over',
    });
  findings.push(...deaths.slice(0, 3).map(ofDeath));
  if (recoveredMs === null)
    findings.push({
      kind: 'no-recovery',
      text: `the app does not answer as before once ${variable} answers again`,
      at: null,
      advice: 'the client of the database has to connect anew, without a limit of attempts',
    });
  const used =
    connections === 0 ? `the app made no connection to ${variable}` : count(connections, 'connection');
  return {
    summary: `${used}${recoveredMs === null ? '' : `; as before ${seconds(recoveredMs)} after it came back`}`,
    findings,
  };
}
