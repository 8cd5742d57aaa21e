import type { AdminState } from './api.js';
import { icons, sentenceOf } from './page/sentence.js';
import { Store } from './page/store.js';

/**
 * The page with what is known of the service already in its first sentence, so that the browser paints that before it has run
 * any script. Where nothing is known it says what index.html says.
 */
export function firstLook(html: string, state: AdminState): string {
  if (state.stats === null) return html;
  const store = new Store();
  store.begin(state);
  store.link = 'live';
  const { severity, headline, detail, title } = sentenceOf(store.situation(), store.name);
  const places: readonly (readonly [RegExp, string])[] = [
    [/(?<=<title>)[^<]*/, title],
    [/(?<=<strong id="name">)[^<]*/, store.name],
    [/(?<=<section id="hero" class="hero" data-severity=")[^"]*/, severity],
    [/(?<=<span id="hero-icon"[^>]*>)[^<]*/, icons[severity]],
    [/(?<=<h1 id="headline">)[^<]*/, headline],
    [/(?<=<p id="hero-detail">)[^<]*/, detail ?? '\u00a0'],
  ];
  return places.reduce((page, [place, text]) => page.replace(place, () => escaped(text)), html);
}

/** Much of it comes from the app: an error's message, a path. */
function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
