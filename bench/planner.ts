import { performance } from 'node:perf_hooks';
import type { GraphEdge, GraphNode } from '../domain/credential.ts';
import { planRound } from '../planning/plan.ts';
import { a, arn, at, leakedKey } from '../test/planning/fixtures.ts';

/**
 * How long a plan takes on the graph of a large house: 60,000 nodes and 245,000 edges with circles among them (design §11 wants it under a second).
 * `node --import tsx bench/planner.ts [runs]`.
 */
const nodesWanted = 60_000;
const edgesWanted = 245_000;
const runs = Number(process.argv[2] ?? 9);

/** A small generator with a fixed seed (mulberry32), as a bench that draws anew each time compares nothing. */
function drawing(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const draw = drawing(20_261_124);
const pick = (below: number): number => Math.floor(draw() * below);
const nodes: GraphNode[] = [a.keyNode(leakedKey)];
const edges: GraphEdge[] = [];
// A third are sessions that derive from the leak, in chains and circles; a few hundred are keys; the rest are bystanders.
for (let n = 1; n < nodesWanted; n++) {
  const id = String(n).padStart(10, '0');
  if (n % 3 === 0) nodes.push(a.sessionNode(`ASIAQ${id}00000`, { issuedAt: at(1) }));
  else if (n % 400 === 1) nodes.push(a.keyNode(`AKIAQ${id}00000`, { issuedAt: at(1) }));
  else nodes.push(a.keyNode(`AKIAQ${id}00000`, { principal: `arn:aws:iam::111122223333:user/u${n}`, issuedAt: at(-99_999) }));
}
const derived = nodes.filter((each) => each.credential?.principal === arn);
for (let n = 1; n < derived.length; n++) edges.push(a.edge((derived[pick(n)] as GraphNode).id, (derived[n] as GraphNode).id));
while (edges.length < edgesWanted) {
  const circle = draw() < 0.2;
  const among = circle ? derived : nodes;
  edges.push(
    a.edge((among[pick(among.length)] as GraphNode).id, (among[pick(among.length)] as GraphNode).id, circle ? 'derives' : 'used-by'),
  );
}

const input = a.input(a.assessment(a.finding(nodes, {}, edges)));
const times: number[] = [];
let steps = 0;
for (let n = 0; n < runs; n++) {
  const began = performance.now();
  steps = planRound(input).steps.length;
  times.push(performance.now() - began);
}
times.sort((x, y) => x - y);
const show = (ms: number | undefined) => `${Math.round(ms ?? 0)} ms`;
console.log(`planner: ${nodes.length} nodes, ${edges.length} edges, ${derived.length} of them reached, ${steps} steps`);
console.log(`  first ${show(times.at(-1))}, median ${show(times[Math.floor(times.length / 2)])}, best ${show(times[0])} of ${runs}`);
