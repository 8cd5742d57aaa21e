/** What keeps the memory of a V8 heap snapshot. */
import { type Below, childrenOf, dominatorsOf } from './dominators.js';
import { Graph, type HeapSnapshot } from './snapshot.js';

export interface SnapshotSummary {
  readonly totalBytes: number;
  readonly objects: number;
  /** What keeps the most, the most first. */
  readonly holders: readonly Holder[];
}

export interface Holder {
  /** The variable or property that has it: `sessions`, `cache.entries`; empty where there is no name for it. */
  readonly name: string;
  /** Constructor: `Array`, `Map`. */
  readonly kind: string;
  /** Bytes that would be free without it, and their share of the heap. */
  readonly keptBytes: number;
  readonly share: number;
  /** What it has the most of: 12,000 times `Object`. */
  readonly mostly: { readonly kind: string; readonly count: number } | null;
  /** The function whose scope has the variable, as in a stack: `remember (/srv/shop/server.js:12:5)`; null: unknown. */
  readonly at: string | null;
  /** How it is reached, from the outermost: `server`, `sessions`, `[0]`. */
  readonly path: readonly string[];
}

const mostHolders = 5;
const leastShare = 0.03;

/**
 * Finds the objects without which the most memory would be free: the dominators of the graph of references (Cooper,
 * Harvey, Kennedy: A Simple, Fast Dominance Algorithm), and of these where the memory gathers, as Eclipse's Memory
 * Analyzer looks for suspects.
 */
export function summarize(source: HeapSnapshot): SnapshotSummary {
  const graph = new Graph(source);
  const { dominators, order } = dominatorsOf(graph);
  const kept = new Float64Array(graph.size);
  for (let node = 0; node < graph.size; node++) kept[node] = graph.selfSize(node);
  for (const node of order) {
    const above = dominators[node] ?? 0;
    if (above !== node) kept[above] = (kept[above] ?? 0) + (kept[node] ?? 0);
  }
  const totalBytes = kept[0] ?? 0;
  const below = childrenOf(dominators, order, graph.size);
  const parents = shortestPaths(graph);
  const holders: Holder[] = [];
  for (const node of gatheringPoints(graph, kept, below)) {
    const keptBytes = kept[node] ?? 0;
    const share = totalBytes === 0 ? 0 : keptBytes / totalBytes;
    if (holders.length >= mostHolders || share < leastShare) break;
    holders.push({ ...nameOf(graph, parents, node), keptBytes, share, mostly: mostlyOf(graph, below, node) });
  }
  return { totalBytes, objects: graph.size, holders };
}

/** Where memory gathers: objects that keep much, of which no single part keeps most. By what they keep, the most first. */
function gatheringPoints(graph: Graph, kept: Float64Array, below: Below): readonly number[] {
  const least = (kept[0] ?? 0) * leastShare;
  const found: number[] = [];
  const waiting = [0];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    const big: number[] = [];
    let most = 0;
    for (let at = below.first[node] ?? 0; at < (below.first[node + 1] ?? 0); at++) {
      const child = below.nodes[at] ?? 0;
      const size = kept[child] ?? 0;
      most = Math.max(most, size);
      if (size >= least) big.push(child);
    }
    const gathers = most < (kept[node] ?? 0) / 2;
    if (gathers && isAppsOwn(graph, node)) found.push(node);
    else waiting.push(...big);
  }
  return found.sort((a, b) => (kept[b] ?? 0) - (kept[a] ?? 0));
}

/** Neither V8's own, nor a container that is only the inside of an object. */
function isAppsOwn(graph: Graph, node: number): boolean {
  const type = graph.type(node);
  return (
    ['object', 'array', 'native', 'closure', 'regexp'].includes(type) &&
    !graph.name(node).startsWith('system /')
  );
}

/** Roots that hold what is in use at the moment of the snapshot: a way from there names nothing. */
const passing = ['(Handle scope)', '(Identity map)', '(Stack roots)', '(Handle scopes)', '(Global handles)'];

/** By which edge each node is reached on the shortest way from the root, over passing roots only where there is no other. */
function shortestPaths(graph: Graph): { readonly from: Int32Array; readonly by: Int32Array } {
  const from = new Int32Array(graph.size).fill(-1);
  const by = new Int32Array(graph.size).fill(-1);
  from[0] = 0;
  const put: number[] = [];
  const search = (start: readonly number[], all: boolean): void => {
    for (let now = start; now.length > 0; ) {
      const later: number[] = [];
      for (const node of now) {
        if (!all && graph.type(node) === 'synthetic' && passing.includes(graph.name(node))) {
          put.push(node);
          continue;
        }
        for (let edge = graph.firstEdge[node] ?? 0; edge < (graph.firstEdge[node + 1] ?? 0); edge++) {
          const to = graph.target(edge);
          if (from[to] !== -1 || !graph.keeps(edge)) continue;
          from[to] = node;
          by[to] = edge;
          later.push(to);
        }
      }
      now = later;
    }
  };
  search([0], false);
  search(put, true);
  return { from, by };
}

/** What an object is called, by the way on which it is reached: up to the variable or the global that has it. */
function nameOf(
  graph: Graph,
  { from, by }: { readonly from: Int32Array; readonly by: Int32Array },
  holder: number,
): Pick<Holder, 'name' | 'kind' | 'at' | 'path'> {
  const named: string[] = [];
  let at: string | null = null;
  let kind: string | null = null;
  let owned = false;
  for (let node = holder, steps = 0; node !== 0 && steps < 200; steps++) {
    const edge = by[node] ?? -1;
    const source = from[node] ?? 0;
    if (kind === null && graph.type(node) === 'object') kind = graph.name(node);
    if (edge === -1) break;
    const type = graph.edgeType(edge);
    if (type === 'context') {
      named.unshift(graph.edgeName(edge));
      const closure = graph.closureOf(source);
      at = closure === undefined ? null : graph.frameOf(closure);
      owned = at !== null;
      if (owned) break;
    } else if (type === 'property' && graph.edgeName(edge) !== '__proto__')
      named.unshift(graph.edgeName(edge));
    else if (type === 'element' && graph.type(source) === 'object') named.unshift(graph.edgeName(edge));
    node = source;
  }
  const path = named.slice(0, 12);
  return {
    name: owned ? joined(path) : joined(path.slice(-3)),
    kind: kind ?? ((graph.type(holder) === 'array' ? '' : graph.name(holder)) || graph.type(holder)),
    at,
    path,
  };
}

function joined(path: readonly string[]): string {
  return path.reduce((all, part) => (part.startsWith('[') || all === '' ? all + part : `${all}.${part}`), '');
}

/** What most of its parts are. */
function mostlyOf(graph: Graph, below: Below, holder: number): Holder['mostly'] {
  const counts = new Map<string, number>();
  const waiting = [holder];
  // The inside of an array or a map is an object of its own.
  for (let depth = 0; depth < 3 && counts.size === 0; depth++) {
    const next: number[] = [];
    for (const node of waiting) {
      for (let at = below.first[node] ?? 0; at < (below.first[node + 1] ?? 0); at++) {
        const child = below.nodes[at] ?? 0;
        const type = graph.type(child);
        if (type === 'array' && depth < 2 && graph.name(child) === '') next.push(child);
        else if (type !== 'hidden' && type !== 'code') {
          const kind = type === 'object' || type === 'closure' ? graph.name(child) || type : type;
          counts.set(kind, (counts.get(kind) ?? 0) + 1);
        }
      }
    }
    waiting.splice(0, waiting.length, ...next);
  }
  const [most] = [...counts].sort(([, a], [, b]) => b - a);
  return most === undefined ? null : { kind: most[0], count: most[1] };
}
