export interface Answer {
  readonly ok: boolean;
  /** What the body calls `worker`; null where it does not. */
  readonly worker: string | null;
}

/** Tells when an answer with Content-Length is whole, on a connection that has one request under way at a time. */
export class AnswerReader {
  #text = '';

  /** @returns null while there is more to come */
  add(chunk: Buffer): Answer | null {
    this.#text += chunk.toString('latin1');
    const head = this.#text.indexOf('\r\n\r\n');
    if (head < 0) return null;
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(this.#text)?.[1] ?? 0);
    if (this.#text.length < head + 4 + length) return null;
    const ok = this.#text.startsWith('HTTP/1.1 200 ');
    const worker = /"worker":"([^"]+)"/.exec(this.#text)?.[1] ?? null;
    this.#text = '';
    return { ok, worker };
  }
}
