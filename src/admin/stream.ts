import type { AdminEventName, AdminEvents } from './api.js';

/** One client of the stream. */
export interface Listener {
  /** Takes text in the format of server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). */
  write(text: string): void;
}

export interface Stream {
  publish<Name extends AdminEventName>(name: Name, data: AdminEvents[Name]): void;
  /** Of the last event that has one. */
  lastId(): string;
  /**
   * Hears first what came after the event of this id, as far as it is still there.
   *
   * @returns what ends it
   */
  listen(listener: Listener, after: string | null): () => void;
  listeners(): number;
}

export interface StreamSeam {
  /** Tells the ids of this run of the server from those of another. */
  readonly boot: string;
  /** Called with each change of the number of listeners. */
  readonly onListeners: (count: number) => void;
  readonly mostEvents?: number;
  /** Characters that are kept. */
  readonly room?: number;
}

/** Sent once a second: nobody wants an old one. */
const fleeting: ReadonlySet<AdminEventName> = new Set(['stats', 'sample', 'reset']);

/** Hands events to all who listen, and keeps the last for those who come back. */
export function createStream({
  boot,
  onListeners,
  mostEvents = 1_000,
  room = 1024 * 1024,
}: StreamSeam): Stream {
  const listeners = new Set<Listener>();
  const kept: { readonly number: number; readonly text: string }[] = [];
  let size = 0;
  let last = 0;

  const keep = (text: string): void => {
    kept.push({ number: last, text });
    size += text.length;
    while (kept.length > mostEvents || (size > room && kept.length > 1))
      size -= kept.shift()?.text.length ?? 0;
  };
  const idOf = (number: number): string => `${boot}-${number}`;
  /** What a listener has missed, or why that cannot be told. */
  const missed = (after: string): readonly string[] => {
    const [, run, digits] = /^([\w]+)-(\d{1,15})$/.exec(after) ?? [];
    const number = Number(digits);
    const first = kept[0]?.number ?? last + 1;
    if (run !== boot) return [textOf('reset', { reason: 'the admin server was started anew' })];
    if (number > last || number < first - 1)
      return [textOf('reset', { reason: 'too much has happened since' })];
    return kept.filter((event) => event.number > number).map(({ text }) => text);
  };

  return {
    publish: (name, data) => {
      const isKept = !fleeting.has(name);
      if (isKept) last += 1;
      const text = textOf(name, data, isKept ? idOf(last) : null);
      if (isKept) keep(text);
      for (const listener of listeners) listener.write(text);
    },
    lastId: () => idOf(last),
    listen: (listener, after) => {
      listener.write(`retry: ${retryMs}\n\n`);
      for (const text of after === null ? [] : missed(after)) listener.write(text);
      listeners.add(listener);
      onListeners(listeners.size);
      return () => {
        if (listeners.delete(listener)) onListeners(listeners.size);
      };
    },
    listeners: () => listeners.size,
  };
}

/** How long a browser waits before it comes back. */
const retryMs = 1_000;

function textOf(name: string, data: unknown, id: string | null = null): string {
  // JSON has no line break of its own.
  return `${id === null ? '' : `id: ${id}\n`}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}
