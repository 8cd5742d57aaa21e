import { leaks } from '../../../src/costs/leaks.js';
import { spending } from '../../../src/costs/spending.js';
import { leakingServices, simulateService, tightServices } from '../../support/leaking-service.js';
import { costlyServices, evenServices, simulateSpending } from '../../support/spending-service.js';

/*
 * How often the route that costs or leaks is named, and another one, in simulated services whose seeds no test and no
 * threshold has seen. SEEDS=1000001-1000300
 */

const [from = 1_000_001, to = from + 299] = (process.env.SEEDS ?? '').split('-').filter(Boolean).map(Number);
const seeds = Array.from({ length: to - from + 1 }, (_, at) => from + at);

function row(name: string, cells: Readonly<Record<string, number>>): void {
  const told = Object.entries(cells).map(([what, count]) => `${what} ${count}`);
  process.stdout.write(`${name.padEnd(64)} ${told.join(', ')}\n`);
}

process.stdout.write(`seeds ${from} to ${to}: ${seeds.length} services each\n\ncosts\n`);
for (const [name, { route, service }] of Object.entries(costlyServices)) {
  const kind = `GET /route${route}`;
  const what = service.loop === undefined ? 'cpu' : 'loop';
  const truth = (service.loop ?? service.cpu)?.[route] ?? 0;
  const cells = { 'right first': 0, 'right alone': 0, 'another name': 0, 'interval holds': 0 };
  for (const seed of seeds) {
    const routes = spending(simulateSpending({ seed, ...service }))?.routes ?? [];
    const named = routes.filter(({ heavy }) => heavy !== null).map((each) => each.kind);
    if (named[0] === kind) cells['right first'] += 1;
    if (named.length === 1 && named[0] === kind) cells['right alone'] += 1;
    if (named.some((each) => each !== kind)) cells['another name'] += 1;
    const cost = routes.find((each) => each.kind === kind)?.[what];
    if (cost !== undefined && cost.lowMs <= truth && truth <= cost.highMs) cells['interval holds'] += 1;
  }
  row(name, cells);
}
process.stdout.write('\nno route costs more than others\n');
for (const [name, service] of Object.entries(evenServices)) {
  const cells = { 'some name': 0 };
  for (const seed of seeds) {
    const routes = spending(simulateSpending({ seed, ...service }))?.routes ?? [];
    if (routes.some(({ heavy }) => heavy !== null)) cells['some name'] += 1;
  }
  row(name, cells);
}
process.stdout.write('\nleaks\n');
for (const [name, service] of Object.entries(leakingServices)) {
  const [route = '', truth = 0] = Object.entries(service.leaking ?? {})[0] ?? [];
  const kind = `GET /route${route}`;
  const cells = { 'right first': 0, 'another name': 0, 'interval holds': 0 };
  for (const seed of seeds) {
    const found = leaks(simulateService({ seed, ...service }));
    if (found[0]?.kind === kind) cells['right first'] += 1;
    if (found.some((each) => each.kind !== kind)) cells['another name'] += 1;
    const leak = found.find((each) => each.kind === kind);
    if (leak !== undefined && leak.lowBytes <= truth && truth <= leak.highBytes) cells['interval holds'] += 1;
  }
  row(name, cells);
}
process.stdout.write('\nno route leaks\n');
for (const [name, service] of Object.entries(tightServices)) {
  const cells = { 'some name': 0 };
  for (const seed of seeds) {
    if (leaks(simulateService({ seed, ...service })).length > 0) cells['some name'] += 1;
  }
  row(name, cells);
}
