/**
 * The words of a command line, as a shell would take them apart: at spaces, but not within quotes; a backslash stands
 * for the character behind it, but not within single quotes. Null where a quote is not closed.
 */
export function splitWords(text: string): readonly string[] | null {
  const words: string[] = [];
  let rest = text.trimStart();
  while (rest !== '') {
    const word = /^(?:[^\s'"\\]|\\[\s\S]|'[^']*'|"(?:[^"\\]|\\[\s\S])*")+(?=\s|$)/.exec(rest)?.[0];
    if (word === undefined) return null;
    words.push(unquoted(word));
    rest = rest.slice(word.length).trimStart();
  }
  return words;
}

/** The way back. */
export function joinWords(words: readonly string[]): string {
  return words
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`))
    .join(' ');
}

function unquoted(word: string): string {
  return word.replaceAll(
    /'([^']*)'|"((?:[^"\\]|\\[\s\S])*)"|\\([\s\S])/g,
    (_, single, double, escaped) =>
      single ?? (double === undefined ? escaped : double.replaceAll(/\\([\s\S])/g, '$1')),
  );
}
