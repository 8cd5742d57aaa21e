/** What a server has sent on a connection that it may upgrade to a WebSocket: lengths only, nothing is kept. */
export interface Frames {
  /** Follows bytes on their way out. Returns how many of them stand before the next place between two frames; null: none. */
  follow(bytes: Uint8Array): number | null;
  /** The upgrade is answered with 101, and the last byte that went out was the end of that answer or of a frame. */
  isBetween(): boolean;
  /** Whether the upgrade is answered with 101, and this side has sent no Close frame. */
  isOpen(): boolean;
}

/** `other`: not the answer of an upgrade, or nothing that could be followed. */
type Place = 'answer' | 'between' | 'head' | 'payload' | 'closed' | 'other';

const accepted = 'HTTP/1.1 101';
const endOfAnswer = '\r\n\r\n';
/** Of an answer that is still without its end, bytes. */
const longestAnswer = 65_536;
const closeOpcode = 8;

/** From before the answer to the upgrade on (RFC 6455, sections 4.2.2 and 5.2). */
export function followFrames(): Frames {
  let place: Place = 'answer';
  let answer = '';
  let head: number[] = [];
  let left = 0;

  const isOpen = (): boolean => place === 'between' || place === 'head' || place === 'payload';
  const endFrame = (): void => {
    place = ((head[0] ?? 0) & 0x0f) === closeOpcode ? 'closed' : 'between';
    head = [];
  };
  /** @returns how many bytes belong to the answer */
  const readAnswer = (bytes: Uint8Array): number => {
    const before = answer.length;
    answer += Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
    const end = answer.indexOf(endOfAnswer);
    if (!answer.startsWith(accepted.slice(0, answer.length))) place = 'other';
    else if (end >= 0) place = 'between';
    else if (answer.length > longestAnswer) place = 'other';
    if (place === 'answer') return bytes.length;
    answer = '';
    return place === 'between' ? end + endOfAnswer.length - before : bytes.length;
  };
  const readHead = (byte: number): void => {
    place = 'head';
    head.push(byte);
    const length = payloadLength(head);
    if (length === null) return;
    left = length;
    if (left === 0) endFrame();
    else place = 'payload';
  };
  /** One step. @returns how many bytes it took */
  const read = (bytes: Uint8Array): number => {
    if (place === 'answer') return readAnswer(bytes);
    if (!isOpen()) return bytes.length;
    if (place !== 'payload') {
      readHead(bytes[0] ?? 0);
      return 1;
    }
    const took = Math.min(left, bytes.length);
    left -= took;
    if (left === 0) endFrame();
    return took;
  };
  return {
    follow: (bytes) => {
      let first: number | null = null;
      for (let at = 0; at < bytes.length; ) {
        at += read(bytes.subarray(at));
        if (place === 'between') first ??= at;
      }
      return first;
    },
    isBetween: () => place === 'between',
    isOpen,
  };
}

/** Of the frame whose first bytes these are, its mask included; null: there is more of its head to come. */
function payloadLength(head: readonly number[]): number | null {
  const [, second = 0] = head;
  const short = second & 0x7f;
  const extended = short === 126 ? 2 : short === 127 ? 8 : 0;
  const mask = second & 0x80 ? 4 : 0;
  if (head.length < 2 + extended + mask) return null;
  return extended === 0 ? short : head.slice(2, 2 + extended).reduce((sum, byte) => sum * 256 + byte, 0);
}
