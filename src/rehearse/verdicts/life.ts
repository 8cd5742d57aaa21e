import type { StallRecord } from '../../protocol/stall.js';
import type { Boot, Leak, Looked, Traffic } from '../observations.js';
import {
  count,
  type Found,
  inFunction,
  lostIn,
  megabytes,
  type Name,
  nameOf,
  ofDeath,
  seconds,
  type Told,
  thousands,
} from './words.js';

/** A boot that is longer is slow, ms. */
export const slowBoot = 3_000;
/** An event loop that is blocked for longer by one request keeps the others waiting, ms. */
const longStall = 500;
/** Growth that counts as a leak in every round: for each request, and in all, bytes. */
const leakOfRequest = 200;
const leakOfRound = 200 * 1024;

export function ofBoot({ bootMs, output, shares, machineFactor, configuredWorkers }: Boot, name: Name): Told {
  if (bootMs === null) {
    const said = output.at(-1);
    return {
      summary: 'it does not serve',
      findings: [
        {
          kind: 'no-boot',
          text: `the app does not serve${said === undefined ? '' : `: ${said}`}`,
          at: null,
          advice: 'rom-agent serve shows the whole log',
        },
      ],
    };
  }
  const whole = bootMs * configuredWorkers;
  const reload = `a reload of ${count(configuredWorkers, 'worker')} takes ${seconds(whole)}`;
  const summary = `${seconds(bootMs)} until a worker serves: ${reload}`;
  if (bootMs <= slowBoot * machineFactor) return { summary, findings: [] };
  const [share] = shares.filter(({ ms }) => ms >= bootMs / 4);
  const place = share === undefined ? null : name(share.at);
  const cause =
    share === undefined
      ? ''
      : share.kind === 'ran'
        ? `, ${seconds(share.ms)} of it in ${inFunction(share.at, name)}`
        : `, ${seconds(share.ms)} of it waiting for ${share.what} that ${inFunction(share.at, name)} begins`;
  return {
    summary,
    findings: [
      {
        kind: 'slow-boot',
        text: `boot takes ${seconds(bootMs)}${cause}: ${reload}, and a crashed worker is missing for as long`,
        at: place,
        advice:
          'begin it when the app serves, or prepare its result at build time; a spare worker hides it (spares = 1)',
      },
    ],
  };
}

export function ofTraffic({ paths, load, stalls, deaths, uncaught }: Traffic, name: Name): Told {
  const findings: Found[] = [
    ...paths.flatMap(brokenPath),
    ...paths.flatMap((path) => blockingPath(path, { stalls, name })),
  ];
  const seen = new Set<string>();
  for (const { origin, message, at } of deaths.length === 0 ? [] : uncaught) {
    const where = at === null ? '' : ` at ${name(at)}`;
    if (seen.has(where + message)) continue;
    seen.add(where + message);
    const what =
      origin === 'unhandledRejection' ? 'an unhandled rejection' : 'an exception that nobody catches';
    findings.push({
      kind: 'uncaught',
      text: `${what}${where} ends a worker: ${message}`,
      at: at === null ? null : name(at),
      advice:
        'catch it where it belongs to one request: the others in flight on that worker are lost with it',
    });
  }
  if (seen.size === 0) findings.push(...deaths.slice(0, 3).map(ofDeath));
  if (findings.length === 0) findings.push(...lostIn(load, 'under load, though nobody did harm'));
  const slowest = Math.max(0, ...paths.flatMap(({ tookMs }) => tookMs));
  return {
    summary: `${count(load.answered, 'request')} to ${count(paths.length, 'path')} answered; the slowest alone in ${seconds(slowest)}`,
    findings,
  };
}

function brokenPath({ sample, statuses, failure }: Looked): readonly Found[] {
  if (statuses.some((status) => status !== null && status < 500)) return [];
  const status = statuses.find((each) => each !== null) ?? null;
  return [
    {
      kind: 'broken-path',
      text: `${nameOf(sample)} ${status === null ? `is not answered (${failure})` : `answers ${status}`}, each time`,
      at: null,
      advice:
        status === null
          ? 'it is left out of the other acts; a rehearsal speaks HTTP/1.1 without TLS or PROXY lines'
          : 'it is left out of the other acts; what it needs (a database, a variable) belongs into the environment of the rehearsal',
    },
  ];
}

interface StallContext {
  readonly stalls: readonly StallRecord[];
  readonly name: Name;
}

/** A path that blocks the event loop more than once: the first time, code is loaded and compiled. */
function blockingPath({ sample, tookMs }: Looked, { stalls, name }: StallContext): readonly Found[] {
  const path = sample.path.replace(/\?.*/, '');
  if (tookMs.filter((ms) => ms >= longStall).length < 2) return [];
  const own = stalls.filter(
    ({ cause, requests, tookMs: took, notRunMs }) =>
      cause === 'code' &&
      took - notRunMs >= longStall &&
      requests.some((request) => request.path.replace(/\?.*/, '') === path),
  );
  const longest = own.reduce<StallRecord | null>(
    (found, each) => (found === null || running(each) > running(found) ? each : found),
    null,
  );
  if (longest === null) return [];
  const { function: called, file, line } = longest;
  const place = file === null || line === null ? null : { function: called, file, line };
  return [
    {
      kind: 'blocked-event-loop',
      text: `${nameOf(sample)} blocks the event loop for ${seconds(running(longest))}${place === null ? '' : ` in ${inFunction(place, name)}`}: no other request of that worker is answered meanwhile`,
      at: place === null ? null : name(place),
      advice: 'move it into a worker thread or a job, or let it pause between steps',
    },
  ];
}

function running({ tookMs, notRunMs }: StallRecord): number {
  return tookMs - notRunMs;
}

export function ofLeak({ rounds, allocations, leftOut }: Leak, name: Name): Told {
  const steps = rounds.slice(1).map(({ requests, heapBytes }, index) => ({
    requests,
    grown: heapBytes - (rounds[index]?.heapBytes ?? heapBytes),
  }));
  const requests = steps.reduce((sum, step) => sum + step.requests, 0);
  const grown = steps.reduce((sum, step) => sum + step.grown, 0);
  const summary = `the heaps ${grown >= 0 ? 'grew' : 'shrank'} by ${megabytes(Math.abs(grown))} in ${thousands(requests)} requests${leftOut.length === 0 ? '' : `, without ${leftOut.map(nameOf).join(', ')}, too slow to be asked often`}`;
  const [first] = steps;
  const isLeak =
    steps.length > 1 &&
    steps.every((step) => step.grown >= Math.max(leakOfRound, leakOfRequest * step.requests)) &&
    // What fills up, as a cache does, grows less and less.
    perRequest(steps.at(-1)) >= 0.5 * perRequest(first);
  if (!isLeak) return { summary, findings: [] };
  const [largest] = allocations;
  const at = largest !== undefined && largest.bytes >= grown / 4 ? largest.at : null;
  const round = Math.round(perRequest({ requests, grown }) * 1_000);
  return {
    summary,
    findings: [
      {
        kind: 'leak',
        text: `${megabytes(round)} leaked in 1,000 requests${at === null ? '' : `, allocated in ${inFunction(at, name)}`}`,
        at: at === null ? null : name(at),
        advice:
          'rom-agent heap-snapshot says what keeps it; max_requests recycles workers until it is mended',
      },
    ],
  };
}

function perRequest(step: { readonly requests: number; readonly grown: number } | undefined): number {
  return step === undefined || step.requests === 0 ? 0 : step.grown / step.requests;
}
