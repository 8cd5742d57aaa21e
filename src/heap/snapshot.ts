/** A V8 heap snapshot as a graph. The format: v8/src/profiler/heap-snapshot-generator.cc. */

export interface HeapSnapshot {
  readonly snapshot: {
    readonly meta: {
      readonly node_fields: readonly string[];
      readonly node_types: readonly unknown[];
      readonly edge_fields: readonly string[];
      readonly edge_types: readonly unknown[];
      readonly location_fields?: readonly string[];
    };
    readonly node_count: number;
    readonly edge_count: number;
  };
  readonly nodes: readonly number[];
  readonly edges: readonly number[];
  readonly locations?: readonly number[];
  readonly strings: readonly string[];
}

export function isSnapshot(value: unknown): value is HeapSnapshot {
  if (typeof value !== 'object' || value === null) return false;
  const { snapshot, nodes, edges, strings } = value as Record<string, unknown>;
  return (
    typeof snapshot === 'object' &&
    snapshot !== null &&
    Array.isArray(nodes) &&
    Array.isArray(edges) &&
    Array.isArray(strings)
  );
}

/** The arrays of a snapshot by number of the node, and who refers to whom. */
export class Graph {
  readonly size: number;
  readonly #source: HeapSnapshot;
  readonly #nodeWidth: number;
  readonly #edgeWidth: number;
  readonly #node: { type: number; name: number; self: number; edges: number };
  readonly #edge: { type: number; name: number; to: number };
  readonly #nodeTypes: readonly string[];
  readonly #edgeTypes: readonly string[];
  /** Index of a node's first edge, by number; one more at the end. */
  readonly firstEdge: Uint32Array;
  readonly #locations = new Map<number, { script: number; line: number; column: number }>();
  #closures: Map<number, number> | null = null;

  constructor(source: HeapSnapshot) {
    const { meta } = source.snapshot;
    this.#source = source;
    const field = (fields: readonly string[], name: string): number => {
      const index = fields.indexOf(name);
      if (index === -1) throw new Error(`the snapshot has no field ${name}; expected one of V8`);
      return index;
    };
    this.#nodeWidth = meta.node_fields.length;
    this.#edgeWidth = meta.edge_fields.length;
    this.#node = {
      type: field(meta.node_fields, 'type'),
      name: field(meta.node_fields, 'name'),
      self: field(meta.node_fields, 'self_size'),
      edges: field(meta.node_fields, 'edge_count'),
    };
    this.#edge = {
      type: field(meta.edge_fields, 'type'),
      name: field(meta.edge_fields, 'name_or_index'),
      to: field(meta.edge_fields, 'to_node'),
    };
    this.#nodeTypes = words(meta.node_types[this.#node.type]);
    this.#edgeTypes = words(meta.edge_types[this.#edge.type]);
    this.size = Math.floor(source.nodes.length / this.#nodeWidth);
    this.firstEdge = new Uint32Array(this.size + 1);
    let edges = 0;
    for (let node = 0; node < this.size; node++) {
      this.firstEdge[node] = edges;
      edges += this.#nodeField(node, this.#node.edges);
    }
    this.firstEdge[this.size] = edges;
    this.#readLocations(meta.location_fields ?? []);
  }

  #readLocations(fields: readonly string[]): void {
    const { locations = [] } = this.#source;
    const [object, script, line, column] = ['object_index', 'script_id', 'line', 'column'].map((name) =>
      fields.indexOf(name),
    ) as [number, number, number, number];
    if (Math.min(object, script, line, column) < 0) return;
    for (let at = 0; at + fields.length <= locations.length; at += fields.length) {
      this.#locations.set((locations[at + object] ?? 0) / this.#nodeWidth, {
        script: locations[at + script] ?? 0,
        line: (locations[at + line] ?? 0) + 1,
        column: (locations[at + column] ?? 0) + 1,
      });
    }
  }

  #nodeField(node: number, field: number): number {
    return this.#source.nodes[node * this.#nodeWidth + field] ?? 0;
  }

  type(node: number): string {
    return this.#nodeTypes[this.#nodeField(node, this.#node.type)] ?? '';
  }

  name(node: number): string {
    return this.#source.strings[this.#nodeField(node, this.#node.name)] ?? '';
  }

  selfSize(node: number): number {
    return this.#nodeField(node, this.#node.self);
  }

  target(edge: number): number {
    return (this.#source.edges[edge * this.#edgeWidth + this.#edge.to] ?? 0) / this.#nodeWidth;
  }

  edgeType(edge: number): string {
    return this.#edgeTypes[this.#source.edges[edge * this.#edgeWidth + this.#edge.type] ?? 0] ?? '';
  }

  /** A name, or `[3]`. */
  edgeName(edge: number): string {
    const type = this.edgeType(edge);
    const value = this.#source.edges[edge * this.#edgeWidth + this.#edge.name] ?? 0;
    return type === 'element' || type === 'hidden' ? `[${value}]` : (this.#source.strings[value] ?? '');
  }

  /** Whether it keeps what it leads to. The root's shortcuts to globals are no references. */
  keeps(edge: number): boolean {
    const type = this.edgeType(edge);
    return type !== 'weak' && type !== 'shortcut';
  }

  location(node: number): { script: number; line: number; column: number } | undefined {
    return this.#locations.get(node);
  }

  /** Target of the first edge of that name; undefined: none. */
  follow(node: number, name: string): number | undefined {
    for (let edge = this.firstEdge[node] ?? 0; edge < (this.firstEdge[node + 1] ?? 0); edge++) {
      if (this.edgeName(edge) === name) return this.target(edge);
    }
    return undefined;
  }

  /** A function whose variables are in a context. */
  closureOf(context: number): number | undefined {
    if (this.#closures === null) {
      this.#closures = new Map();
      for (let node = 0; node < this.size; node++) {
        if (this.type(node) !== 'closure') continue;
        const scope = this.follow(node, 'context');
        if (scope === undefined) continue;
        const known = this.#closures.get(scope);
        if (known === undefined || (this.name(known) === '' && this.name(node) !== '')) {
          this.#closures.set(scope, node);
        }
      }
    }
    return this.#closures.get(context);
  }

  /** `remember (/srv/shop/server.js:12:5)` */
  frameOf(closure: number): string | null {
    const shared = this.follow(closure, 'shared');
    if (shared === undefined) return null;
    const script =
      this.follow(shared, 'script_or_debug_info') ??
      this.follow(shared, 'script') ??
      this.follow(shared, 'script_or_debug_info_or_script');
    const path = script === undefined ? '' : this.name(script).replace(/^file:\/\//, '');
    if (!/[/\\]/.test(path)) return null;
    const where = this.location(closure);
    const place = where === undefined ? path : `${path}:${where.line}:${where.column}`;
    const name = this.name(closure);
    return name === '' ? place : `${name} (${place})`;
  }
}

function words(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}
