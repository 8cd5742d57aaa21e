import { Agent, get } from 'node:http';
import type { TestContext } from 'node:test';

/** Requests one after the other on a few connections, until it is stopped. */
export function startLoad(t: TestContext, url: string) {
  const agent = new Agent({ keepAlive: true, maxSockets: 4 });
  const failures: string[] = [];
  let answered = 0;
  let stopped = false;
  const one = (): Promise<void> =>
    new Promise((resolve) => {
      get(url, { agent }, (response) => {
        if (response.statusCode === 200) answered += 1;
        else failures.push(`status ${response.statusCode}`);
        response.resume().once('end', resolve);
      }).once('error', (error) => {
        failures.push(error.message);
        resolve();
      });
    });
  t.after(() => {
    stopped = true;
    agent.destroy();
  });
  const client = async (): Promise<void> => {
    while (!stopped) await one();
  };
  const clients = Promise.all(Array.from({ length: 4 }, client));
  return {
    stop: async () => {
      stopped = true;
      await clients;
      agent.destroy();
      return { answered, failures };
    },
  };
}
