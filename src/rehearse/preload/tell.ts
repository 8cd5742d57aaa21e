import { appendFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Place, type Report, reportsFile } from '../reports.js';

type Untold = Report extends infer R ? (R extends Report ? Omit<R, 'pid'> : never) : never;

/** Written at once: the process may end with the next line. */
export function createTell(sandbox: string): (report: Untold) => void {
  const file = join(sandbox, reportsFile);
  return (report) => {
    try {
      appendFileSync(file, `${JSON.stringify({ ...report, pid: process.pid })}\n`);
    } catch {
      // The sandbox is being removed.
    }
  };
}

/** rom-agent's own files. */
const own = fileURLToPath(new URL('../', import.meta.url));

/** The line of the app that has called: the innermost of its own, else of one of its packages; null: it was not the app. */
export function callSite(): Place | null {
  const { stackTraceLimit, prepareStackTrace } = Error;
  Error.stackTraceLimit = 50;
  Error.prepareStackTrace = (_, frames) => frames;
  const holder: { stack?: unknown } = {};
  Error.captureStackTrace(holder, callSite);
  const frames = holder.stack as readonly NodeJS.CallSite[];
  Error.prepareStackTrace = prepareStackTrace;
  Error.stackTraceLimit = stackTraceLimit;
  const places = frames.flatMap((frame) => {
    const file = fileOf(frame.getFileName() ?? '');
    const line = frame.getLineNumber();
    return file === null || line === null ? [] : [{ function: frame.getFunctionName(), file, line }];
  });
  return innermost(places);
}

/** The line of the app in the stack of an error. */
export function placeIn(stack: string): Place | null {
  const frames = [...stack.matchAll(/^\s+at (?:(?:async )?(.+) \()?((?:file:\/\/)?\/.+):(\d+):\d+\)?$/gm)];
  return innermost(
    frames.flatMap(([, name, script = '', line]) => {
      const file = fileOf(script);
      return file === null ? [] : [{ function: name ?? null, file, line: Number(line) }];
    }),
  );
}

/** The first that is no package's, else the first. */
export function innermost<P extends { readonly file: string }>(places: readonly P[]): P | null {
  return places.find(({ file }) => !file.includes(packages)) ?? places[0] ?? null;
}

const packages = `${sep}node_modules${sep}`;

/** The path of a script, by a path or a URL; null: Node's own or rom-agent's. */
export function fileOf(script: string): string | null {
  const path = script.startsWith('file:') ? fileURLToPath(script) : script;
  return path.startsWith(sep) && !path.startsWith(own) ? path : null;
}
