#!/usr/bin/env node
// Every command of the released binary, once, on a simulator and a home of its own. What works only under the JIT (reflection, JSON, SQLite, YAML and
// TOML, telemetry) fails here.
//
//   node tests/native/smoke.mjs BINARY
//
// The last line: "Smoke: N passed, N failed, 0 skipped". A command that is in the help and not tried here is a failure, too.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { freePorts, run, scrubbed, serve } from '../clients/lib/run-process.mjs';

const binary = resolve(process.argv[2] ?? '');
const home = mkdtempSync(join(tmpdir(), 'qwen-proxy-native-'));
const tried = new Set();
let passed = 0;
let failed = 0;

const [upstreamPort, proxyPort, collectorPort] = await freePorts(3);
const upstream = `http://127.0.0.1:${upstreamPort}/v1`;
const proxy = `http://127.0.0.1:${proxyPort}`;
const configFile = join(home, 'config.json');
writeFileSync(configFile, `{
  // JSON with comments
  "port": ${proxyPort},
  "accounts": [{ "name": "sim", "baseUrl": "${upstream}", "apiKey": "k" }],
  "storage": { "dataFolder": "${join(home, 'data')}", "logFile": true },
}`, { mode: 0o600 });
const env = scrubbed(home, { QWEN_PROXY_CONFIG: configFile, QWEN_HOME: join(home, '.qwen'), QWEN_OAUTH_BASE_URL: `http://127.0.0.1:${upstreamPort}` });

/** Runs a command line and checks its exit code. */
async function command(line, code = 0, limit = 60_000) {
  const args = typeof line === 'string' ? line.split(' ') : line;
  tried.add(args[0]);
  const result = await run(binary, args, { env, cwd: home, limit });
  assert.equal(result.code, code, `${args.join(' ')}: exit ${result.code}\n${result.output}${result.errors}`);
  assert.doesNotMatch(result.errors, /Unhandled exception|PlatformNotSupported|MissingMethod|MissingMetadata/);
  return result;
}

async function check(name, work) {
  try {
    await work();
    passed++;
    console.log(`ok   ${name}`);
  } catch (fault) {
    failed++;
    console.log(`FAIL ${name}\n     ${String(fault.message ?? fault).replaceAll('\n', '\n     ')}`);
  }
}

const json = async (line, code) => JSON.parse((await command(line, code)).output);
const post = (path, body, headers = {}) => fetch(proxy + path, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) });
const messages = [{ role: 'user', content: 'Hello' }];

/** What came to each path of the collector: protobuf, in which names and texts stand as they are. */
const collected = { '/v1/traces': '', '/v1/metrics': '' };
const collector = createServer((request, response) => {
  request.setEncoding('latin1').on('data', (text) => (collected[request.url] += text)).on('end', () => response.end());
}).listen(collectorPort, '127.0.0.1');

const servers = [];
try {
  servers.push(await serve(binary, ['simulate', '--port', String(upstreamPort)], `${upstream}/models`, { env, cwd: home }));
  tried.add('simulate');
  const telemetry = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collectorPort}`, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf', OTEL_METRIC_EXPORT_INTERVAL: '500', OTEL_BSP_SCHEDULE_DELAY: '200', OTEL_RESOURCE_ATTRIBUTES: 'service.name=smoke-of-the-binary' };
  const server = await serve(binary, ['serve'], `${proxy}/healthz`, { env: { ...env, ...telemetry }, cwd: home });
  servers.push(server);
  tried.add('serve');
  await answers();
  await commands();
  await setups();
  await check('telemetry: traces and metrics reach a collector', async () => {
    const wanted = {
      '/v1/traces': ['chat m', 'gen_ai.response.finish_reasons', 'gen_ai.usage.cache_read.input_tokens', 'service.instance.id', 'smoke-of-the-binary'],
      '/v1/metrics': ['gen_ai.client.operation.duration', 'gen_ai.server.time_to_first_token', 'qwen_proxy.client.tokens', 'dotnet.process.cpu.time', 'service.version', 'smoke-of-the-binary'],
    };
    const missing = () => Object.entries(wanted).flatMap(([path, words]) => words.filter((word) => !collected[path].includes(word)));
    for (let i = 0; i < 100 && missing().length > 0; i++) await new Promise((later) => setTimeout(later, 100));
    assert.deepEqual(missing(), []);
  });
  await check('metrics: the numbers of the proxy and of the runtime', async () => {
    const text = await (await fetch(proxy + '/metrics')).text();
    assert.match(text, /^qwen_proxy_build_info\{version="[^"]+",commit="[0-9a-f]*",runtime="[^"]+",form="[a-z-]+"\} 1$/m);
    assert.match(text, /^dotnet_process_memory_working_set_bytes [1-9]\d+$/m);
    assert.match(text, /^gen_ai_client_token_usage_count\{.*gen_ai_response_model="[^"]+".*\} [1-9]/m);
  });
  await check('keys: the first one that is added makes a key needed', async () => {
    const added = await command('keys add alice --rpm 5 --json');
    const key = /sk-[A-Za-z0-9_-]+|[A-Za-z0-9_-]{40,}/.exec(added.output)[0];
    for (let i = 0; i < 40 && (await post('/v1/chat/completions', { model: 'm', messages })).status !== 401; i++) await new Promise((later) => setTimeout(later, 100));
    assert.equal((await post('/v1/chat/completions', { model: 'm', messages })).status, 401);
    assert.equal((await post('/v1/chat/completions', { model: 'm', messages }, { authorization: `Bearer ${key}` })).status, 200);
    assert.doesNotMatch((await command('keys list')).output, new RegExp(key));
    assert.ok(await json('keys usage alice --json'));
    await command('keys rotate alice');
    await command('keys revoke alice');
    await command('keys revoke nobody', 2);
  });
  await check('every command of the help was tried', async () => {
    const help = (await command('--help')).output;
    const named = [...help.slice(help.indexOf('Commands:')).matchAll(/^ {2}([a-z]+)\b/gm)].map((m) => m[1]).filter((n) => n !== 'qwen');
    assert.deepEqual(named.filter((n) => !tried.has(n)), []);
  });
} finally {
  for (const server of servers) server.stop();
  collector.close();
  rmSync(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}

console.log(`Smoke: ${passed} passed, ${failed} failed, 0 skipped`);
process.exitCode = failed > 0 ? 1 : 0;

async function answers() {
  for (const stream of [false, true]) {
    const how = stream ? 'streamed' : 'whole';
    await check(`chat, ${how}`, async () => assert.match(await (await post('/v1/chat/completions', { model: 'm', stream, messages })).text(), stream ? /data: \[DONE\]/ : /"finish_reason"/));
    await check(`Messages, ${how}`, async () => assert.match(await (await post('/v1/messages', { model: 'm', max_tokens: 500, stream, messages }, { 'anthropic-version': '2023-06-01' })).text(), stream ? /event: message_stop/ : /"stop_reason"/));
    await check(`Responses, ${how}`, async () => assert.match(await (await post('/v1/responses', { model: 'm', stream, input: 'Hello' })).text(), stream ? /event: response\.completed/ : /"status":"completed"/));
  }

  await check('count_tokens', async () => assert.ok((await (await post('/v1/messages/count_tokens', { model: 'm', messages })).json()).input_tokens > 0));
  for (const path of ['/', '/metrics', '/readyz', '/admin/status', '/admin/requests', '/admin/usage', '/admin/models', '/v1/models'])
    await check(`GET ${path}`, async () => assert.equal((await fetch(proxy + path)).status, 200));
}

async function commands() {
  await check('status', async () => assert.ok((await command('status')).output.length > 0));
  for (const line of ['status --json', 'accounts --json', 'models --json', 'config --json', 'config --schema', 'doctor --json', 'usage --json', 'requests --json', 'version --json'])
    await check(line, async () => assert.ok(await json(line)));
  for (const line of ['accounts', 'models', 'config', 'doctor', 'usage', 'requests', 'version', '--version', 'man', 'completion bash', 'simulate --list'])
    await check(line, async () => assert.ok((await command(line)).output.length > 0));
  await check('top', async () => assert.ok(JSON.parse((await command('top')).output)));
  await check('ledger export', async () => assert.match((await command('ledger export --format jsonl')).output, /"model"|"asked"/));
  await check('ledger backup', async () => {
    await command(['ledger', 'backup', join(home, 'copy.db')]);
    assert.ok(existsSync(join(home, 'copy.db')));
  });
  await check('replay', async () => {
    const file = join(home, 'case.qwen-portal.sse');
    writeFileSync(file, 'data: {"choices":[{"delta":{"content":"Hi there, friend of mine"},"index":0}]}\n\ndata: {"choices":[{"delta":{},"finish_reason":"stop","index":0}]}\n\ndata: [DONE]\n\n');
    for (const dialect of ['chat', 'messages', 'responses']) assert.match((await command(['replay', file, '--dialect', dialect])).output, /friend of mine/);
  });
  await check('login and logout', async () => {
    await command('login work', 0, 30_000);
    await command('logout work');
  });
  await check('demo --once', async () => assert.match((await command('demo --once --port 0')).output, /The ferry leaves at seven/));
  await check('service status', async () => assert.match((await command('service status', 2)).output, /not installed/));
  await check('update --check without a network says so', async () => {
    env.QWEN_PROXY_RELEASES = 'http://127.0.0.1:9';
    assert.match((await command('update --check', 1)).errors, /Could not ask/);
  });
  await check('a wrong option lists the nearest one', async () => assert.match((await command('serve --prot 1', 64)).errors, /--port/));
}

async function setups() {
  for (const agent of ['claude-code', 'codex', 'qwen-code', 'opencode', 'cline', 'continue', 'aider']) {
    await check(`setup ${agent}, and back`, async () => {
      await command(['setup', agent, '--model', 'qwen3.7-plus']);
      await command(['setup', agent, '--undo']);
    });
  }

  await check('env and run', async () => {
    assert.match((await command('env claude-code')).output, /ANTHROPIC_BASE_URL/);
    tried.add('run');
    const fake = join(home, 'bin');
    mkdirSync(fake);
    writeFileSync(join(fake, 'claude'), '#!/bin/sh\necho "base $ANTHROPIC_BASE_URL $*"\n', { mode: 0o755 });
    env.PATH = `${fake}:${env.PATH}`;
    assert.match((await command(['run', 'claude-code', '--', '-p', 'hi'])).output, /base http:\/\/127\.0\.0\.1:\d+ .*-p hi/);
  });
}
