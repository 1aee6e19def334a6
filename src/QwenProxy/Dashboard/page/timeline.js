// One request from its acceptance to its end.
import { bytes, compact, count, dollars, draw, make, moment, span, whole, words } from './dom.js';

export function timeline(row) {
  const events = eventsOf(row);
  const end = Math.max(1, row.durationMs);
  return make('div', 'request',
    make('p', '', make('code', '', row.requestId), ` ended ${moment(row.time)}`, row.address ? `, from ${row.address}` : '', row.agent ? `, ${row.agent}` : ''),
    make('ol', 'timeline', events.map((e) => make('li', e.look ?? '', make('span', 'at', span(e.at)), make('span', 'what', e.what, e.more ? make('small', '', e.more) : null), bar(e, end)))),
    facts(row));
}

/** What the row says, in its order. Without steps the first attempt was made at once and answered. */
function eventsOf(row) {
  const events = [{ at: 0, what: 'Accepted', more: [row.path ?? row.dialect, row.client ? `client ${row.client}` : '', row.requestBytes ? bytes(row.requestBytes) : ''].filter(Boolean).join(', ') }];
  const steps = row.steps ?? (row.account ? [{ step: 'attempt', atMs: 0, tookMs: row.ttfbMs ?? row.durationMs, account: row.account, model: row.served, said: row.ttfbMs === undefined && row.end !== 'complete' ? row.end : undefined }] : []);
  let attempt = 0;
  for (const s of steps) {
    const whom = [s.account, s.model].filter(Boolean).join(', ');
    const said = s.said ? [s.status || '', words(s.said)].filter(Boolean).join(' ') : '';
    const common = { at: s.atMs, took: s.tookMs ?? 0 };
    if (s.step === 'queue') events.push({ ...common, what: `Waited ${span(common.took)} for its turn`, more: said, look: said ? 'bad' : 'warn' });
    else if (s.step === 'pause') events.push({ ...common, what: `Waited ${span(common.took)} before the next attempt`, look: 'warn' });
    else if (s.step === 'break') events.push({ ...common, what: 'The answer broke', more: [whom, said].filter(Boolean).join(': '), look: 'bad' });
    else if (s.step === 'resume') events.push({ ...common, what: 'Resumed', more: whom, look: 'good' });
    else events.push({ ...common, what: `Attempt ${++attempt}: ${said ? `${said} after ${span(common.took)}` : `answers after ${span(common.took)}`}`, more: whom, look: said && said !== 'withdrawn' ? 'bad' : '' });
  }
  if (row.ttfbMs !== undefined) events.push({ at: row.ttfbMs, took: row.durationMs - row.ttfbMs, what: 'First byte to the client', look: 'good' });
  // Sorting keeps what began in the same millisecond in its order.
  events.sort((a, b) => a.at - b.at);
  for (const r of row.repairs ?? []) events.push({ at: null, what: `${r.action === 'passed' ? 'Not mended' : 'Repair'}: ${r.stage} ${r.rule}`, more: r.action === 'passed' ? count(r.count, 'time') : `${r.action} ${count(r.count, 'time')}`, look: 'warn' });
  events.push({ at: row.durationMs, what: row.end === 'complete' ? 'Complete' : `Ended: ${words(row.end)}`, more: `status ${row.status}${row.responseBytes ? `, ${bytes(row.responseBytes)}` : ''}`, look: row.end === 'complete' ? 'good' : 'bad' });
  return events;
}

function bar(event, end) {
  if (event.at === null) return null;
  const x = (event.at / end) * 200;
  return draw('svg', { class: 'bar', viewBox: '0 0 200 8', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    draw('rect', { class: event.look || 'plain', x: Math.min(198, x), y: 0, width: Math.max(2, ((event.took ?? 0) / end) * 200), height: 8 }));
}

function facts(row) {
  const list = [];
  const add = (name, value) => value && list.push(make('dt', '', name), make('dd', '', value));
  add('What the client was told', row.reason);
  add('What to do', row.fix);
  add('Code', row.code);
  add('Fault of', row.source);
  add('Each account said', row.tried);
  if (row.inputTokens !== undefined) {
    const rest = [row.cachedTokens ? `${whole(row.cachedTokens)} cached` : '', row.cacheWrittenTokens ? `${whole(row.cacheWrittenTokens)} written to the cache` : ''].filter(Boolean).join(', ');
    add('Tokens in', `${whole(row.inputTokens)}${rest ? ` (${rest})` : ''}`);
    add('Tokens out', `${whole(row.outputTokens)}${row.reasoningTokens ? ` (${whole(row.reasoningTokens)} of them thinking)` : ''}`);
    const streamed = row.durationMs - (row.ttfbMs ?? row.durationMs);
    if (streamed >= 200 && row.outputTokens) add('Speed', `${compact((row.outputTokens * 1000) / streamed)} tokens per second`);
  }
  if (row.estimatedUsd !== undefined) add('Cost at list prices', dollars(row.estimatedUsd));
  return list.length ? make('dl', '', list) : null;
}
