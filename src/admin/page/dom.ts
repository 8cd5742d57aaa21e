/** Elements without HTML: whatever stands in a string is shown as text. */

export type Child = Node | string | null;

interface Properties {
  readonly class?: string;
  readonly id?: string;
  readonly title?: string;
  /** Attributes by their names, `aria-label` and the like. */
  readonly attributes?: Readonly<Record<string, string>>;
  readonly click?: (event: MouseEvent) => void;
}

export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Properties = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  const { class: names, id, title, attributes = {}, click } = properties;
  if (names !== undefined) made.className = names;
  if (id !== undefined) made.id = id;
  if (title !== undefined) made.title = title;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (click !== undefined) made.addEventListener('click', click as EventListener);
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** An element of index.html. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`index.html has no #${id}`);
  return found as T;
}

/** Changes the text only where it differs: the rest of the page does not move. */
export function say(node: Node, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}

export function put(node: Element, name: string, value: string | null): void {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

interface Keyed<T, E extends Element> {
  readonly key: (item: T) => string;
  readonly make: (item: T) => E;
  readonly update: (made: E, item: T) => void;
}

const keys = new WeakMap<Element, string>();

/** Makes the children of `parent` those of `items`, keeping what is there: focus, selection and open details stay. */
export function keep<T, E extends Element>(
  parent: Element,
  items: readonly T[],
  { key, make, update }: Keyed<T, E>,
): void {
  const old = new Map<string, E>();
  for (const child of parent.children) {
    const known = keys.get(child);
    if (known !== undefined) old.set(known, child as E);
  }
  let place: Element | null = parent.firstElementChild;
  for (const item of items) {
    const name = key(item);
    let child = old.get(name);
    if (child === undefined) {
      child = make(item);
      keys.set(child, name);
    }
    old.delete(name);
    update(child, item);
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
  }
  for (const child of old.values()) child.remove();
}

/** A button that says why where it cannot be pressed: it stays in the tab order, so that the reason can be read. */
export class Button {
  readonly element: HTMLButtonElement;
  #reason: string | null = null;

  constructor(
    label: string,
    {
      press,
      refused,
      class: names = 'button',
    }: { press: () => void; refused: (why: string) => void; class?: string },
  ) {
    this.element = element(
      'button',
      {
        class: names,
        attributes: { type: 'button' },
        click: () => (this.#reason === null ? press() : refused(this.#reason)),
      },
      label,
    );
  }

  /** @param reason null: it can be pressed */
  set reason(reason: string | null) {
    this.#reason = reason;
    put(this.element, 'aria-disabled', reason === null ? null : 'true');
    put(this.element, 'title', reason);
  }
}

/** `prefers-color-scheme`, and what is told when it changes. */
export const darkness = matchMedia('(prefers-color-scheme: dark)');

/** A colour of style.css. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
