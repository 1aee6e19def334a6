// Which part is shown, who is signed in, and what the proxy says by itself.
import * as accounts from './accounts.js';
import { ask, byId, span } from './dom.js';
import * as keys from './keys.js';
import * as requests from './requests.js';
import * as usage from './usage.js';

const parts = { requests, usage, accounts, keys };
let part = '';
let events = null;
let retry = 0;
let time = new Date().toISOString();

requests.begin(byId('requests'));
usage.begin(byId('usage'), () => time);
accounts.begin(byId('accounts'), notice);
keys.begin(byId('keys'));
addEventListener('hashchange', () => !byId('parts').hidden && showPart());
document.addEventListener('visibilitychange', () => (document.hidden ? hangUp() : start()));
byId('gate').querySelector('form').addEventListener('submit', signIn);
byId('signout').addEventListener('click', signOut);
start();

/** Finds out who is asking, then shows the page or the way in. */
async function start() {
  clearTimeout(retry);
  try {
    const session = await ask('/admin/session');
    byId('signout').hidden = !session.client;
    byId('gate').hidden = true;
    byId('parts').hidden = false;
    listen();
    showPart();
  } catch (failure) {
    if (failure.status === 401) gate();
    else later(failure.status ? failure.message : 'The proxy does not answer.');
  }
}

function showPart() {
  const wanted = location.hash.slice(1) in parts ? location.hash.slice(1) : 'requests';
  for (const link of byId('parts').children) {
    const isIt = link.hash === `#${wanted}`;
    byId(link.hash.slice(1)).hidden = !isIt;
    if (isIt) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  if (part !== wanted) parts[part]?.leave?.();
  part = wanted;
  document.title = `${wanted[0].toUpperCase()}${wanted.slice(1)} – Qwen Proxy`;
  parts[wanted].enter();
}

function listen() {
  if (events || document.hidden) return;
  events = new EventSource('/admin/events');
  events.addEventListener('status', (e) => {
    notice('');
    status(JSON.parse(e.data));
  });
  events.addEventListener('requests', (e) => {
    const told = JSON.parse(e.data);
    requests.running(told.running);
    if (!told.ended.length) return;
    requests.ended(told.ended);
    if (part === 'usage') usage.stale();
  });
  events.onerror = () => {
    hangUp();
    later('The proxy does not answer. What is shown is what it said last.');
  };
}

function hangUp() {
  events?.close();
  events = null;
}

/** Says why nothing new comes, and tries again. */
function later(why) {
  notice(why);
  clearTimeout(retry);
  retry = setTimeout(start, 2000);
}

function status(s) {
  time = s.time;
  const ready = s.ready === 'yes';
  byId('ready').className = ready ? 'good' : 'bad';
  const text = ready ? 'ready' : `not ready: ${s.ready}`;
  // A screen reader says this whenever it is written.
  if (byId('ready').textContent !== text) byId('ready').textContent = text;
  byId('about').textContent = `version ${s.version.split('+')[0]} · up ${span(s.uptimeSeconds * 1000)} · ${s.runningRequests} running${s.waitingRequests ? `, ${s.waitingRequests} waiting` : ''}`;
  byId('refused').hidden = !s.refusedConfiguration.length;
  byId('refused').textContent = `The last edit of the configuration is not in force: ${s.refusedConfiguration.join('; ')}`;
  accounts.update(s);
}

function notice(text) {
  byId('notice').hidden = !text;
  if (byId('notice').textContent !== text) byId('notice').textContent = text;
}

function gate() {
  hangUp();
  notice('');
  parts[part]?.leave?.();
  part = '';
  for (const link of byId('parts').children) byId(link.hash.slice(1)).hidden = true;
  byId('parts').hidden = true;
  byId('signout').hidden = true;
  byId('gate').hidden = false;
  byId('ready').textContent = 'closed';
  byId('key').focus();
}

async function signIn(event) {
  event.preventDefault();
  const wrong = byId('wrong');
  wrong.hidden = true;
  try {
    await ask('/admin/session', { method: 'POST', body: { key: byId('key').value.trim() } });
    byId('key').value = '';
    await start();
    byId('main').focus();
  } catch (failure) {
    wrong.textContent = failure.message;
    wrong.hidden = false;
    byId('key').select();
  }
}

async function signOut() {
  try {
    await ask('/admin/session', { method: 'DELETE' });
    gate();
  } catch (failure) {
    notice(failure.message);
  }
}
