// What every part of the page needs: elements, tables, numbers in a person's words, questions to the admin API.

export const byId = (id) => document.getElementById(id);

/**
 * An element. Everything shown goes through here as text: nothing that a client or an upstream chose can become markup.
 * `about` is a class name, or an object of attributes and of listeners named on….
 */
export function make(tag, about, ...children) {
  return fill(document.createElement(tag), about, children);
}

export function draw(tag, attributes, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);
}

function fill(element, about, children) {
  if (typeof about === 'string') {
    if (about) element.setAttribute('class', about);
  } else {
    for (const [name, value] of Object.entries(about ?? {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
      else element.setAttribute(name, value === true ? '' : value);
    }
  }
  element.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== ''));
  return element;
}

/** Draws only what has changed, so that a selection, the focus or a scroll position survives. */
export function show(place, data, content) {
  const text = JSON.stringify(data);
  if (place.shown === text) return;
  place.shown = text;
  place.replaceChildren(...[content()].flat());
}

/**
 * A table with a head. Columns are [name, value of a row, class]; a value may be a list of what stands in the cell and what stands small below it.
 * On a narrow screen each row becomes a block, and each cell shows its column's name.
 */
export function table(caption, columns, rows, { below } = {}) {
  const head = make('tr', '', columns.map(([name, , look]) => make('th', { scope: 'col', class: look }, name)));
  const body = rows.flatMap((row) => {
    const line = make('tr', '', columns.map(([name, of, look], i) => {
      const [main, small] = [of(row)].flat();
      const cell = make(i === 0 ? 'th' : 'td', { scope: i === 0 ? 'row' : null, class: look, 'data-name': name }, main, small ? make('small', '', small) : null);
      if (!small && (main === '' || main === '–')) cell.classList.add('none');
      return cell;
    }));
    const more = below?.(row, line);
    return more ? [line, make('tr', 'below', make('td', { colspan: columns.length }, more))] : [line];
  });
  return make('table', '', make('caption', 'hidden', caption), make('thead', '', head), make('tbody', '', body));
}

/** A box that can be scrolled, also by keyboard. */
export const scrolls = (label, content) => make('div', { class: 'scroll', role: 'region', 'aria-label': label, tabindex: '0' }, content);

export function choice(label, options, value, onchange) {
  const list = make('select', { onchange: (e) => onchange(e.target.value) }, options.map(([key, text]) => make('option', { value: key, selected: key === value }, text)));
  return make('label', '', label, list);
}

export async function ask(path, { method = 'GET', body } = {}) {
  const response = await fetch(path, {
    method,
    cache: 'no-store',
    credentials: 'same-origin',
    redirect: 'error',
    headers: body === undefined ? {} : { 'content-type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (response.ok) return response.json();
  const failure = await response.json().catch(() => null);
  throw Object.assign(new Error(failure?.error?.message ?? `The proxy answered ${response.status}.`), { status: response.status });
}

/** Asks before something is done. Gives true for yes; Escape and the other button are no. */
export function confirmed(title, text, yes) {
  return dialog(title, (close) => [
    make('p', '', text),
    make('p', 'buttons', make('button', { type: 'button', class: 'main', onclick: () => close(true) }, yes), make('button', { type: 'button', onclick: () => close(false) }, 'Cancel')),
  ]);
}

/** Shows something until it is closed; `content` gets what closes it with an answer. */
export function dialog(title, content) {
  const place = byId('ask');
  return new Promise((answer) => {
    let given = false;
    const close = (value) => {
      given = value;
      place.close();
    };
    place.replaceChildren(make('h2', { id: 'ask-title' }, title), ...[content(close)].flat());
    place.onclose = () => {
      // What stood there may have been a key.
      place.replaceChildren();
      answer(given);
    };
    place.showModal();
  });
}

/** A line to copy, with a button that does it. */
export function copyable(text) {
  const button = make('button', { type: 'button', 'aria-label': `Copy: ${text}`, onclick: copy }, 'Copy');
  async function copy() {
    await navigator.clipboard.writeText(text).then(() => (button.textContent = 'Copied'), () => getSelection().selectAllChildren(code));
  }
  const code = make('code', '', text);
  return make('div', 'copy', code, navigator.clipboard ? button : null);
}

export const count = (n, one, many = `${one}s`) => `${whole(n)} ${n === 1 ? one : many}`;
export const whole = (n) => n.toLocaleString('en-GB');
export const compact = (n) => (n < 1000 ? `${+n.toFixed(n < 10 ? 1 : 0)}` : n < 1e6 ? `${(n / 1e3).toPrecision(3)}k` : n < 1e9 ? `${(n / 1e6).toPrecision(3)}M` : `${(n / 1e9).toPrecision(3)}G`);
export const bytes = (n) => (n < 1024 ? `${n} B` : n < 1048576 ? `${(n / 1024).toFixed(1)} KiB` : `${(n / 1048576).toFixed(1)} MiB`);
export const dollars = (n) => (n === null || n === undefined ? '–' : `$${n.toFixed(n < 1 ? 4 : 2)}`);
export const percent = (n) => `${(n * 100).toFixed(n > 0 && n < 0.1 ? 1 : 0)} %`;
export const words = (name) => name.replace(/([a-z])([A-Z])/g, '$1 $2').replaceAll('_', ' ').toLowerCase();
export const clock = (text) => new Date(text).toLocaleTimeString('en-GB');

/** The clock's time, with the day before it when it is another one. */
export function moment(text) {
  const time = new Date(text);
  return time.toDateString() === new Date().toDateString() ? clock(text) : `${time.toLocaleDateString('en-CA')} ${time.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' })}`;
}

export function span(ms) {
  if (ms === null || ms === undefined) return '–';
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const s = ms / 1000;
  if (s < 60) return `${s.toFixed(s < 10 ? 1 : 0)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${Math.round(s % 60)} s`;
  return s < 86400 ? `${Math.floor(s / 3600)} h ${Math.round((s % 3600) / 60)} min` : `${Math.floor(s / 86400)} d ${Math.round((s % 86400) / 3600)} h`;
}
