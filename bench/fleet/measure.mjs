// What replicas with one database cost beside one proxy without: CPU time for each request of proxy and database, and the median latency, in rounds that alternate so
// that both meet the same machine. Usage:
//   node bench/fleet/measure.mjs --binary PATH --database postgres://… --postmaster PID [--rounds 5] [--seconds 5] [--lanes 8]
// --postmaster is the server's first process: its CPU time and its children's are counted. The upstream and the clients are this process.
import http from 'node:http';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { spawn } from 'node:child_process';

const options = Object.fromEntries(process.argv.slice(2).join(' ').split('--').filter(Boolean).map(o => o.trim().split(/\s+(.*)/s)));
const [rounds, seconds, lanes] = [Number(options.rounds ?? 5), Number(options.seconds ?? 5), Number(options.lanes ?? 8)];
const ticks = 100;
const key = 'sk-of-the-benchmark-0123456789';
const body = JSON.stringify({ model: 'qwen3.7-plus', stream: true, messages: [{ role: 'system', content: 'You are terse.' }, { role: 'user', content: 'Say hello. '.repeat(50) }] });
const answer = Array.from({ length: 12 }, (_, i) => `data: {"id":"c","choices":[{"index":0,"delta":{"content":"word ${i} "}}]}\n\n`).join('')
  + 'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: {"id":"c","choices":[],"usage":{"prompt_tokens":150,"completion_tokens":24}}\n\ndata: [DONE]\n\n';

const upstream = http.createServer((request, response) => request.resume().on('end', () => response.writeHead(200, { 'content-type': 'text/event-stream' }).end(answer))).listen(0, '127.0.0.1');
await new Promise(resolve => upstream.once('listening', resolve));
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fleet-'));
const agent = new http.Agent({ keepAlive: true, maxSockets: 1024 });

function cpuSeconds(pid, withReaped = false) {
  try {
    const fields = fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ').map(Number);
    return (fields[11] + fields[12] + (withReaped ? fields[13] + fields[14] : 0)) / ticks;
  } catch { return 0; }
}

function databaseSeconds() {
  const children = fs.readdirSync('/proc').filter(p => /^\d+$/.test(p)).filter(p => { try { return fs.readFileSync(`/proc/${p}/stat`, 'utf8').split(') ')[1].split(' ')[1] === options.postmaster; } catch { return false; } });
  return cpuSeconds(options.postmaster, true) + children.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
}

async function start(name, database) {
  const home = path.join(folder, name);
  fs.mkdirSync(home);
  fs.writeFileSync(path.join(home, 'config.json'), JSON.stringify({
    accounts: [{ name: 'up', baseUrl: `http://127.0.0.1:${upstream.address().port}/v1`, apiKey: 'sk-upstream', maxConcurrent: 1000 }],
    clients: [{ name: 'bench', key, tokensPerDay: 1e12, requestsPerMinute: 1_000_000, concurrent: 10_000 }],
  }));
  const env = { PATH: process.env.PATH, HOME: home, PORT: '0', QWEN_PROXY_CONFIG: path.join(home, 'config.json'), QWEN_PROXY_DATA: path.join(home, 'data'), ...(database ? { QWEN_PROXY_DATABASE: database } : {}) };
  const child = spawn(options.binary, ['serve'], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  const address = await new Promise((resolve, reject) => {
    let said = '';
    child.stderr.on('data', data => { said = (said + data).slice(-20000); const found = /listens on (http:\/\/[^\s"]+)/.exec(said); if (found) resolve(found[1]); });
    child.on('exit', () => reject(new Error(said)));
  });
  return { child, address };
}

function ask(address) {
  const began = performance.now();
  return new Promise((resolve, reject) => {
    const request = http.request(new URL('/v1/chat/completions', address), { agent, method: 'POST', headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), authorization: `Bearer ${key}` } },
      response => response.on('error', reject).resume().on('end', () => response.statusCode === 200 ? resolve(performance.now() - began) : reject(new Error(`${response.statusCode}`))));
    request.on('error', reject).end(body);
  });
}

async function load(replicas, forSeconds) {
  const took = [];
  const until = performance.now() + forSeconds * 1000;
  await Promise.all(replicas.flatMap(r => Array.from({ length: Math.ceil(lanes / replicas.length) }, async () => { while (performance.now() < until) took.push(await ask(r.address)); })));
  return took.sort((a, b) => a - b);
}

// What the replicas that are not measured cost the database meanwhile is taken off: it was looked at while all were idle.
async function measure(replicas, idlePerSecond) {
  const before = [replicas.reduce((s, r) => s + cpuSeconds(r.child.pid), 0), databaseSeconds()];
  const took = await load(replicas, seconds);
  // What is written behind the requests belongs to them.
  await new Promise(resolve => setTimeout(resolve, 2000));
  const [proxy, database] = [replicas.reduce((s, r) => s + cpuSeconds(r.child.pid), 0) - before[0], databaseSeconds() - before[1] - idlePerSecond * (seconds + 2)];
  return { requests: took.length, perSecond: took.length / seconds, p50: took[took.length >> 1], proxyMicros: proxy / took.length * 1e6, databaseMicros: database / took.length * 1e6 };
}

const groups = { 'without a database': [await start('alone')] };
for (const count of [1, 2, 4]) groups[`${count} with a database`] = await Promise.all(Array.from({ length: count }, (_, i) => start(`fleet${count}-${i}`, options.database.replace('NUMBER', count))));
for (const replicas of Object.values(groups)) await load(replicas, 3);
const [idleFrom, idleSince] = [databaseSeconds(), performance.now()];
await new Promise(resolve => setTimeout(resolve, 15_000));
const idlePerSecond = (databaseSeconds() - idleFrom) / ((performance.now() - idleSince) / 1000);
const results = Object.fromEntries(Object.keys(groups).map(name => [name, []]));
for (let round = 0; round < rounds; round++) for (const [name, replicas] of Object.entries(groups)) results[name].push(await measure(replicas, idlePerSecond));
const median = (list, of) => list.map(of).sort((a, b) => a - b)[list.length >> 1];
console.log(`${rounds} rounds of ${seconds} s, ${lanes} requests at once in all, medians of the rounds; ${os.cpus()[0].model}, ${os.cpus().length} CPUs\n`);
console.log(`Idle, a replica costs the database ${(idlePerSecond / 7 * 1000).toFixed(2)} ms of CPU time a second.\n`);
console.log('| replicas | requests a second | p50 ms | CPU of the proxies, µs a request | CPU of the database, µs a request |\n|---|---|---|---|---|');
for (const [name, list] of Object.entries(results)) console.log(`| ${name} | ${median(list, r => r.perSecond).toFixed(0)} | ${median(list, r => r.p50).toFixed(2)} | ${median(list, r => r.proxyMicros).toFixed(0)} | ${median(list, r => r.databaseMicros).toFixed(0)} |`);
for (const { child } of Object.values(groups).flat()) child.kill('SIGTERM');
upstream.close();
agent.destroy();
setTimeout(() => { fs.rmSync(folder, { recursive: true, force: true }); process.exit(0); }, 3000);
