/** A CPU profile as a flame graph and a table. */
import { type Dialog, downloadLink, failure } from './dialogs.js';
import { element } from './dom.js';
import { boxesOf, type Flame, type Frame, flameOf, type Hot, hottest, isProfile } from './flame.js';
import { evidencePath } from './link.js';
import { duration, percent } from './words.js';

const rowHeight = 20;
const mostRows = 40;
const mostHot = 15;
/** Share of the width below which a frame is not drawn. */
const narrowest = 0.0015;

export async function showProfile(dialog: Dialog, name: string): Promise<void> {
  dialog.body.replaceChildren(element('p', { attributes: { role: 'status' } }, 'Reading the profile…'));
  try {
    const answer = await fetch(evidencePath(name));
    if (!answer.ok) throw new Error(`the admin process answers ${answer.status}`);
    const read: unknown = await answer.json();
    if (!isProfile(read)) throw new Error('the file is no CPU profile');
    draw(dialog, flameOf(read));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    dialog.body.replaceChildren(failure(`Cannot show ${name}: ${why}.`));
  }
  dialog.ends.prepend(downloadLink(name));
}

function draw({ body }: Dialog, flame: Flame): void {
  const { root, total, idle } = flame;
  const hot = hottest(root, mostHot);
  const busy = total === 0 ? 0 : root.total / total;
  body.replaceChildren(
    element('p', { class: 'key-line' }, sentence(hot, flame)),
    element(
      'p',
      { class: 'muted' },
      `${duration(total / 1_000)} in all, busy ${percent(busy)} of it, idle for ${duration(idle / 1_000)}. Wide is long; what is below was called by what is above.`,
    ),
  );
  if (root.total === 0) return;
  const graph = element('div', {
    class: 'flame',
    attributes: { role: 'img', 'aria-label': 'Flame graph; the table below has the same functions' },
  });
  const chosen = element(
    'p',
    { class: 'muted', attributes: { 'aria-live': 'polite' } },
    'Choose a frame to look closer.',
  );
  let path: readonly Frame[] = [root];
  let found: Hot | null = null;
  const render = (): void => {
    const boxes = boxesOf(path, narrowest).filter(({ row }) => row < mostRows);
    graph.style.height = `${(Math.max(...boxes.map(({ row }) => row)) + 1) * rowHeight}px`;
    graph.replaceChildren(
      ...boxes.map(({ frame, left, width, row, ancestor }) => {
        const text = `${frame.name}${frame.short === '' ? '' : ` ${frame.short}`}`;
        const box = element(
          'div',
          {
            title: `${frame.name} ${frame.place}\n${shares(frame, root)}`,
          },
          text,
        );
        box.dataset.origin = frame.origin;
        if (ancestor) box.dataset.ancestor = '';
        if (found !== null && frame.name === found.name && frame.place === found.place)
          box.dataset.found = '';
        box.style.left = `${left * 100}%`;
        box.style.width = `${width * 100}%`;
        box.style.top = `${row * rowHeight}px`;
        box.addEventListener('click', () => {
          path = pathTo(root, frame);
          chosen.textContent = `${frame.name} ${frame.place}: ${shares(frame, root)}`;
          render();
        });
        return box;
      }),
    );
  };
  render();
  body.append(
    element(
      'ul',
      { class: 'legend' },
      ...(['app', 'package', 'node', 'engine'] as const).map((origin) =>
        element('li', {}, element('i', { class: `swatch ${origin}` }), origins[origin]),
      ),
    ),
    graph,
    chosen,
    element('h3', {}, 'Where the time went'),
    table(hot, root, (one) => {
      found = one;
      path = [root];
      chosen.textContent = `${one.name} ${one.place}: ${shares(one, root)}`;
      render();
    }),
  );
}

const origins = {
  app: 'the app',
  package: 'a package, or rom-agent',
  node: 'Node',
  engine: 'V8 itself',
} as const;

function sentence([first]: readonly Hot[], { root }: Flame): string {
  if (first === undefined || root.total === 0) return 'The worker was idle all the time.';
  const where = first.short === '' ? '' : ` at ${first.short}`;
  return `${percent(first.self / root.total)} of the busy time was spent in ${first.name}${where}.`;
}

function shares({ total, self }: Hot, root: Frame): string {
  return `${share(total, root)} in all, ${share(self, root)} itself`;
}

function share(value: number, root: Frame): string {
  return percent(root.total === 0 ? 0 : value / root.total);
}

function table(hot: readonly Hot[], root: Frame, choose: (one: Hot) => void): HTMLElement {
  const head = ['Itself', 'In all', 'Function', 'Where'].map((text) =>
    element('th', { attributes: { scope: 'col' } }, text),
  );
  const rows = hot.map((one) =>
    element(
      'tr',
      {},
      element('td', {}, share(one.self, root)),
      element('td', {}, share(one.total, root)),
      element(
        'td',
        {},
        element(
          'button',
          { class: 'name-button mono', attributes: { type: 'button' }, click: () => choose(one) },
          one.name,
        ),
      ),
      element('td', {}, element('code', {}, one.place || origins[one.origin])),
    ),
  );
  return element(
    'table',
    { class: 'hot' },
    element('thead', {}, element('tr', {}, ...head)),
    element('tbody', {}, ...rows),
  );
}

/** From the root to a frame. */
function pathTo(root: Frame, wanted: Frame): readonly Frame[] {
  const above = new Map<Frame, Frame>();
  const waiting = [root];
  for (let frame = waiting.pop(); frame !== undefined && frame !== wanted; frame = waiting.pop()) {
    for (const child of frame.children) {
      above.set(child, frame);
      waiting.push(child);
    }
  }
  const path = [wanted];
  for (let frame = above.get(wanted); frame !== undefined; frame = above.get(frame)) path.unshift(frame);
  return path;
}
