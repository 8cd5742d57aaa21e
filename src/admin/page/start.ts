/**
 * The browser paints first what stands in index.html outside of its templates: the head, the sentence, the figures. The
 * rest of the page and its script come after that, so that they cost the first paint nothing.
 */

/** The rest of the page's code, which the bundler puts in. */
declare const MAIN: string;

/** For a tab that nobody sees: it is not painted, and still has a title. ms */
const unseen = 1_000;

let begun = false;

function begin(): void {
  if (begun) return;
  begun = true;
  const state = document.createElement('link');
  Object.assign(state, { rel: 'preload', as: 'fetch', href: 'api/state', crossOrigin: 'anonymous' });
  document.head.append(state);
  for (const template of document.querySelectorAll('template')) template.replaceWith(template.content);
  // What the address points to was not there when the browser looked for it.
  if (location.hash !== '') document.getElementById(location.hash.slice(1))?.scrollIntoView();
  void import(MAIN);
}

new PerformanceObserver(begin).observe({ type: 'paint', buffered: true });
setTimeout(begin, unseen);
