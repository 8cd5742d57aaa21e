/** Dialogs and short messages. */
import { byId, element } from './dom.js';
import { evidencePath } from './link.js';

const toastsFor = 7_000;

/** A message that goes away by itself. */
export function toast(text: string): void {
  const made = element('p', {}, text);
  const box = byId('toasts');
  box.append(made);
  while (box.childElementCount > 4) box.firstElementChild?.remove();
  setTimeout(() => made.remove(), toastsFor);
}

export interface Dialog {
  readonly body: HTMLElement;
  readonly ends: HTMLElement;
  readonly element: HTMLDialogElement;
  close(): void;
  /** Whether somebody still looks at it. */
  readonly open: boolean;
}

/** Opens a modal dialog with a button that closes it. The focus goes back to where it was. */
export function openDialog(title: string, { wide = false, close = 'Close' } = {}): Dialog {
  const heading = element('h2', { id: `dialog-${++dialogs}` }, title);
  const body = element('div', { class: 'body' });
  const closer = element(
    'button',
    { class: 'button', attributes: { type: 'button' }, click: () => made.close() },
    close,
  );
  const ends = element('div', { class: 'ends' }, closer);
  const made = element(
    'dialog',
    { class: wide ? 'dialog wide' : 'dialog', attributes: { 'aria-labelledby': heading.id } },
    heading,
    body,
    ends,
  );
  document.body.append(made);
  made.addEventListener('close', () => made.remove());
  made.showModal();
  return {
    body,
    ends,
    element: made,
    close: () => made.close(),
    get open() {
      return made.open;
    },
  };
}

let dialogs = 0;

/** What a dialog says where something went wrong. */
export function failure(reason: string): HTMLElement {
  return element('p', { class: 'bad-text', attributes: { role: 'alert' } }, reason);
}

/** A button that downloads a file of evidence. */
export function downloadLink(name: string): HTMLElement {
  return element(
    'a',
    { class: 'button', attributes: { href: evidencePath(name), download: name } },
    'Download',
  );
}

export interface Field {
  readonly name: string;
  readonly label: string;
  readonly kind: 'number' | 'checkbox';
  readonly value: number | boolean;
  readonly least?: number;
  readonly most?: number;
}

/** Asks before something is done. @returns the fields' values; null: it is not to be done */
export function confirm(
  title: string,
  {
    text,
    yes,
    fields = [],
  }: { readonly text: string; readonly yes: string; readonly fields?: readonly Field[] },
): Promise<Readonly<Record<string, number | boolean>> | null> {
  return new Promise((resolve) => {
    const dialog = openDialog(title, { close: 'Cancel' });
    dialog.body.append(element('p', {}, text));
    const inputs = fields.map(({ name, label, kind, value, least, most }) => {
      const input = element('input', { attributes: { type: kind, name } });
      if (typeof value === 'boolean') input.checked = value;
      else input.value = String(value);
      if (least !== undefined) input.min = String(least);
      if (most !== undefined) input.max = String(most);
      input.required = kind === 'number';
      dialog.body.append(
        kind === 'number' ? element('label', {}, label, input) : element('label', {}, input, label),
      );
      return { name, kind, input };
    });
    const done = (): void => {
      const wrong = inputs.find(({ input }) => !input.reportValidity());
      if (wrong !== undefined) return;
      const values = inputs.map(({ name, kind, input }) => [
        name,
        kind === 'number' ? Number(input.value) : input.checked,
      ]);
      resolve(Object.fromEntries(values));
      dialog.close();
    };
    dialog.ends.append(
      element('button', { class: 'button main', attributes: { type: 'button' }, click: done }, yes),
    );
    for (const { input } of inputs) {
      input.addEventListener('keydown', (event) => {
        if (event.key === 'Enter') done();
      });
    }
    dialog.element.addEventListener('close', () => resolve(null));
    (inputs[0]?.input ?? dialog.ends.querySelector<HTMLElement>('.main'))?.focus();
  });
}
