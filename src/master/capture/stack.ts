import { fileURLToPath } from 'node:url';

/** A frame as Debugger.paused has it: lines and columns count from 0, and the URL is that of its script. */
export interface CallFrame {
  readonly functionName: string;
  readonly location: {
    readonly scriptId: string;
    readonly lineNumber: number;
    readonly columnNumber?: number;
  };
}

export interface Stack {
  /** As in an Error's `stack`, without its first line. */
  readonly stack: string;
  /** The innermost frame that is the app's. */
  readonly at: string | null;
}

/** Frames beyond these say little. */
const mostFrames = 30;

/** @param own where this program's own files are, as a URL that ends in a slash */
export function formatStack(
  frames: readonly CallFrame[],
  { urls, own }: { urls: ReadonlyMap<string, string>; own: string },
): Stack {
  const named = frames.map((frame) => {
    const url = urls.get(frame.location.scriptId) ?? '';
    return { url, text: describe(frame, url) };
  });
  const foreign = named.filter(({ url }) => !url.startsWith('node:'));
  const at = foreign.find(({ url }) => !url.startsWith(own)) ?? foreign[0];
  const left = named.length - mostFrames;
  const lines = named.slice(0, mostFrames).map(({ text }) => `    at ${text}`);
  return {
    stack: [...lines, ...(left > 0 ? [`    ... ${left} more`] : [])].join('\n'),
    at: at?.text ?? null,
  };
}

/** `checkout (/srv/app/server.js:12:5)`; of a function without a name `/srv/app/server.js:12:5` */
function describe({ functionName, location }: CallFrame, url: string): string {
  const { lineNumber, columnNumber = 0 } = location;
  const place = `${url === '' ? '<anonymous>' : pathOf(url)}:${lineNumber + 1}:${columnNumber + 1}`;
  return functionName === '' ? place : `${functionName} (${place})`;
}

function pathOf(url: string): string {
  try {
    return url.startsWith('file://') ? fileURLToPath(url) : url;
  } catch {
    return url;
  }
}
