#!/usr/bin/env node
// A real browser shows pages that mean no good, and pages that may ask: what reaches the upstream and what a page can read.
//
//   node tests/browser/run.mjs [--seconds 90]
//
// Each attack is first made on a server without a guard, which shows that the page does what it says, and then on the built proxy. Needs Chromium
// (Debian: apt-get install chromium; or CHROMIUM=/path); without it every check is skipped, and said so. Exit code 1 means that a check failed.
import { createServer } from 'node:http';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { findBrowser } from './lib/chromium.mjs';
import { freePorts, run, scrubbed, serve } from '../clients/lib/run-process.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const binary = join(here, '../../artifacts/bin/QwenProxy/release/qwen-proxy');
const { values: options } = parseArgs({ options: { seconds: { type: 'string', default: '90' } } });
const deadline = performance.now() + Number(options.seconds) * 1000;
const rows = [];
const answer = 'data: {"id":"c","choices":[{"index":0,"delta":{"content":"read by a page"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n';

const browser = findBrowser();
if (!browser) {
  process.stdout.write('Browser: 0 passed, 0 failed, 1 skipped: there is no Chromium (apt-get install chromium, or CHROMIUM=/path)\n');
  process.exit(0);
}
if (!existsSync(binary)) {
  process.stderr.write(`There is no ${binary}: build first, with dotnet build -c Release.\n`);
  process.exit(64);
}

const temp = mkdtempSync(join(tmpdir(), 'qwen-proxy-browser-'));
const closing = [];
try {
  await attacks();
} finally {
  for (const close of closing.reverse()) await close();
  rmSync(temp, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}

const failed = rows.filter((row) => !row.ok).length;
process.stdout.write(`Browser: ${rows.length - failed} passed, ${failed} failed, 0 skipped\n`);
process.exitCode = failed > 0 ? 1 : 0;

async function attacks() {
  const upstream = await listen(upstreamServer());
  const pages = await listen(pageServer());
  const [port] = await freePorts(1);
  const app = `http://app.example:${pages.port}`;
  writeFileSync(join(temp, 'config.json'), JSON.stringify({
    port,
    storage: { dataFolder: join(temp, 'data') },
    accounts: [{ name: 'up', baseUrl: `http://127.0.0.1:${upstream.port}/v1`, apiKey: 'sk-of-the-account' }],
    allowedOrigins: [app],
  }));
  const proxy = await serve(binary, ['serve', '--config', join(temp, 'config.json')], `http://127.0.0.1:${port}/healthz`, { env: scrubbed(temp), cwd: temp });
  closing.push(() => proxy.stop());

  for (const [name, host] of [['a page of the net', 'evil.example'], ['a page on another loopback name', 'other.localhost'], ['a page of another port of this machine', '127.0.0.1']]) {
    const bare = await visit(pages, `http://${host}:${pages.port}/spend?to=http://127.0.0.1:${upstream.port}`);
    check(`${name} spends where no guard is`, upstream.take().some((r) => r.method === 'POST'), bare);
    const guarded = await visit(pages, `http://${host}:${pages.port}/spend?to=http://127.0.0.1:${port}`);
    check(`${name} spends nothing through the proxy`, guarded.form === 'sent' && upstream.take().length === 0, guarded);
    check(`${name} reads nothing of the proxy`, guarded.read === 'refused', guarded);
  }

  // The page's own name was made to point at this machine: to the browser the proxy's answers are then the page's own to read.
  const rebound = await dump(`http://rebind.example:${upstream.port}/v1/models`);
  check('a name made to point here reads where no guard is', rebound.includes('"qwen3.7-plus"'), rebound);
  upstream.take();
  for (const path of ['/v1/models', '/admin/status', '/metrics', '/']) {
    const text = await dump(`http://rebind.example:${port}${path}`);
    check(`a name made to point here reads nothing at ${path}`, text.includes('foreign_host') && !text.includes('qwen3.7-plus') && !text.includes('uptimeSeconds'), text);
  }
  check('nothing of it reached the upstream', upstream.take().length === 0);

  const allowed = await visit(pages, `${app}/use?to=http://127.0.0.1:${port}`);
  check('an allowed page asks in all dialects and reads the answers', allowed.chat === 'read by a page' && allowed.messages === 'read by a page' && allowed.responses === 'read by a page', allowed);
  check('an allowed page reads x-request-id and x-qwen-proxy-account', /^req_/.test(allowed.id) && allowed.account === 'up', allowed);
  check('an allowed page does not reach the admin API', allowed.admin === 'refused', allowed);
}

function check(what, ok, seen) {
  rows.push({ what, ok });
  process.stderr.write(`${ok ? 'ok  ' : 'FAIL'} ${what}${ok || seen === undefined ? '' : `\n     ${(typeof seen === 'string' ? seen : JSON.stringify(seen)).slice(0, 2000)}`}\n`);
}

/** Opens a page and waits for what its script reports. */
async function visit(pages, url) {
  const reported = pages.report();
  const stop = new AbortController();
  const shown = run(browser, [...flags(), '--remote-debugging-port=0', url], { limit: limit(), env: scrubbed(temp), cwd: temp, signal: stop.signal });
  const first = await Promise.race([reported, shown.then((r) => ({ error: `the browser ended: ${r.errors.slice(-500)}` }))]);
  stop.abort();
  await shown;
  return first;
}

/** What a page shows once its script has had a few seconds. */
async function dump(url) {
  const { output, errors } = await run(browser, [...flags(), '--virtual-time-budget=4000', '--dump-dom', url], { limit: limit(), env: scrubbed(temp), cwd: temp });
  return output || errors;
}

function flags() {
  return ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--disable-extensions', '--disable-background-networking',
    // What newer browsers ask a person before a page may reach this machine is not what keeps the page out here.
    '--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests',
    `--user-data-dir=${join(temp, `profile-${Math.random()}`)}`, '--host-resolver-rules=MAP *.example 127.0.0.1, MAP *.localhost 127.0.0.1'];
}

function limit() {
  return Math.max(1, Math.min(30_000, deadline - performance.now()));
}

/** Says yes to everybody, as a server without a guard does, and remembers who asked. */
function upstreamServer() {
  let asked = [];
  const server = createServer(async (request, response) => {
    for await (const piece of request) void piece;
    asked.push({ method: request.method, url: request.url });
    if (request.url.endsWith('/models')) return response.setHeader('content-type', 'application/json').end('{"object":"list","data":[{"id":"qwen3.7-plus"}]}');
    response.setHeader('content-type', 'text/event-stream').end(answer);
  });
  return Object.assign(server, { take: () => asked.splice(0) });
}

function pageServer() {
  let tell = () => {};
  const server = createServer(async (request, response) => {
    if (request.method === 'POST') {
      let text = '';
      for await (const piece of request) text += piece;
      response.end();
      tell(JSON.parse(text));
      return;
    }
    const page = { '/spend': spend, '/use': use }[request.url.split('?')[0]];
    if (!page) return response.writeHead(404).end();
    response.setHeader('content-type', 'text/html').end(`<!doctype html><body><script>(${page})().catch((e) => ({ error: String(e) })).then((r) => fetch('/report', { method: 'POST', body: JSON.stringify(r) }))</script>`);
  });
  return Object.assign(server, { report: () => new Promise((resolve) => (tell = resolve)) });
}

/** Runs in the page: what needs no leave of the server, and what would read. */
async function spend() {
  const to = new URLSearchParams(location.search).get('to');
  const body = '{"model":"qwen3.7-plus","stream":true,"messages":[{"role":"user","content":"hi"}]}';
  const result = { form: 'not sent', read: 'refused' };
  await fetch(`${to}/v1/chat/completions`, { method: 'POST', mode: 'no-cors', headers: { 'content-type': 'text/plain' }, body }).catch(() => {});
  await fetch(`${to}/v1/files`, { mode: 'no-cors' }).catch(() => {});
  const frame = document.body.appendChild(document.createElement('iframe'));
  frame.name = 'away';
  const form = document.body.appendChild(document.createElement('form'));
  Object.assign(form, { action: `${to}/v1/chat/completions`, method: 'post', enctype: 'text/plain', target: 'away' });
  form.appendChild(Object.assign(document.createElement('input'), { name: body.slice(0, -1) + ',"x":"', value: '"}' }));
  await new Promise((loaded) => {
    frame.onload = loaded;
    form.submit();
    setTimeout(loaded, 3000);
  });
  result.form = 'sent';
  for (const path of ['/v1/models', '/admin/status', '/metrics']) {
    await fetch(to + path).then(async (r) => (result.read = `${path}: ${await r.text()}`), () => {});
  }
  return result;
}

/** Runs in the page of a web client. */
async function use() {
  const to = new URLSearchParams(location.search).get('to');
  const result = { admin: 'refused' };
  const ask = async (path, headers, body) => {
    const response = await fetch(to + path, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify({ model: 'qwen3.7-plus', ...body }) });
    result.id = response.headers.get('x-request-id');
    result.account = response.headers.get('x-qwen-proxy-account');
    return await response.json();
  };
  const messages = [{ role: 'user', content: 'hi' }];
  result.chat = (await ask('/v1/chat/completions', { authorization: 'Bearer x' }, { messages })).choices[0].message.content;
  result.messages = (await ask('/v1/messages', { 'x-api-key': 'x', 'anthropic-version': '2023-06-01', 'anthropic-beta': 'a', 'anthropic-dangerous-direct-browser-access': 'true' }, { max_tokens: 100, messages })).content[0].text;
  result.responses = (await ask('/v1/responses', {}, { input: 'hi' })).output[0].content[0].text;
  await fetch(`${to}/admin/status`).then((r) => (result.admin = String(r.status)), () => {});
  return result;
}

async function listen(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => new Promise((closed) => { server.close(closed); server.closeAllConnections(); }));
  return Object.assign(server, { port: server.address().port });
}
