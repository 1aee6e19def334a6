// The part Keys: whose keys there are, what each may take and has taken; new ones, renewed ones and ended ones.
import { ask, byId, compact, confirmed, copyable, dialog, dollars, make, moment, scrolls, show, table, whole } from './dom.js';

const fields = [
  ['name', 'Name', { required: true, pattern: '[A-Za-z0-9._\\-]{1,64}', title: 'Letters, digits, - _ and .' }],
  ['models', 'Models', { placeholder: 'all; or qwen3.7-*, qwen3.6-plus' }],
  ['expires', 'Ends', { placeholder: 'never; or 30d, 2027-01-31' }],
  ['requestsPerMinute', 'Requests per minute', { inputmode: 'numeric', placeholder: 'any' }],
  ['concurrent', 'Requests at once', { inputmode: 'numeric', placeholder: 'any' }],
  ['tokensPerDay', 'Tokens per day', { inputmode: 'numeric', placeholder: 'any' }],
  ['usdPerMonth', 'US dollars per month', { inputmode: 'decimal', placeholder: 'any' }],
  ['priority', 'Priority', { inputmode: 'numeric', placeholder: '0; lower is taken first' }],
];
let timer = 0;

export function begin(section) {
  section.append(
    make('h2', '', 'Keys of clients'),
    make('p', { id: 'keys-note', class: 'soft', role: 'status' }),
    make('div', { id: 'key-list' }),
    make('h2', '', 'New key'),
    make('form', { id: 'new-key', class: 'filters', onsubmit: add },
      fields.map(([name, label, more]) => make('label', '', label, make('input', { name, autocomplete: 'off', ...more }))),
      make('button', 'main', 'Make a key')));
}

export function enter() {
  load();
  clearInterval(timer);
  timer = setInterval(load, 10000);
}

export const leave = () => clearInterval(timer);

async function load() {
  try {
    const { keys, kept } = await ask('/admin/keys');
    byId('keys-note').textContent = kept ? (keys.length ? '' : 'There is no key: whoever reaches this proxy may ask. With the first key that is made every client must show one.') : 'This proxy keeps no data, so it keeps no keys.';
    show(byId('key-list'), keys, () => (keys.length ? scrolls('Keys of clients', table('Keys of clients', [
      ['Client', (k) => [k.name, k.admin ? 'admin' : '']],
      ['Key', (k) => (k.prefix ? make('code', '', `${k.prefix}…`) : '–')],
      ['State', (k) => [make('span', k.state === 'valid' || !k.stored ? 'good' : 'warn', k.state), k.expires ? `ends ${moment(k.expires)}` : '']],
      ['Models', (k) => (k.models ? k.models.join(', ') : 'all'), 'wide'],
      ['Requests', (k) => [`${k.running} running${k.concurrent ? ` of ${k.concurrent}` : ''}`, k.requestsPerMinute ? `${k.requestsLeft} of ${k.requestsPerMinute} left this minute` : '']],
      ['Tokens today', (k) => [compact(k.tokensToday), k.tokensPerDay ? `of ${compact(k.tokensPerDay)}` : ''], 'number'],
      ['This month', (k) => [dollars(k.usdThisMonth), k.usdPerMonth ? `of ${dollars(k.usdPerMonth)}` : ''], 'number'],
      ['Last seen', (k) => (k.lastSeen ? moment(k.lastSeen) : 'never')],
      ['Change', (k) => (k.stored && k.state === 'valid' ? [make('span', 'buttons', button(k, 'rotate', 'Rotate'), button(k, 'revoke', 'Revoke'))] : '–')],
    ], keys)) : []));
  } catch (failure) {
    byId('keys-note').textContent = failure.message;
  }
}

const button = (key, command, text) => make('button', { type: 'button', 'data-command': command, 'aria-label': `${text} the key of ${key.name}`, onclick: () => (command === 'rotate' ? rotate(key.name) : revoke(key.name)) }, text);

async function add(event) {
  event.preventDefault();
  const form = event.target;
  const body = {};
  for (const [name] of fields) {
    const value = form.elements[name].value.trim();
    if (value) body[name] = name === 'models' ? value.split(',').map((m) => m.trim()).filter(Boolean) : value;
  }
  if (await change('', body)) form.reset();
}

async function rotate(name) {
  const yes = await confirmed(`Rotate the key of ${name}`, 'A new key is made. The old one goes on working for a day.', 'Rotate');
  if (yes) await change(`/${encodeURIComponent(name)}/rotate`, {});
}

async function revoke(name) {
  const yes = await confirmed(`Revoke the key of ${name}`, 'The key works no more, within a second. Requests that run go on.', 'Revoke');
  if (yes) await change(`/${encodeURIComponent(name)}/revoke`, {});
}

/** Carries a change out, and shows a key that it made. True when it was carried out. */
async function change(path, body) {
  try {
    const made = await ask(`/admin/keys${path}`, { method: 'POST', body });
    if (made.key) await tell(made);
    // The proxy takes the change up by itself, within half a second.
    setTimeout(load, 600);
    return true;
  } catch (failure) {
    byId('keys-note').textContent = failure.message;
    return false;
  }
}

function tell(made) {
  const limits = [made.tokensPerDay ? `${whole(made.tokensPerDay)} tokens a day` : '', made.expires ? `until ${moment(made.expires)}` : ''].filter(Boolean).join(', ');
  return dialog(`The key of ${made.name}`, (close) => [
    make('p', '', `Copy it now: it is shown this once and kept nowhere.${limits ? ` It is for ${limits}.` : ''}`),
    copyable(made.key),
    made.oldUntil ? make('p', 'soft', `The old key works until ${moment(made.oldUntil)}.`) : '',
    make('p', 'buttons', make('button', { type: 'button', class: 'main', onclick: () => close(true) }, 'Close')),
  ]);
}
