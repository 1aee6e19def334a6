// The part Requests: what runs, and what ended, with filters; a row opens to what happened on the way.
import { ask, byId, bytes, choice, compact, copyable, count, dollars, make, moment, scrolls, show, span, table } from './dom.js';
import { timeline } from './timeline.js';

const most = 400;
const which = [['', 'All'], ['failed', 'Failed'], ['repaired', 'Repaired'], ['resumed', 'Resumed'], ['slow', 'Slow (10 s to the first byte)']];
const periods = [['1h', 'Last hour'], ['24h', 'Last 24 hours'], ['7d', 'Last 7 days'], ['30d', 'Last 30 days'], ['', 'All there is']];
const dialects = [['', 'All'], ['openai.chat', 'Chat'], ['anthropic.messages', 'Messages'], ['openai.responses', 'Responses']];
const filter = { which: '', since: '24h', model: '', account: '', client: '', dialect: '', id: '' };
const seen = { model: new Set(), account: new Set(), client: new Set() };
const open = new Set();
let place;
let rows = [];
let complete = false;
let source = 'ledger';
let asking = 0;
let fault = '';

export function begin(section) {
  const text = (name, label) => make('label', '', label, make('input', { list: `known-${name}`, value: filter[name], autocomplete: 'off', onchange: (e) => change(name, e.target.value.trim()) }),
    make('datalist', { id: `known-${name}` }));
  const search = make('input', { id: 'search', type: 'search', placeholder: 'req_…', autocomplete: 'off' });
  section.append(
    make('h2', '', 'Running'),
    make('div', { id: 'running' }),
    make('h2', '', 'Ended'),
    make('form', { class: 'filters', onsubmit: (e) => { e.preventDefault(); change('id', search.value.trim()); } },
      choice('Show', which, filter.which, (v) => change('which', v)),
      choice('From', periods, filter.since, (v) => change('since', v)),
      text('model', 'Model'), text('account', 'Account'), text('client', 'Client'),
      choice('Dialect', dialects, filter.dialect, (v) => change('dialect', v)),
      make('label', '', 'Request id', search),
      make('button', '', 'Find')),
    make('p', { id: 'found', class: 'soft', role: 'status' }),
    make('div', { id: 'ended' }));
  place = section;
}

/** The part has come into view, or what is shown may be out of date. */
export const enter = () => load();

export function running(list) {
  show(byId('running'), list, () => (!list.length ? make('p', 'soft', 'Nothing is running.') : scrolls('Running requests', table('Running requests', [
    ['For', (x) => span(x.durationMs), 'number'],
    ['Model', modelOf, 'wide'],
    ['Account', (x) => x.account ?? '–'],
    ['Client', (x) => x.client ?? '–'],
    ['State', (x) => (x.answering ? 'answering' : 'waits for the first byte')],
    ['Attempts', (x) => [`${x.attempts}`, x.resumes ? count(x.resumes, 'resume') : '']],
    ['Sent', (x) => bytes(x.responseBytes), 'number'],
    ['Request', (x) => [make('code', '', x.requestId), x.path]],
  ], list))));
}

/** Requests that have ended just now, newest first: those that fit are put on top, without asking for the list again. */
export function ended(list) {
  const known = new Set(rows.map((r) => r.requestId));
  const fresh = list.filter((r) => fits(r) && !known.has(r.requestId));
  if (!fresh.length || asking) return;
  rows = [...fresh, ...rows].slice(0, most);
  redraw();
}

async function load(older = false) {
  const turn = ++asking;
  const query = new URLSearchParams({ limit: '100' });
  if (filter.which === 'slow') query.set('slow', '10');
  else if (filter.which) query.set(filter.which, 'true');
  for (const name of ['model', 'account', 'client', 'dialect', 'id']) if (filter[name]) query.set(name, filter[name]);
  if (filter.since && !filter.id) query.set('since', filter.since);
  if (older) query.set('until', rows.at(-1).time);
  try {
    const list = await ask(`/admin/requests?${query}`);
    if (turn !== asking) return;
    fault = '';
    source = list.source;
    complete = list.requests.length < 100;
    rows = older ? [...rows, ...list.requests] : list.requests;
    if (filter.id && rows.length === 1) open.add(rows[0].requestId);
  } catch (failure) {
    if (turn !== asking) return;
    fault = failure.message;
  }
  asking = 0;
  redraw();
}

function change(name, value) {
  filter[name] = value;
  load();
}

function redraw() {
  for (const row of rows) {
    seen.model.add(row.served ?? row.model);
    if (row.account) seen.account.add(row.account);
    if (row.client) seen.client.add(row.client);
  }
  for (const [name, values] of Object.entries(seen)) show(byId(`known-${name}`), [...values], () => [...values].sort().map((value) => make('option', { value })));
  const nothing = !rows.length && !Object.entries(filter).some(([name, value]) => value && name !== 'since');
  byId('found').textContent = fault || (nothing ? '' : rows.length ? `${count(rows.length, 'request')}${complete ? '' : ', and there are more'}${source === 'recent' ? ', of the last 200; no ledger is kept' : ''}` : 'No request fits.');
  show(byId('ended'), [rows, [...open], nothing], () => (nothing ? empty() : rows.length ? [list(), complete ? null : more()].filter(Boolean) : []));
}

const more = () => make('p', '', make('button', { type: 'button', onclick: () => load(true) }, 'Older ones'));

function list() {
  return scrolls('Requests that ended', table('Requests that ended', [
    ['Ended', (r) => opener(r)],
    ['Result', (r) => [make('span', r.end === 'complete' ? 'good' : r.end === 'client_gone' ? 'warn' : 'bad', `${r.status} ${r.end.replaceAll('_', ' ')}`), marks(r)], 'wide'],
    ['Model', modelOf, 'wide'],
    ['Account', (r) => r.account ?? '–'],
    ['Client', (r) => r.client ?? '–'],
    ['First byte', (r) => span(r.ttfbMs), 'number'],
    ['Took', (r) => span(r.durationMs), 'number'],
    ['Tokens', (r) => (r.inputTokens === undefined ? '–' : [`${compact(r.inputTokens)} in`, `${compact(r.outputTokens)} out`]), 'number'],
    ['Cost', (r) => dollars(r.estimatedUsd), 'number'],
  ], rows, { below: (r) => (open.has(r.requestId) ? timeline(r) : null) }));
}

function opener(row) {
  const isOpen = open.has(row.requestId);
  return make('button', { type: 'button', class: 'open', 'aria-expanded': `${isOpen}`, 'data-id': row.requestId, 'aria-label': `${moment(row.time)}, request ${row.requestId}`, onclick: toggle }, moment(row.time));
  function toggle() {
    if (!open.delete(row.requestId)) open.add(row.requestId);
    redraw();
    place.querySelector(`button[data-id="${CSS.escape(row.requestId)}"]`)?.focus();
  }
}

function marks(row) {
  return [row.repaired ? 'repaired' : '', row.resumes ? 'resumed' : '', row.tried && row.end === 'complete' && !row.resumes ? 'another attempt' : ''].filter(Boolean).join(', ');
}

function modelOf(row) {
  return [row.model || '–', row.served && row.served !== row.model ? `served by ${row.served}` : ''];
}

function fits(row) {
  if (filter.which === 'failed' && row.end === 'complete') return false;
  if (filter.which === 'repaired' && !row.repaired) return false;
  if (filter.which === 'resumed' && !row.resumes) return false;
  if (filter.which === 'slow' && (row.ttfbMs ?? row.durationMs) < 10000) return false;
  if (filter.model && row.model !== filter.model && row.served !== filter.model) return false;
  return ['account', 'client', 'dialect'].every((name) => !filter[name] || row[name] === filter[name]) && (!filter.id || row.requestId === filter.id);
}

function empty() {
  const base = `${location.origin}/v1`;
  return make('div', 'card', make('h3', '', 'No request has come yet'),
    make('p', '', 'Put a coding agent on this proxy, point any OpenAI client at it, or try it from a terminal:'),
    copyable('qwen-proxy setup claude-code'),
    copyable(`export OPENAI_BASE_URL=${base} OPENAI_API_KEY=any`),
    copyable(`curl ${base}/chat/completions -H 'content-type: application/json' -d '{"model":"qwen3.7-plus","messages":[{"role":"user","content":"Hello"}]}'`));
}
