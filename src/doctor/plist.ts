export type PlistValue = string | boolean | Plist;
/** A dictionary; numbers are strings of digits, arrays empty strings. */
export interface Plist {
  readonly [key: string]: PlistValue;
}

/** The outer dictionary of a property list in XML, as deep as dictionaries go; null where it is none. */
export function parsePlist(text: string): Plist | null {
  const plain = text.replaceAll(/<!--[\s\S]*?-->/g, '');
  const tokens = [...plain.matchAll(/<(\/?)(\w+)[^>]*?(\/?)>([^<]*)/g)].map(
    ([, close = '', name = '', empty = '', rest = '']) => ({
      name: `${close}${name}${empty}`,
      text: decode(rest),
    }),
  );
  const start = tokens.findIndex(({ name }) => name === 'dict');
  if (!/<plist\b/.test(plain) || start === -1) return null;
  return dictionary(tokens.slice(start + 1).values());
}

interface Token {
  readonly name: string;
  readonly text: string;
}

function dictionary(tokens: IterableIterator<Token>): Plist {
  const found: Record<string, PlistValue> = {};
  let key = '';
  for (let next = tokens.next(); next.done !== true && next.value.name !== '/dict'; next = tokens.next()) {
    const { name, text } = next.value;
    if (name === 'key') key = text;
    else if (!name.startsWith('/')) found[key] = readValue(next.value, tokens);
  }
  return found;
}

function readValue({ name, text }: Token, tokens: IterableIterator<Token>): PlistValue {
  switch (name) {
    case 'dict':
      return dictionary(tokens);
    case 'true/':
    case 'false/':
      return name === 'true/';
    case 'array':
      return skipArray(tokens);
    default:
      return text;
  }
}

function skipArray(tokens: IterableIterator<Token>): '' {
  let depth = 1;
  while (depth > 0) {
    const next = tokens.next();
    if (next.done === true) return '';
    depth += { array: 1, '/array': -1 }[next.value.name] ?? 0;
  }
  return '';
}

function decode(text: string): string {
  return text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
}
