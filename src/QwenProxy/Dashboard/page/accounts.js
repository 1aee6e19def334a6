// The part Accounts: the one state of each, its windows, breakers and cooldowns, and what can be done with it.
import { share } from './chart.js';
import { ask, byId, confirmed, count, dialog, make, moment, scrolls, show, span, table, whole, words } from './dom.js';

const looks = { ready: 'good', cooling: 'warn', 'circuit open': 'warn', disabled: 'warn', isolated: 'warn' };
let received = { at: 0, status: null };
let said = () => {};
let nextModels = 0;

export function begin(section, tell) {
  said = tell;
  section.append(
    make('h2', '', 'Accounts'),
    make('div', { id: 'account-cards', class: 'cards' }),
    make('h2', '', 'Models'),
    make('div', { id: 'models' }));
}

export async function enter() {
  if (performance.now() < nextModels) return;
  try {
    const { models, limits } = await ask('/admin/models');
    nextModels = performance.now() + 300000;
    show(byId('models'), models, () => (models.length ? scrolls('Models on offer', table('Models on offer', [
      ['Model', (m) => m.id, 'wide'],
      ['Context', (m) => (m.contextLength ? whole(m.contextLength) : '–'), 'number'],
      ['Longest answer', (m) => (m.maxOutputTokens ? whole(m.maxOutputTokens) : '–'), 'number'],
      ['Goes to', (m) => m.routes.join(', ') || '–', 'wide'],
      ['Learned limit', (m) => limits.filter((l) => l.model === m.id && l.maxOutputTokens).map((l) => `${l.account}: ${whole(l.maxOutputTokens)}`).join(', ') || '–'],
    ], models)) : make('p', 'soft', 'No model is on offer.')));
  } catch (failure) {
    said(failure.message);
  }
}

export function update(status) {
  received = { at: performance.now(), status };
  // Times that run down are told by the minute or the ten seconds: a card is drawn anew only when it says something else.
  show(byId('account-cards'), [status.accounts.map(({ cooldowns, breakers, ...rest }) => [rest, cooldowns.map((c) => [c, Math.ceil(c.seconds / 10)].join()), breakers]), status.time.slice(0, 16)],
    () => (status.accounts.length ? status.accounts.map(card) : make('p', 'soft', 'No account is configured. Run ', make('code', '', 'qwen-proxy login'), ', or set a key as the README says.')));
}

function card(a) {
  const look = looks[a.state] ?? 'bad';
  const left = a.tokenExpires ? new Date(a.tokenExpires) - new Date(received.status.time) : 0;
  const button = (command, text) => make('button', { type: 'button', 'data-command': command, 'aria-label': `${text}: ${a.name}`, onclick: () => run(a, command) }, text);
  return make('article', { class: 'card', 'data-account': a.name, 'aria-label': `Account ${a.name}` },
    make('div', 'head', make('h3', '', a.name), make('strong', look, a.says)),
    make('p', 'soft', [a.kind, a.profile, a.host].filter(Boolean).join(' · ')),
    make('p', 'soft', `priority ${a.priority} · ${a.running} running${a.atOnce ? ` of ${a.atOnce} at once` : ''}`),
    a.tokenExpires ? make('p', left > 0 ? 'soft' : 'warn', left > 0 ? `token expires in ${span(left)}` : `token expired ${span(-left)} ago`) : null,
    a.why ? make('p', look === 'good' ? 'soft' : look, a.why) : null,
    a.quota ? plan(a.quota) : null,
    a.breakers.filter((b) => b.model !== '*' && (b.state !== 'Closed' || b.failures > 0)).map((b) => make('p', b.state === 'Closed' ? 'soft' : 'warn',
      `breaker of ${b.model}: ${words(b.state)}, ${count(b.failures, 'failure')} in a row${b.probeInSeconds ? `, next try in ${span(b.probeInSeconds * 1000)}` : ''}`)),
    a.cooldowns.map((c) => make('p', 'warn', `${c.model === '*' ? 'all models' : c.model}: ${words(c.kind)}, ${span(c.seconds * 1000)} left`)),
    a.state === 'disabled' ? null : make('p', 'buttons',
      a.state === 'isolated' ? button('resume', 'Resume') : button('isolate', 'Isolate'), button('reset', 'Reset'), button('probe', 'Ask it now')));
}

/** The windows of the account's plan: what is used, what is left, when that ends, and whether it lasts at this pace. */
function plan(quota) {
  const kept = quota.reserve ? `${quota.reserve.percent} % kept for ${[...quota.reserve.clients, quota.reserve.priority === null ? '' : `priority ${quota.reserve.priority}`].filter(Boolean).join(', ') || 'nobody'}` : '';
  return make('div', '',
    make('p', 'soft', [quota.plan ? `plan ${quota.plan}` : '', kept].filter(Boolean).join(' · ')),
    make('ul', 'windows', quota.windows.map(windowOf)));
}

function windowOf(w) {
  const name = `${w.window}${w.model ? ` of ${w.model}` : ''}`;
  const used = w.used === null ? '' : w.limit === null ? `${whole(w.used)} ${w.counts} used` : `${whole(w.used)} of ${whole(w.limit)} ${w.counts}, ${whole(w.left)} left`;
  const runsOut = w.runsOut && (!w.resets || w.slides || w.runsOut < w.resets) ? `at this pace used up ${moment(w.runsOut)}` : '';
  const text = [used, w.resets ? `${w.slides ? 'less from' : 'new'} ${moment(w.resets)}` : '', runsOut].filter(Boolean).join('; ');
  const look = { warning: 'warn', critical: 'bad', 'used up': 'bad' }[w.level] ?? '';
  return make('li', '', make('span', look, `${name}${w.percent === null ? '' : `: ${w.percent} %`}`),
    w.percent === null ? null : share(w.percent / 100, runsOut ? 1 : 0, w.reservedFrom && w.limit ? w.reservedFrom / w.limit : null, `${name}: ${text}`), make('small', '', text));
}

const questions = {
  isolate: ['Isolate', 'No request goes to this account until it is resumed or reset. Requests that run there go on.'],
  resume: ['Resume', 'Requests may go to this account again. What else holds it back stays.'],
  reset: ['Reset', 'Everything held against this account is forgotten: breakers, cooldowns, learned limits, an isolation.'],
  probe: ['Ask it now', 'One small request is sent to this account, whatever holds it back; it counts in its plan. When it answers, its breakers and cooldowns are forgotten.'],
};

async function run(account, command) {
  const [title, text] = questions[command];
  if (!(await confirmed(`${title}: ${account.name}`, text, title))) return;
  try {
    const answer = await ask(`/admin/accounts/${encodeURIComponent(account.name)}/${command}`, { method: 'POST' });
    if (command === 'probe') await tellProbe(answer);
    else update(answer);
  } catch (failure) {
    said(failure.message);
  }
}

function tellProbe(p) {
  const close = (end) => make('p', 'buttons', make('button', { type: 'button', class: 'main', onclick: () => end(true) }, 'Close'));
  return dialog(`${p.account} ${p.answered ? 'answers' : 'does not answer'}`, (end) => [
    make('p', { class: p.answered ? 'good' : 'bad', id: 'probe-result' }, p.answered ? `${p.model} began to answer after ${span(p.tookMs)}.` : `${p.status} ${words(p.end)} after ${span(p.tookMs)}: ${p.reason}`),
    p.fix ? make('p', '', p.fix) : null,
    close(end),
  ].filter(Boolean));
}
