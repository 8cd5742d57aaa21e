/** What each kind of request costs the workers: the dearest first. */
import { type Estimate, inMillis, type RouteCost } from '../../protocol/route-cost.js';
import { byId, element, keep, say } from './dom.js';
import type { Store } from './store.js';
import { count, inWords, percent, wholeSeconds } from './words.js';

const mostRows = 10;

export function showRoutes({ stats }: Store): void {
  const costs = stats?.costs;
  const routes = costs?.routes ?? [];
  for (const each of document.querySelectorAll<HTMLElement>('#routes, a[href="#routes"]')) {
    each.hidden = routes.length === 0;
  }
  if (costs === undefined) return;
  say(
    byId('routes-note'),
    `from ${wholeSeconds(costs.overSeconds)} of the workers; ${percent(costs.restShare)} of their CPU goes with no request`,
  );
  keep(byId('route-rows'), routes.slice(0, mostRows), {
    key: ({ kind }) => kind,
    make: ({ kind }) =>
      element(
        'tr',
        {},
        element('th', { attributes: { scope: 'row' } }, element('code', {}, kind)),
        ...Array.from({ length: 6 }, () => element('td')),
      ),
    update: (made, cost) => {
      for (const [at, text] of textsOf(cost).entries()) {
        const cell = made.children[at + 1];
        if (cell instanceof HTMLElement) say(cell, text);
      }
    },
  });
}

function textsOf({ requests, cpu, loop, blocks, where }: RouteCost): readonly string[] {
  const held = !blocks ? '' : where === null ? 'yes' : `in ${inWords(where)}`;
  return [count(requests), estimate(cpu), percent(cpu.share), estimate(loop), percent(loop.share), held];
}

function estimate({ ms, lowMs, highMs }: Estimate): string {
  if (lowMs === 0) return `up to ${inMillis(highMs)} ms`;
  return `${inMillis(ms)} ms (${inMillis(lowMs)} to ${inMillis(highMs)})`;
}
