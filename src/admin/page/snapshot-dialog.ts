/** What keeps the memory of a heap snapshot, which another thread reads: it has millions of objects. */
import type { Holder, SnapshotSummary } from '../../heap/summary.js';
import { holderInWords } from '../../heap/words.js';
import { type Dialog, downloadLink, failure } from './dialogs.js';
import { element } from './dom.js';
import { evidencePath } from './link.js';
import { bytes, count, percent } from './words.js';

export type Told = { readonly summary: SnapshotSummary } | { readonly error: string };

/** Name of the thread's file, which the bundler puts in. */
declare const SNAPSHOT_READER: string;

export async function showSnapshot(dialog: Dialog, name: string, size: number): Promise<void> {
  dialog.ends.prepend(downloadLink(name));
  dialog.body.replaceChildren(
    element('p', { attributes: { role: 'status' } }, `Reading ${bytes(size)}: what keeps the memory…`),
    element('progress', { attributes: { 'aria-label': 'Reading the snapshot' } }),
  );
  const told = await read(new URL(evidencePath(name), document.baseURI).href, dialog);
  if (!dialog.open) return;
  if ('error' in told) {
    return dialog.body.replaceChildren(failure(`Cannot read the snapshot: ${told.error}.`));
  }
  draw(dialog.body, told.summary);
}

function read(url: string, dialog: Dialog): Promise<Told> {
  return new Promise((resolve) => {
    const thread = new Worker(new URL(SNAPSHOT_READER, document.baseURI), { type: 'module' });
    const done = (told: Told): void => {
      thread.terminate();
      resolve(told);
    };
    thread.addEventListener('message', ({ data }: MessageEvent<Told>) => done(data));
    thread.addEventListener('error', ({ message }) => done({ error: message || 'its reader did not start' }));
    dialog.element.addEventListener('close', () => done({ error: 'closed' }));
    thread.postMessage(url);
  });
}

function draw(body: HTMLElement, { holders, totalBytes, objects }: SnapshotSummary): void {
  const all = `${bytes(totalBytes)} in ${count(objects)} objects. “Keeps” is what would be free without it. Chrome's developer tools, Memory, show the whole file.`;
  const [first] = holders;
  body.replaceChildren(
    element(
      'p',
      { class: 'key-line' },
      first === undefined
        ? 'Nothing keeps much of the memory: it is spread over many objects.'
        : `${holderInWords(first)}.`,
    ),
    element('p', { class: 'muted' }, all),
    element('ol', { class: 'cards' }, ...holders.map(card)),
  );
}

function card({ name, kind, keptBytes, share, at, mostly, path }: Holder): HTMLElement {
  return element(
    'li',
    {},
    element(
      'div',
      { class: 'title' },
      element('strong', {}, element('code', {}, name === '' ? kind : name), ` ${name === '' ? '' : kind}`),
      element('span', { class: 'muted' }, `keeps ${bytes(keptBytes)}, ${percent(share)}`),
    ),
    mostly === null
      ? null
      : element('p', { class: 'cause' }, `holds ${count(mostly.count)} × ${mostly.kind}`),
    at === null ? null : element('p', { class: 'at' }, 'variable used by ', element('code', {}, at)),
    path.length < 2 ? null : element('p', { class: 'facts' }, `reached by ${path.join(' › ')}`),
  );
}
