import type { Handler, Reload, Scale, Sigterm, Stop } from '../observations.js';
import {
  count,
  type Found,
  handlerOf,
  lostHeld,
  lostIn,
  type Name,
  nameOf,
  seconds,
  type Told,
} from './words.js';

export function ofReload(
  { record, load, held, endless: kept, drainTimeoutMs, handlers }: Reload,
  name: Name,
): Told {
  const { verdict, reason, tookMs } = record;
  const findings: Found[] = [];
  if (verdict !== 'done')
    findings.push({
      kind: 'reload-failed',
      text: `a reload of the same app is ${verdict ?? 'not over'}${reason === null ? '' : `: ${reason}`}`,
      at: null,
      advice:
        'a worker must be able to start while the old one still serves: no lock file, no port of its own',
    });
  findings.push(...lostIn(load, 'in a reload'), ...lostHeld(held, 'in a reload'));
  if (kept.length > 0) findings.push(endless(handlers, { kept, drainTimeoutMs, name }));
  return {
    summary: `${verdict ?? 'not over'} in ${seconds(tookMs ?? 0)}, ${count(load.answered + held.answered, 'request')} answered meanwhile`,
    findings,
  };
}

function endless(
  handlers: readonly Handler[],
  {
    kept,
    drainTimeoutMs,
    name,
  }: { readonly kept: readonly string[]; readonly drainTimeoutMs: number; readonly name: Name },
): Found {
  const at = handlerOf(handlers)?.at ?? null;
  const open = kept.find((each) => each !== '');
  const opened = open === undefined ? '' : ` (what keeps it running: ${open})`;
  return {
    kind: 'endless-shutdown',
    text: `${at === null ? 'the app' : `the app, after its SIGTERM handler at ${name(at)},`} does not end by itself${opened}: each worker stays until it is cut off, here after ${seconds(drainTimeoutMs)}`,
    at: at === null ? null : name(at),
    advice:
      'close what keeps the process running (timers, pools, sockets) in the handler, or call process.exit() at its end',
  };
}

export function ofScale({ load, tookMs, upTo }: Scale): Told {
  const findings = [...lostIn(load, `in scaling to ${upTo} workers and back`)];
  if (tookMs === null)
    findings.push({
      kind: 'scale-failed',
      text: `the service did not get to ${upTo} workers and back`,
      at: null,
      advice: 'rom-agent why scale says what was decided',
    });
  return {
    summary: `to ${upTo} workers and back${tookMs === null ? '' : ` in ${seconds(tookMs)}`}`,
    findings,
  };
}

export function ofStop(observation: Stop, name: Name): Told {
  const { load, held, exit, tookMs, endless: kept, drainTimeoutMs, handlers, left, webSocket } = observation;
  const findings: Found[] = [...lostIn({ ...load, refused: 0 }, 'in a stop'), ...lostHeld(held, 'in a stop')];
  if (exit === null || kept.length > 0) findings.push(endless(handlers, { kept, drainTimeoutMs, name }));
  else if (exit.code !== 0)
    findings.push({
      kind: 'exit-status',
      text: `the service ends with ${exit.signal ?? `status ${exit.code}`} after SIGTERM: the service manager takes that for a failure`,
      at: null,
      advice: 'let the app end with status 0 after SIGTERM',
    });
  if (left.length > 0)
    findings.push({
      kind: 'processes-left',
      text: `a stop leaves behind: ${left.join(', ')}`,
      at: null,
      advice: 'end child processes in the SIGTERM handler',
    });
  if (webSocket !== null && webSocket.code === null)
    findings.push({
      kind: 'websocket-cut',
      text: `the WebSocket on ${webSocket.path} is cut without a Close frame`,
      at: null,
      advice:
        'close WebSockets with status 1001 at SIGTERM, or leave that to rom-agent (websockets = "close")',
    });
  return {
    summary: `ended in ${seconds(tookMs)}, ${held.answered} of ${held.count} requests in flight answered`,
    findings,
  };
}

/** What the app does at SIGTERM where nobody holds it back. */
export function ofSigterm(observation: Sigterm, name: Name): Told {
  const { held, handlers, endings, exit, tookMs, limitMs } = observation;
  const summary = `without rom-agent: ${held.answered} of ${held.count} requests in flight answered, ${exit === null ? 'did not end' : `ended in ${seconds(tookMs)}`}`;
  const handler = handlerOf(handlers)?.at ?? null;
  const who = handler === null ? 'the app' : `SIGTERM handler at ${name(handler)}`;
  const lost = held.lost.length;
  if (lost > 0) {
    const ending = endings.find(({ unanswered }) => unanswered.length > 0) ?? endings[0];
    const by = ending?.at == null ? '' : ` (${callOf(ending)} at ${name(ending.at)})`;
    const does = ending?.type === 'cut' ? 'cuts connections' : 'exits';
    return {
      summary,
      findings: [
        {
          kind: 'sigterm-loses-requests',
          text: `${who} ${does} before the answer${lost > 1 ? 's' : ''} at ${nameOf(held.sample)}${by}: ${lost} of ${count(held.count, 'request')} in flight lost; rom-agent calls the handler after the answers, docker stop, Kubernetes and PM2 do not`,
          at: handler === null ? (ending?.at == null ? null : name(ending.at)) : name(handler),
          advice: 'call server.close() and end in its callback',
        },
      ],
    };
  }
  if (exit === null)
    return {
      summary,
      findings: [
        {
          kind: 'endless-shutdown',
          text: `${who} does not end the process: ${seconds(limitMs)} after SIGTERM it still runs, and would be killed`,
          at: handler === null ? null : name(handler),
          advice:
            'close what keeps the process running (timers, pools, sockets), or call process.exit() in the callback of server.close()',
        },
      ],
    };
  return { summary, findings: [] };
}

function callOf(ending: Sigterm['endings'][number]): string {
  return ending.type === 'cut' ? 'closeAllConnections()' : `${ending.by}()`;
}
