import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { repoRoot } from '../../support/process.js';

/** The first block in that language on each page is the shipped file, to the letter. */
const shown = [
  { page: 'docs/how-to/nginx.md', language: 'nginx', file: 'packaging/nginx/rom-agent.conf' },
  { page: 'docs/how-to/haproxy.md', language: 'haproxy', file: 'packaging/haproxy/haproxy.cfg' },
  { page: 'docs/how-to/containers.md', language: 'dockerfile', file: 'packaging/container/app.Dockerfile' },
  { page: 'docs/how-to/containers.md', language: 'yaml', file: 'packaging/container/compose.yaml' },
  { page: 'docs/how-to/prometheus.md', language: 'yaml', file: 'packaging/prometheus/prometheus.yml' },
  {
    page: 'docs/how-to/containers.md',
    language: 'yaml kubernetes',
    file: 'packaging/kubernetes/deployment.yaml',
  },
];

for (const { page, language, file } of shown) {
  test(`${page} shows ${file} as it is shipped`, () => {
    const path = join(repoRoot, page);
    const text = readFileSync(path, 'utf8');
    const expected = withBlock(text, { language, content: readFileSync(join(repoRoot, file), 'utf8') });
    if (process.env.UPDATE_DOCS === '1') writeFileSync(path, expected);
    else assert.equal(text, expected, 'run the tests with UPDATE_DOCS=1 to write it anew');
  });
}

function withBlock(text: string, { language, content }: { language: string; content: string }): string {
  const block = new RegExp(`\`\`\`${language}\\n[\\s\\S]*?\`\`\`\\n`);
  assert.match(text, block);
  return text.replace(block, () => `\`\`\`${language}\n${content}\`\`\`\n`);
}
