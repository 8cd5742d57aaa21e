/** The text on one line, without anything that would steer a terminal or turn a journal entry into a blob. */
export function printable(text: string): string {
  return text.replace(CONTROL, escapeControl);
}

/**
 * C0, DEL, C1, the two line separators of Unicode, and what turns the direction of writing (UAX #9), by which a text can
 * be made to look like another one.
 */
const CONTROL =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
  /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
const shortEscapes: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function escapeControl(character: string): string {
  const code = character.charCodeAt(0);
  return shortEscapes[character] ?? `\\u${code.toString(16).padStart(4, '0')}`;
}
