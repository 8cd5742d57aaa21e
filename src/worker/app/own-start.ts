import { readFileSync } from 'node:fs';

/** What the text of the app's file says about how it starts. A bundle or a comment may mislead: it decides waiting only. */
export interface OwnStart {
  /** It asks whether it is the main module, or calls what it exports: as the main module it has started itself already. */
  readonly startsItself: boolean;
  /** It calls `listen()` somewhere. */
  readonly listens: boolean;
}

const asksForMain =
  /\brequire\.main\b|\bimport\.meta\.main\b|\bmodule\.parent\b|\bprocess\.mainModule\b|\bprocess\.argv\s*(?:\?\.)?\[\s*1\s*\]/;
const callsListen = /\.listen\s*\(/;
/** A larger file is a bundle of everything, and says nothing. Bytes */
const largest = 8 * 2 ** 20;

/** @param name of the function that the app exports; empty: it has none */
export function ownStart(file: string, name: string, read = readText): OwnStart {
  const text = read(file);
  return { startsItself: asksForMain.test(text) || calls(text, name), listens: callsListen.test(text) };
}

function calls(text: string, name: string): boolean {
  if (!/^[A-Za-z_$][\w$]*$/.test(name) || name === 'default') return false;
  const call = new RegExp(`(?<![\\w$.])${name.replaceAll('$', '\\$')}\\s*\\(`, 'g');
  const definition = /\bfunction\s*\*?\s*$/;
  return [...text.matchAll(call)].some(
    ({ index }) => !definition.test(text.slice(Math.max(0, index - 40), index)),
  );
}

function readText(file: string): string {
  try {
    const text = readFileSync(file, 'utf8');
    return text.length > largest ? '' : text;
  } catch {
    return '';
  }
}
