import { originalPosition } from './source-map.js';

/** What the thread is told when it starts. */
export interface ThreadData {
  /** The pipe to the master, over which it asks; null: it asks nothing. */
  readonly fd: number | null;
  /** Names of the symbols under which the main thread offers its functions. */
  readonly inFlight: string;
  readonly look: string;
}

/** What the main thread tells the thread. */
export type ToThread =
  /** See Shared. Times in ms; `interval`: of the beats. */
  | {
      readonly type: 'watch';
      readonly shared: SharedArrayBuffer;
      readonly threshold: number;
      readonly interval: number;
    }
  | { readonly type: 'map'; readonly id: number; readonly frames: readonly unknown[] };

/** Places of the array of numbers that main thread and thread share; times are ms of process.hrtime(). */
export const shared = {
  /** The last beat of the main thread, or the end of its last turn. */
  beat: 0,
  /** The last stall's beginning and end, and how many there were. */
  from: 1,
  to: 2,
  count: 3,
  /** How long it took: between beginning and end the main thread may also have waited for events. */
  took: 4,
  /** 1: the main thread has little to do and does not beat. */
  idle: 5,
  /** How many stalls the thread has seen. */
  taken: 6,
  /** 1: a debugger may be attached, and the main thread may stand at a breakpoint. */
  debugged: 7,
  length: 8,
} as const;

/**
 * Source of the thread, run as it stands. It takes one question after the other: if a session begins while another
 * one ends, the main thread runs on before the new session has paused it (Node 20 to 26). A connected session does
 * not keep the thread running, the pipe does.
 *
 * For stalls it compares the main thread's beats with the clock. Past half of the threshold it looks at the stack, by
 * Runtime.evaluate, which V8 serves at the next function entry or end of a loop without the debugger's being enabled:
 * ten times at most, at growing intervals. While the main thread beats, it reads some numbers and two lines of /proc per
 * interval.
 *
 * A main thread with little to do does not beat. Then the thread asks /proc twice per threshold in which system call the
 * main thread waits (proc_pid_syscall(5)). In which one it waits for events (number and descriptor, as "281 0xe"), it
 * learns from a look at the stack that is answered at once and finds nothing on it.
 */
export const program = `
const { workerData: { fd, inFlight, look: lookName }, parentPort } = require('node:worker_threads');
const { Socket } = require('node:net');
const { openSync, readSync, readFileSync, statSync } = require('node:fs');
const sleep = (ms, value) => new Promise((resolve) => setTimeout(resolve, ms, value));
let last = Promise.resolve();
let abandon = () => {};
const inTurn = (act) => {
  const result = last.then(act);
  last = result.then(() => {}, () => {}).then(() => sleep(20));
  return result;
};
if (fd !== null) {
  const pipe = new Socket({ fd, readable: true, writable: true });
  let rest = '';
  pipe.setEncoding('utf8').on('error', () => {}).on('data', (text) => {
    const lines = (rest + text).split('\\n');
    rest = lines.pop();
    for (const line of lines) {
      const { id, within } = JSON.parse(line);
      abandon();
      inTurn(() => look(within)).then(
        (testimony) => pipe.write(JSON.stringify({ id, ...testimony }) + '\\n'),
        (error) => pipe.write(JSON.stringify({ id, state: 'failed', why: String(error.message) }) + '\\n'),
      );
    }
  });
}
const silent = { state: 'silent' };
const callOf = (symbol) => 'globalThis.process?.[Symbol.for(' + JSON.stringify(symbol) + ')]?.()';
async function look(within) {
  const { Session } = require('node:inspector');
  const session = new Session();
  session.connectToMainThread();
  const late = sleep(within, silent);
  const call = (method, params) => Promise.race([late, new Promise((resolve, reject) =>
    session.post(method, params, (error, result) => error ? reject(error) : resolve(result)))]);
  try {
    const urls = new Map();
    session.on('Debugger.scriptParsed', ({ params: { scriptId, url } }) => urls.set(scriptId, url));
    const paused = new Promise((resolve) => session.once('Debugger.paused', ({ params }) => resolve(params.callFrames)));
    const begun = await Promise.all([call('Debugger.enable'), call('Debugger.pause')]);
    if (begun.includes(silent)) return silent;
    const frames = await Promise.race([paused, sleep(within * 0.4, null)]);
    // Not to be paused by the question itself, nor by what it does next.
    if (frames === null) await call('Debugger.disable');
    const { result } = await call('Runtime.evaluate', { expression: callOf(inFlight), returnByValue: true, silent: true });
    const requests = result?.value?.requests ?? null;
    if (frames === null) return { state: 'idle', requests };
    await call('Debugger.resume');
    await call('Debugger.disable');
    const told = frames.slice(0, 200).map(({ functionName, location }) =>
      ({ functionName, location, url: urls.get(location.scriptId) ?? '' }));
    return { state: 'paused', frames: told, requests };
  } finally {
    session.disconnect();
  }
}

const now = () => Number(process.hrtime.bigint()) / 1e6;
parentPort.on('message', (message) => message.type === 'watch' ? watch(message) :
  parentPort.postMessage({ type: 'mapped', id: message.id, frames: mapped(message.frames) }));

// How long the main thread ran and how long it waited for a CPU, ms: schedstat, sched-stats.rst of the kernel.
const usageText = Buffer.alloc(64);
function usageOf(task) {
  let file = null;
  try {
    file = openSync('/proc/' + task + '/schedstat');
  } catch {}
  return () => {
    if (file === null) return { ran: 0, waited: 0 };
    try {
      const [ran, waited] = usageText.toString('latin1', 0, readSync(file, usageText, 0, 64, 0)).split(' ');
      return { ran: ran / 1e6, waited: waited / 1e6 };
    } catch {
      return { ran: 0, waited: 0 };
    }
  };
}
const usage = usageOf('self/task/' + process.pid);
const ownUsage = usageOf('thread-self');

// Where the main thread waits in the kernel; null: nothing says so.
const placeText = Buffer.alloc(256);
function placeOf(task) {
  let file = null;
  try {
    file = openSync('/proc/' + task + '/syscall');
  } catch {}
  return () => {
    if (file === null) return null;
    try {
      return placeText.toString('latin1', 0, readSync(file, placeText, 0, 256, 0)).split(' ', 2).join(' ').trim();
    } catch {
      return null;
    }
  };
}
const place = placeOf('self/task/' + process.pid);

const mostLooks = 10;
const restingPlaces = new Set();
let maybeResting = null;
function watch({ shared: memory, threshold, interval }) {
  const shared = new Float64Array(memory);
  let before = { at: now(), used: usage(), own: ownUsage() };
  let planned = interval;
  let count = shared[${shared.count}];
  let beat = 0;
  let atBeat = before.used;
  // When an idle main thread was last seen waiting for events.
  let rested = 0;
  let resting = false;
  // Time in which neither this thread nor the main thread ran, though this one had something to do and did not wait for
  // a CPU: the process was stopped, or the machine slept. Where nothing says who waits for a CPU, that is in it, too.
  let stopped = 0;
  let stall = null;
  // To start a timer anew costs an idle thread two thirds of what another one does.
  let timer = null;
  let timerTakes = 0;
  const lookLater = () => {
    if (timerTakes === planned) return timer.refresh();
    timer = setTimeout(look, planned);
    timerTakes = planned;
  };
  if (place() !== null) parentPort.postMessage({ type: 'sees' });
  const look = () => {
    const at = now();
    const used = usage();
    const own = ownUsage();
    const late = at - before.at - planned;
    const gap = late - (own.waited - before.own.waited) - (own.ran - before.own.ran);
    if (gap > threshold / 4) stopped += Math.max(0, gap - (used.ran - before.used.ran));
    if (shared[${shared.count}] !== count) {
      count = shared[${shared.count}];
      const from = shared[${shared.from}];
      const tookMs = shared[${shared.took}];
      const to = shared[${shared.to}];
      shared[${shared.taken}] = count;
      const notRunMs = Math.min(tookMs, used.waited - atBeat.waited + stopped);
      void ended(stall?.beat === from ? stall : null, { from, to, tookMs, notRunMs });
    } else if (resting && late >= threshold) {
      void ended(null, { from: before.at, to: at, tookMs: late, notRunMs: late });
    }
    before = { at, used, own };
    if (shared[${shared.beat}] !== beat) {
      beat = shared[${shared.beat}];
      atBeat = used;
      stopped = 0;
      stall = null;
    }
    const waitsAt = shared[${shared.idle}] === 1 ? place() : null;
    if (waitsAt !== null && waitsAt === maybeResting) restingPlaces.add(waitsAt);
    maybeResting = null;
    resting = restingPlaces.has(waitsAt);
    if (resting) {
      rested = at;
      atBeat = used;
      stopped = 0;
    }
    planned = resting ? threshold / 2 : interval;
    lookLater();
    const since = Math.max(beat, rested);
    if (at - since < threshold / 2 + interval || shared[${shared.debugged}] === 1) return;
    stall ??= { beat, since, looks: [], requests: [], pending: null, next: 0 };
    if (stall.pending !== null || stall.looks.length >= mostLooks || at < stall.next) return;
    const mine = stall;
    mine.pending = inTurn(() => shared[${shared.beat}] === mine.beat ? stackOf(mine, waitsAt) : undefined).catch(() => {}).then(() => {
      mine.pending = null;
      // Half as long again as it has lasted by then.
      mine.next = now() + (now() - mine.since) / 2;
    });
  };
  lookLater();
}

async function stackOf(stall, waitsAt) {
  const { Session } = require('node:inspector');
  const asked = { at: now(), used: usage(), place: place() };
  const session = new Session();
  session.connectToMainThread();
  try {
    const given = new Promise((resolve) => {
      abandon = resolve;
    });
    const params = { expression: callOf(lookName), returnByValue: true, silent: true };
    const answer = await Promise.race([given, new Promise((resolve) =>
      session.post('Runtime.evaluate', params, (error, answer) => resolve(error ? undefined : answer)))]);
    const value = answer?.result?.value;
    if (!Array.isArray(value?.frames)) return;
    const waited = usage().waited - asked.used.waited;
    const late = now() - asked.at - waited > 30;
    const calls = asked.place !== null && asked.place !== 'running';
    if (value.frames.length === 0 && !late && waitsAt !== null && waitsAt !== 'running') {
      maybeResting = waitsAt;
      return;
    }
    // What waits in the kernel answers only once it is back, however soon that may be.
    stall.looks.push({ late: late || calls, frames: value.frames });
    stall.requests = value.requests;
  } finally {
    abandon = () => {};
    session.disconnect();
  }
}

async function ended(stall, times) {
  if (stall?.pending) await Promise.race([stall.pending, sleep(200)]);
  const looks = (stall?.looks ?? []).map(({ late, frames }) =>
    ({ late, frames: late ? frames.map((frame) => ({ ...frame, entered: isEntered(frame) })) : frames }));
  parentPort.postMessage({ type: 'stalled', ...times, looks, requests: stall?.requests ?? null });
}

const largestFile = 16 * 2 ** 20;
function read(path) {
  try {
    return statSync(path).size > largestFile ? null : readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

const { fileURLToPath, pathToFileURL } = require('node:url');
function pathOf(file) {
  try {
    return file.startsWith('file:') ? fileURLToPath(file) : file.startsWith('/') ? file : null;
  } catch {
    return null;
  }
}

// A frame whose function has just been entered is where its parameters begin; one that calls is at what it calls.
function isEntered({ file, line, column }) {
  const path = file === null ? null : pathOf(file);
  const text = path === null ? null : read(path);
  const code = text?.split('\\n', line)[line - 1]?.slice(column - 1, column + 200) ?? '';
  return /^(\\(|async\\b|[\\w$]+\\s*=>)/.test(code);
}

const originalPosition = ${originalPosition.toString()};
function mapped(frames) {
  const maps = new Map();
  return frames.map((frame) => {
    const { file } = frame;
    if (file === null) return frame;
    if (!maps.has(file)) maps.set(file, mapOf(file));
    const map = maps.get(file);
    if (map === null) return frame;
    const found = originalPosition(map.mappings, frame.line - 1, frame.column - 1);
    const source = found === null ? undefined : map.sources[found.source];
    return source === undefined ? frame : { ...frame, file: source, line: found.line + 1, column: found.column + 1 };
  });
}

function mapOf(file) {
  try {
    const path = pathOf(file);
    const code = path === null ? null : read(path);
    const at = code?.lastIndexOf('//# sourceMappingURL=') ?? -1;
    if (at === -1) return null;
    const [url] = code.slice(at + 21).split(/\\s/, 1);
    const home = new URL(url, pathToFileURL(path));
    const text = home.protocol === 'data:' ? inline(url) : home.protocol === 'file:' ? read(fileURLToPath(home)) : null;
    if (text === null) return null;
    const { mappings, sources, sourceRoot } = JSON.parse(text);
    const base = home.protocol === 'data:' ? pathToFileURL(path) : home;
    const root = sourceRoot ? sourceRoot.replace(/\\/?$/, '/') : '';
    return { mappings, sources: sources.map((source) => {
      const { href } = new URL(root + source, base);
      return pathOf(href) ?? href;
    }) };
  } catch {
    return null;
  }
}

function inline(url) {
  const comma = url.indexOf(',');
  return url.slice(0, comma).endsWith(';base64') ? Buffer.from(url.slice(comma + 1), 'base64').toString() : decodeURIComponent(url.slice(comma + 1));
}
`;
