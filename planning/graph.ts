import type { EdgeKind, Graph, GraphNode } from '../domain/credential.ts';

/** A graph by id, with its edges by where they start and of what kind they are. */
export interface GraphIndex {
  readonly nodes: ReadonlyMap<string, GraphNode>;
  /** Ids that an edge of that kind leads to, in the order of the graph. */
  readonly out: (id: string, kind: EdgeKind) => readonly string[];
  /** Ids from which an edge of that kind leads here. */
  readonly into: (id: string, kind: EdgeKind) => readonly string[];
}

const none: readonly string[] = [];

/** The kinds of edge that decide anything here. Who uses or owns what is told by the inventory, and most edges of a large house are of those kinds. */
const deciding: readonly EdgeKind[] = ['derives', 'acts-as', 'unlocks', 'issues'];

/** Indexes a graph once; linear in nodes and edges. Edges that lead nowhere, and kinds that decide nothing, are left out. */
export function indexGraph(graph: Graph): GraphIndex {
  const nodes = new Map<string, GraphNode>();
  for (const node of graph.nodes) nodes.set(node.id, node);
  const out = new Map(deciding.map((kind) => [kind, new Map<string, string[]>()]));
  const into = new Map(deciding.map((kind) => [kind, new Map<string, string[]>()]));
  for (const { from, to, kind } of graph.edges) {
    const leaving = out.get(kind);
    if (!leaving || !nodes.has(from) || !nodes.has(to)) continue;
    put(leaving, from, to);
    put(into.get(kind) as Map<string, string[]>, to, from);
  }
  return {
    nodes,
    out: (id, kind) => out.get(kind)?.get(id) ?? none,
    into: (id, kind) => into.get(kind)?.get(id) ?? none,
  };
}

function put(index: Map<string, string[]>, at: string, other: string): void {
  const list = index.get(at);
  if (list) list.push(other);
  else index.set(at, [other]);
}

/** Everything reachable from the roots, roots included, with how many edges away it is. `next` gives the ids one edge further. */
export function reach(roots: readonly string[], next: (id: string) => readonly string[]): ReadonlyMap<string, number> {
  const depth = new Map<string, number>();
  const queue: string[] = [];
  for (const root of roots) {
    if (depth.has(root)) continue;
    depth.set(root, 0);
    queue.push(root);
  }
  for (let at = 0; at < queue.length; at++) {
    const id = queue[at] as string;
    const further = (depth.get(id) ?? 0) + 1;
    for (const to of next(id)) {
      if (depth.has(to)) continue;
      depth.set(to, further);
      queue.push(to);
    }
  }
  return depth;
}

/**
 * The strongly connected components of the given ids, so ordered that a component comes after every one it leads to: children before parents. Members of
 * a component are sorted. Tarjan's algorithm with a stack of its own, since a chain of ten thousand sessions would overflow the call stack.
 */
export function condense(ids: readonly string[], next: (id: string) => readonly string[]): readonly (readonly string[])[] {
  const wanted = new Set(ids);
  const order = new Map<string, number>();
  const low = new Map<string, number>();
  const onStack = new Set<string>();
  const stack: string[] = [];
  const components: string[][] = [];
  for (const start of ids) {
    if (order.has(start)) continue;
    const work: { readonly id: string; readonly to: readonly string[]; at: number }[] = [];
    const enter = (id: string) => {
      order.set(id, order.size);
      low.set(id, order.size - 1);
      stack.push(id);
      onStack.add(id);
      work.push({ id, to: next(id), at: 0 });
    };
    enter(start);
    for (let frame = work.at(-1); frame; frame = work.at(-1)) {
      const to = frame.to[frame.at++];
      if (to !== undefined) {
        if (!wanted.has(to)) continue;
        if (!order.has(to)) enter(to);
        else if (onStack.has(to)) low.set(frame.id, Math.min(low.get(frame.id) as number, order.get(to) as number));
        continue;
      }
      work.pop();
      const parent = work.at(-1);
      if (parent) low.set(parent.id, Math.min(low.get(parent.id) as number, low.get(frame.id) as number));
      if (low.get(frame.id) !== order.get(frame.id)) continue;
      const members: string[] = [];
      for (let member = stack.pop(); member !== undefined; member = stack.pop()) {
        onStack.delete(member);
        members.push(member);
        if (member === frame.id) break;
      }
      components.push(members.sort());
    }
  }
  return components;
}
