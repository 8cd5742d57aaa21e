import { Agent, request } from 'node:http';

export interface OpenLoad {
  readonly port: number;
  /** Requests per second, whatever becomes of those before. */
  readonly rate: number;
  readonly seconds: number;
  /** Of them the first so many count for nothing. */
  readonly warmup: number;
  /** Whether connections are used again. */
  readonly kept: boolean;
}

export interface OpenReport {
  /** Answers that came while the load lasted, per second. */
  readonly served: number;
  readonly shed: number;
  /** Requests that were never answered, per second. */
  readonly lost: number;
  /** Of all that were served, from when each was due to its answer, ms. */
  readonly p50: number;
  readonly p99: number;
}

/** A request without an answer after this long is lost, ms. */
const patience = 20_000;

/**
 * Sends requests at their times, whether or not those before have been answered: users do not wait for one another. A
 * latency begins when the request was due, so that a late client hides nothing (coordinated omission).
 */
export async function openLoad({ port, rate, seconds, warmup, kept }: OpenLoad): Promise<OpenReport> {
  const agent = kept ? new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY }) : false;
  const took: number[] = [];
  let [served, shed, lost, sent] = [0, 0, 0, 0];
  const begun = performance.now();
  const end = begun + seconds * 1_000;
  const total = Math.round(rate * seconds);
  const underWay: Promise<void>[] = [];
  const send = (nth: number): Promise<void> =>
    new Promise((resolve) => {
      const due = begun + (nth * 1_000) / rate;
      const counts = nth >= rate * warmup;
      const fail = (): void => {
        if (counts) lost++;
        resolve();
      };
      const asked = request({ host: '127.0.0.1', port, agent, timeout: patience }, (answer) => {
        answer.resume().on('end', () => {
          const at = performance.now();
          const isInTime = at >= begun + warmup * 1_000 && at < end;
          if (counts && answer.statusCode === 200) took.push(at - due);
          if (isInTime && answer.statusCode === 200) served++;
          if (isInTime && answer.statusCode === 503) shed++;
          resolve();
        });
      });
      asked
        .on('timeout', () => asked.destroy())
        .on('error', fail)
        .end();
    });
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const due = Math.min(total, Math.floor(((performance.now() - begun) * rate) / 1_000));
      while (sent < due) underWay.push(send(sent++));
      if (sent < total) return;
      clearInterval(timer);
      resolve();
    }, 1);
  });
  await Promise.all(underWay);
  if (agent !== false) agent.destroy();
  const per = seconds - warmup;
  took.sort((one, other) => one - other);
  const at = (share: number): number => took[Math.min(took.length - 1, Math.floor(took.length * share))] ?? 0;
  return { served: served / per, shed: shed / per, lost: lost / per, p50: at(0.5), p99: at(0.99) };
}

/** Requests per second that so many clients get, each of which sends its next request after the answer. */
export async function closedLoad(port: number, clients: number, seconds: number): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  const until = performance.now() + seconds * 1_000;
  let answers = 0;
  const client = async (): Promise<void> => {
    while (performance.now() < until) {
      await new Promise<void>((resolve, reject) => {
        const asked = request({ host: '127.0.0.1', port, agent }, (answer) => {
          answer.resume().on('end', resolve);
        });
        asked.on('error', reject).end();
      });
      answers++;
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  agent.destroy();
  return answers / seconds;
}
