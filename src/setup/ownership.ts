import { createHash } from 'node:crypto';

/** Whose a file is: written by `install` and as it was then, written and edited since, or somebody else's. */
export type Ownership = 'ours' | 'edited' | 'foreign';

/** How a file says what is no content. */
export type CommentStyle = 'hash' | 'xml';

const mark = 'Written by rom-agent install';

/**
 * The text with a line at its top that says who wrote it, with a checksum of the rest: `uninstall` removes what is as it
 * was written, and keeps what an administrator has changed. In XML the line follows the declarations.
 */
export function signed(text: string, style: CommentStyle = 'hash'): string {
  const line = `${mark}; what is changed here is kept by rom-agent uninstall. Checksum ${checksum(text)}`;
  if (style === 'hash') return `# ${line}\n${text}`;
  const at = text.indexOf('<plist');
  return `${text.slice(0, at)}<!-- ${line} -->\n${text.slice(at)}`;
}

export function ownershipOf(text: string): Ownership {
  const line = new RegExp(`^(?:# |<!-- )${mark}; .* Checksum ([0-9a-f]{12})(?: -->)?\\n`, 'm');
  const found = line.exec(text);
  if (found === null) return 'foreign';
  return checksum(text.replace(found[0], '')) === found[1] ? 'ours' : 'edited';
}

function checksum(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}
