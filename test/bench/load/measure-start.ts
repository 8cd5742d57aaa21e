import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openNotifySocket } from '../../support/notify-socket.js';
import { orderOf } from './contenders.js';
import type { Figure, Samples } from './samples.js';
import { startService } from './service.js';

const ready: Figure = {
  name: 'exec to two workers that listen',
  unit: 'ms',
  digits: 0,
  target: { text: 'ratio <= 1.20', met: (_, { median }) => median <= 1.2 },
};

/** One start of each before the first that counts, for the page cache. */
export async function measureStart(samples: Samples, starts: number): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'rom-agent-bench-'));
  const notify = await openNotifySocket(join(dir, 'notify'));
  for (let round = -1; round < starts; round += 1) {
    for (const contender of orderOf(round + 1)) {
      const service = await startService(contender, { notify });
      await service.stop();
      if (round >= 0) samples.add(ready, contender, service.tookToReady);
    }
  }
  notify.close();
  rmSync(dir, { recursive: true, force: true });
  process.stderr.write(`starts: ${starts}\n`);
}
