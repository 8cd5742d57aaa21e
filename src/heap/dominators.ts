/** Without which object which others would be free. */
import type { Graph } from './snapshot.js';

export interface Dominance {
  readonly dominators: Uint32Array;
  /** Every node that is reached, callees before callers; the root is the last. */
  readonly order: Uint32Array;
}

/** Cooper, Harvey, Kennedy: A Simple, Fast Dominance Algorithm. */
export function dominatorsOf(graph: Graph): Dominance {
  const { size, firstEdge } = graph;
  const place = new Int32Array(size).fill(-1);
  const order = new Uint32Array(size);
  let reached = 0;
  const path = new Uint32Array(size + 1);
  const next = new Uint32Array(size);
  const seen = new Uint8Array(size);
  let depth = 0;
  path[0] = 0;
  seen[0] = 1;
  next[0] = firstEdge[0] ?? 0;
  const into = new Uint32Array(size + 1);
  while (depth >= 0) {
    const node = path[depth] ?? 0;
    const edge = next[node] ?? 0;
    if (edge >= (firstEdge[node + 1] ?? 0)) {
      place[node] = reached;
      order[reached++] = node;
      depth--;
      continue;
    }
    next[node] = edge + 1;
    if (!graph.keeps(edge)) continue;
    const to = graph.target(edge);
    into[to] = (into[to] ?? 0) + 1;
    if (seen[to] === 1) continue;
    seen[to] = 1;
    next[to] = firstEdge[to] ?? 0;
    path[++depth] = to;
  }
  const { first, sources } = sourcesOf(graph, into, seen);
  const idom = new Int32Array(size).fill(-1);
  idom[0] = 0;
  for (let changed = true; changed; ) {
    changed = false;
    for (let index = reached - 2; index >= 0; index--) {
      const node = order[index] ?? 0;
      let best = -1;
      for (let at = first[node] ?? 0; at < (first[node + 1] ?? 0); at++) {
        const source = sources[at] ?? 0;
        if ((idom[source] ?? -1) === -1) continue;
        best = best === -1 ? source : meet(source, best, idom, place);
      }
      if (best !== -1 && idom[node] !== best) {
        idom[node] = best;
        changed = true;
      }
    }
  }
  return {
    dominators: Uint32Array.from(idom, (node) => Math.max(0, node)),
    order: order.subarray(0, reached),
  };
}

function meet(one: number, other: number, idom: Int32Array, place: Int32Array): number {
  let a = one;
  let b = other;
  while (a !== b) {
    while ((place[a] ?? 0) < (place[b] ?? 0)) a = idom[a] ?? 0;
    while ((place[b] ?? 0) < (place[a] ?? 0)) b = idom[b] ?? 0;
  }
  return a;
}

/** Who refers to each node, of those that are reached. */
function sourcesOf(
  graph: Graph,
  into: Uint32Array,
  seen: Uint8Array,
): { readonly first: Uint32Array; readonly sources: Uint32Array } {
  const { size, firstEdge } = graph;
  const first = new Uint32Array(size + 1);
  for (let node = 0; node < size; node++) first[node + 1] = (first[node] ?? 0) + (into[node] ?? 0);
  const sources = new Uint32Array(first[size] ?? 0);
  const filled = first.slice();
  for (let node = 0; node < size; node++) {
    if (seen[node] !== 1) continue;
    for (let edge = firstEdge[node] ?? 0; edge < (firstEdge[node + 1] ?? 0); edge++) {
      if (!graph.keeps(edge)) continue;
      const to = graph.target(edge);
      const at = filled[to] ?? 0;
      sources[at] = node;
      filled[to] = at + 1;
    }
  }
  return { first, sources };
}

/** Nodes by the one that dominates them, as lists in two arrays. */
export interface Below {
  readonly first: Uint32Array;
  readonly nodes: Uint32Array;
}

export function childrenOf(dominators: Uint32Array, order: Uint32Array, size: number): Below {
  const first = new Uint32Array(size + 1);
  for (const node of order)
    if (node !== 0) first[(dominators[node] ?? 0) + 1] = (first[(dominators[node] ?? 0) + 1] ?? 0) + 1;
  for (let node = 0; node < size; node++) first[node + 1] = (first[node + 1] ?? 0) + (first[node] ?? 0);
  const nodes = new Uint32Array(first[size] ?? 0);
  const filled = first.slice();
  for (const node of order) {
    if (node === 0) continue;
    const above = dominators[node] ?? 0;
    const at = filled[above] ?? 0;
    nodes[at] = node;
    filled[above] = at + 1;
  }
  return { first, nodes };
}
