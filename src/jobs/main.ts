import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { type EntryWork, workVariable, type ZoneTables } from './entry-work.js';

/**
 * The process of a job that is a module's function or a request to the service, or of the time zones: it does its work and
 * ends with 0, or says what went wrong and ends with 1. SIGTERM aborts it.
 */
async function main(): Promise<void> {
  const work = JSON.parse(process.env[workVariable] ?? '') as EntryWork;
  delete process.env[workVariable];
  const aborting = new AbortController();
  process.once('SIGTERM', () => {
    aborting.abort(new Error('the job is to end (SIGTERM)'));
    // A second one ends the process, as it would without us.
  });
  const {
    ROM_JOB: job = '',
    ROM_JOB_RUN: run = '',
    ROM_JOB_DUE: due,
    ROM_JOB_ATTEMPT: attempt,
  } = process.env;
  try {
    if (work.kind === 'zones') await printZones(work);
    else if (work.kind === 'request') await ask(work, { run, signal: aborting.signal });
    else {
      const { callExport } = await import('./load-job.js');
      await callExport(work, {
        ...{ job, run, attempt: Number(attempt), signal: aborting.signal },
        dueAt: due === undefined ? null : new Date(due),
      });
    }
    finish(0);
  } catch (error) {
    console.error(error instanceof Error && work.kind === 'module' ? error : String(error));
    finish(1);
  }
}

/** What is written to a pipe is written before the process ends; what the function left open does not hold it. */
function finish(code: number): void {
  process.stdout.write('', () => process.stderr.write('', () => process.exit(code)));
}

async function printZones({ names, aroundMs }: Extract<EntryWork, { kind: 'zones' }>): Promise<void> {
  const { tableOf } = await import('./zones.js');
  const table = (name: string): ZoneTables[string] => {
    try {
      return tableOf(name, aroundMs);
    } catch {
      return null;
    }
  };
  console.log(JSON.stringify(Object.fromEntries(names.map((name) => [name, table(name)]))));
}

type RequestWork = Extract<EntryWork, { kind: 'request' }>;

interface About {
  readonly run: string;
  readonly signal: AbortSignal;
}

/** Prints what is answered. @throws for a status of 400 or more, and where nothing is answered */
function ask({ url, method, path, body, job }: RequestWork, { run, signal }: About): Promise<void> {
  const isJson = body !== null && parses(body);
  const headers = {
    'Rom-Agent-Job': job,
    'Rom-Agent-Job-Run': run,
    'User-Agent': 'rom-agent',
    ...(body === null
      ? {}
      : {
          'Content-Type': isJson ? 'application/json' : 'text/plain; charset=utf-8',
          'Content-Length': Buffer.byteLength(body),
        }),
  };
  const common = { method, path, headers, signal, agent: false } as const;
  return new Promise((resolve, reject) => {
    const outgoing = url.startsWith('/')
      ? requestHttp({ ...common, socketPath: url, headers: { ...headers, Host: 'localhost' } })
      : url.startsWith('https:')
        ? // The own listener: its certificate is for the name that clients use.
          requestHttps(url, { ...common, path, rejectUnauthorized: false })
        : requestHttp(url, { ...common, path });
    outgoing.on('error', (error) => reject(new Error(`no answer from ${url}: ${error.message}`)));
    outgoing.on('response', (answer) => {
      const { statusCode = 0 } = answer;
      console.log(`${method} ${path}: ${statusCode}`);
      answer.pipe(process.stdout, { end: false });
      answer.on('error', reject);
      answer.on('end', () =>
        statusCode < 400 ? resolve() : reject(new Error(`the service answered ${statusCode}`)),
      );
    });
    outgoing.end(body ?? undefined);
  });
}

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

void main();
