/** A V8 CPU profile as a flame graph and as a table; nothing here knows the DOM. */
import { isOurs } from './words.js';

export interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  /** µs */
  readonly startTime: number;
  readonly endTime: number;
  readonly samples?: readonly number[];
  /** µs */
  readonly timeDeltas?: readonly number[];
}

export interface ProfileNode {
  readonly id: number;
  readonly callFrame: {
    readonly functionName: string;
    readonly url: string;
    /** From 0. */
    readonly lineNumber: number;
    readonly columnNumber: number;
  };
  readonly hitCount?: number;
  readonly children?: readonly number[];
}

/** Whose code a frame is. */
export type Origin = 'app' | 'package' | 'node' | 'engine';

/** A function and the time in it, wherever it was called from. */
export interface Hot {
  readonly name: string;
  /** `server.js:12`, or empty. */
  readonly short: string;
  /** `/srv/shop/server.js:12`, or empty. */
  readonly place: string;
  readonly origin: Origin;
  /** µs */
  self: number;
  total: number;
}

/** The same of one caller alone, with what it called. */
export interface Frame extends Hot {
  readonly children: Frame[];
}

export interface Flame {
  readonly root: Frame;
  /** µs, idle time included. */
  readonly total: number;
  readonly idle: number;
  readonly depth: number;
}

/** Whether something that was read is a CPU profile. */
export function isProfile(value: unknown): value is CpuProfile {
  if (typeof value !== 'object' || value === null) return false;
  const { nodes, startTime, endTime } = value as Record<string, unknown>;
  return (
    Array.isArray(nodes) && nodes.length > 0 && typeof startTime === 'number' && typeof endTime === 'number'
  );
}

/** The tree of calls with the time in each, the idle time taken out. */
export function flameOf(profile: CpuProfile): Flame {
  const own = selfTimes(profile);
  const byId = new Map(profile.nodes.map((node) => [node.id, node]));
  const called = new Set(profile.nodes.flatMap(({ children = [] }) => children));
  const top = profile.nodes.find(({ id }) => !called.has(id)) ?? profile.nodes[0];
  const root: Frame = {
    name: 'all',
    short: '',
    place: '',
    origin: 'engine',
    self: 0,
    total: 0,
    children: [],
  };
  let idle = 0;
  let depth = 0;
  const waiting: [ProfileNode, Frame, number][] = [];
  for (const id of top?.children ?? []) {
    const node = byId.get(id);
    if (node !== undefined) waiting.push([node, root, 1]);
  }
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const [node, parent, level] = next;
    const self = own.get(node.id) ?? 0;
    if (node.callFrame.functionName === '(idle)') {
      idle += self;
      continue;
    }
    depth = Math.max(depth, level);
    const frame = merged(parent, node);
    frame.self += self;
    for (const id of node.children ?? []) {
      const child = byId.get(id);
      if (child !== undefined) waiting.push([child, frame, level + 1]);
    }
  }
  addUp(root);
  return { root, total: root.total + idle, idle, depth };
}

/** A frame of the same function below the same caller is the same frame. */
function merged(parent: Frame, { callFrame }: ProfileNode): Frame {
  const { functionName, url, lineNumber } = callFrame;
  const path = url.replace(/^file:\/\//, '');
  const place = path === '' ? '' : lineNumber >= 0 ? `${path}:${lineNumber + 1}` : path;
  const name = functionName === '' ? '(anonymous)' : functionName;
  const known = parent.children.find((child) => child.name === name && child.place === place);
  if (known !== undefined) return known;
  const frame: Frame = {
    name,
    place,
    short: place.split('/').at(-1) ?? '',
    origin: originOf(path, name),
    self: 0,
    total: 0,
    children: [],
  };
  parent.children.push(frame);
  return frame;
}

function originOf(path: string, name: string): Origin {
  if (path.startsWith('node:')) return 'node';
  if (path === '') return name.startsWith('(') && name !== '(anonymous)' ? 'engine' : 'node';
  return path.includes('/node_modules/') || isOurs(path) ? 'package' : 'app';
}

/** Callees first, so that each adds to its caller what is known by then. */
function addUp(root: Frame): void {
  const all: Frame[] = [];
  const waiting = [root];
  for (let frame = waiting.pop(); frame !== undefined; frame = waiting.pop()) {
    all.push(frame);
    waiting.push(...frame.children);
  }
  for (const frame of all.reverse()) {
    frame.total = frame.children.reduce((sum, { total }) => sum + total, frame.self);
    frame.children.sort((a, b) => b.total - a.total);
  }
}

/** µs by node: a sample stands for the time until the next one. */
function selfTimes({ nodes, samples, timeDeltas, startTime, endTime }: CpuProfile): Map<number, number> {
  const own = new Map<number, number>();
  if (samples !== undefined && timeDeltas !== undefined && samples.length > 0) {
    for (const [index, id] of samples.entries()) {
      own.set(id, (own.get(id) ?? 0) + Math.max(0, timeDeltas[index] ?? 0));
    }
    return own;
  }
  const hits = nodes.reduce((sum, { hitCount = 0 }) => sum + hitCount, 0);
  const each = hits === 0 ? 0 : (endTime - startTime) / hits;
  for (const { id, hitCount = 0 } of nodes) own.set(id, hitCount * each);
  return own;
}

/** Functions by their own time, the most first; recursion counts once. */
export function hottest(root: Frame, most: number): readonly Hot[] {
  const all = new Map<string, Hot>();
  const above = new Set<string>();
  const visit = (frame: Frame): void => {
    const key = `${frame.name}\0${frame.place}`;
    let hot = all.get(key);
    if (hot === undefined) {
      const { name, short, place, origin } = frame;
      hot = { name, short, place, origin, self: 0, total: 0 };
      all.set(key, hot);
    }
    hot.self += frame.self;
    const first = !above.has(key);
    if (first) {
      hot.total += frame.total;
      above.add(key);
    }
    for (const child of frame.children) visit(child);
    if (first) above.delete(key);
  };
  for (const child of root.children) visit(child);
  return [...all.values()].sort((a, b) => b.self - a.self).slice(0, most);
}

/** A frame where it is drawn: its left edge and width as shares of the whole, and its row. */
export interface Box {
  readonly frame: Frame;
  readonly left: number;
  readonly width: number;
  readonly row: number;
  /** Above the one to which the graph is zoomed: full width. */
  readonly ancestor: boolean;
}

/** The frames of `path`, each as wide as the whole, and what is wide enough to be seen below its last one. */
export function boxesOf(path: readonly Frame[], narrowest: number): readonly Box[] {
  const boxes: Box[] = path.map((frame, row) => ({
    frame,
    left: 0,
    width: 1,
    row,
    ancestor: row < path.length - 1,
  }));
  const top = path.at(-1);
  if (top === undefined || top.total === 0) return boxes;
  const waiting: Box[] = boxes.slice(-1);
  for (let box = waiting.pop(); box !== undefined; box = waiting.pop()) {
    let left = box.left;
    for (const frame of box.frame.children) {
      const width = frame.total / top.total;
      if (width >= narrowest) {
        const child: Box = { frame, left, width, row: box.row + 1, ancestor: false };
        boxes.push(child);
        waiting.push(child);
      }
      left += width;
    }
  }
  return boxes;
}
