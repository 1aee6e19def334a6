// The part Usage: sums over time as pictures and tables, how quick answers were, and what repair, resume and further attempts have saved.
import { bars, lines } from './chart.js';
import { ask, byId, choice, compact, count, dollars, make, percent, scrolls, show, span, table, whole } from './dom.js';

const hourMs = 3600000;
const periods = { '24h': ['Last 24 hours, by hour', 'hour', 24], '3d': ['Last 3 days, by hour', 'hour', 72], '14d': ['Last 14 days, by day', 'day', 14], '90d': ['Last 90 days, by day', 'day', 90] };
const groupings = [['model', 'Model'], ['account', 'Account'], ['client', 'Client'], ['dialect', 'Dialect']];
const measures = {
  requests: ['Requests', (u) => u.requests, whole],
  failed: ['Failed requests', (u) => u.failed, whole],
  input: ['Input tokens', (u) => u.inputTokens, compact],
  output: ['Output tokens', (u) => u.outputTokens, compact],
  cost: ['Cost at list prices', (u) => u.estimatedUsd ?? 0, (n) => dollars(n)],
  cache: ['Input tokens from the cache', null, percent],
};
const mostGroups = 5;
const view = { since: '24h', by: 'model', measure: 'requests', model: '' };
let serverTime = () => new Date().toISOString();
let turn = 0;
let timer = 0;

export function begin(section, time) {
  serverTime = time;
  section.append(
    make('h2', '', 'Usage'),
    make('form', { class: 'filters', onsubmit: (e) => e.preventDefault() },
      choice('From', Object.entries(periods).map(([key, [text]]) => [key, text]), view.since, (v) => change('since', v)),
      choice('Show', Object.entries(measures).map(([key, [text]]) => [key, text]), view.measure, (v) => change('measure', v)),
      choice('By', groupings, view.by, (v) => change('by', v)),
      make('a', { id: 'csv', class: 'button', download: true, href: '#usage' }, 'Save as CSV')),
    make('p', { id: 'usage-note', class: 'soft', role: 'status' }),
    make('div', { id: 'saved', class: 'tiles' }),
    make('div', { id: 'usage-picture' }),
    make('div', { id: 'usage-sums' }),
    make('h2', '', 'How quick'),
    make('form', { class: 'filters', onsubmit: (e) => e.preventDefault() }, make('label', '', 'Model', make('select', { id: 'latency-model', onchange: (e) => change('model', e.target.value) }))),
    make('div', { id: 'latency', class: 'pictures' }));
}

export function enter() {
  clearTimeout(timer);
  load();
}

/** Something has ended: the sums are asked for again, but not for each request by itself. */
export function stale() {
  clearTimeout(timer);
  timer = setTimeout(load, 15000);
}

export const leave = () => clearTimeout(timer);

function change(name, value) {
  view[name] = value;
  load();
}

async function load() {
  const mine = ++turn;
  const [, by] = periods[view.since];
  byId('csv').href = `/admin/usage?since=${view.since}&by=${by},${view.by}&format=csv`;
  const latency = new URLSearchParams({ since: view.since, by });
  if (view.model) latency.set('model', view.model);
  try {
    const [usage, all, quick] = await Promise.all([
      ask(`/admin/usage?since=${view.since}&by=${by},${view.by}`), ask(`/admin/usage?since=${view.since}&by=model`), ask(`/admin/latency?${latency}`),
    ]);
    if (mine !== turn) return;
    byId('usage-note').textContent = usage.source === 'recent' ? 'No ledger is kept: only the last 200 requests count.' : '';
    drawSaved(usage.total);
    drawUsage(usage, by);
    drawModels(all.usage.map((u) => u.model).filter((m) => m !== '-'));
    drawLatency(quick, by);
  } catch (failure) {
    if (mine === turn) byId('usage-note').textContent = failure.message;
  }
}

function drawSaved(total) {
  const saved = [
    ['repaired', total.repaired, 'answers mended by repair'],
    ['resumed', total.resumed, 'answers that broke and were resumed'],
    ['retried', total.retried, 'answered by another attempt'],
    ['failed', total.failed, `failed of ${count(total.requests, 'request')}`],
  ];
  show(byId('saved'), saved, () => saved.map(([name, n, text]) => make('div', 'card', make('strong', { 'data-saved': name }, whole(n)), make('span', 'soft', text))));
}

function drawUsage(usage, by) {
  const [title, of, format] = measures[view.measure];
  const labels = labelsOf(by, usage.usage.map((u) => u[by]));
  const name = groupings.find(([key]) => key === view.by)[1].toLowerCase();
  const sums = groupsOf(usage.usage, view.by);
  const groups = sums.slice(0, mostGroups).map((g) => g.name);
  const parts = [...groups.map((g) => [g, usage.usage.filter((u) => u[view.by] === g)])];
  if (sums.length > mostGroups) parts.push(['others', usage.usage.filter((u) => !groups.includes(u[view.by]))]);
  const at = (list) => labels.map((label) => list.filter((u) => u[by] === label));
  const series = parts.map(([group, list]) => ({ name: group, values: at(list).map((these) => (of ? these.reduce((n, u) => n + of(u), 0) : rate(these))) }));
  show(byId('usage-picture'), [view, series, labels], () => (of ? bars : lines)(`${title} by ${by} and ${name}`, labels, series, format));
  show(byId('usage-sums'), [view.by, sums], () => scrolls(`Sums by ${name}`, table(`Sums by ${name}`, [
    [groupings.find(([key]) => key === view.by)[1], (g) => g.name, 'wide'],
    ['Requests', (g) => whole(g.requests), 'number'],
    ['Failed', (g) => whole(g.failed), 'number'],
    ['Input', (g) => compact(g.inputTokens), 'number'],
    ['From cache', (g) => (g.inputTokens ? percent(g.cachedTokens / g.inputTokens) : '–'), 'number'],
    ['Output', (g) => compact(g.outputTokens), 'number'],
    ['Cost', (g) => dollars(g.estimatedUsd), 'number'],
  ], [...sums, { ...usage.total, name: 'all' }])));
}

function rate(list) {
  const input = list.reduce((n, u) => n + u.inputTokens, 0);
  return input ? list.reduce((n, u) => n + u.cachedTokens, 0) / input : null;
}

/** One sum for each value of the key, the most requests first. */
function groupsOf(list, key) {
  const groups = new Map();
  for (const u of list) {
    const sum = groups.get(u[key]) ?? { name: u[key], requests: 0, failed: 0, inputTokens: 0, cachedTokens: 0, outputTokens: 0, estimatedUsd: null };
    for (const name of ['requests', 'failed', 'inputTokens', 'cachedTokens', 'outputTokens']) sum[name] += u[name];
    if (u.estimatedUsd !== null) sum.estimatedUsd = (sum.estimatedUsd ?? 0) + u.estimatedUsd;
    groups.set(u[key], sum);
  }
  return [...groups.values()].sort((a, b) => b.requests - a.requests);
}

function drawModels(models) {
  const known = [...new Set([...models, view.model])].filter(Boolean).sort();
  show(byId('latency-model'), known, () => [make('option', { value: '' }, 'All'), ...known.map((m) => make('option', { value: m, selected: m === view.model }, m))]);
}

function drawLatency(quick, by) {
  const labels = labelsOf(by, quick.latency.map((l) => l[by]));
  const at = new Map(quick.latency.map((l) => [l[by], l]));
  const series = (measure, marks) => marks.map(([mark, name]) => ({ name, values: labels.map((label) => at.get(label)?.[measure]?.[mark] ?? null) }));
  const times = [['p50', 'half are quicker than'], ['p95', '95 % are quicker than'], ['p99', '99 % are quicker than']];
  const pictures = [
    ['Time to the first byte', series('first', times), span], ['Time of the whole answer', series('whole', times), span],
    ['Tokens per second', series('speed', [['p50', 'half are quicker than'], ['p5', '95 % are quicker than']]), compact],
  ];
  show(byId('latency'), [pictures, labels], () => pictures.map(([title, groups, format]) => lines(title, labels, groups, format)));
}

/** Every hour or day of the period by the proxy's clock, those without requests too. */
function labelsOf(by, found) {
  const now = serverTime();
  const offset = /([+-])(\d\d):(\d\d)$/.exec(now);
  const minutes = offset ? Number(`${offset[1]}1`) * (Number(offset[2]) * 60 + Number(offset[3])) : 0;
  const local = Date.parse(now) + minutes * 60000;
  const length = by === 'hour' ? hourMs : 24 * hourMs;
  const all = Array.from({ length: periods[view.since][2] }, (_, back) => new Date(local - back * length).toISOString());
  return [...new Set([...all.map((t) => (by === 'hour' ? `${t.slice(0, 10)} ${t.slice(11, 13)}:00` : t.slice(0, 10))), ...found])].sort();
}
