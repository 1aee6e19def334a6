// A simulator, a proxy with accounts there and clients with keys, and requests of every kind.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts, scrubbed, serve } from '../../clients/lib/run-process.mjs';

export const adminKey = 'sk-admin-of-the-page-tests';

export async function startWorld(binary, temp) {
  const [simulatorPort, port, emptyPort] = await freePorts(3);
  const servers = [];
  const env = scrubbed(temp);
  const simulator = `http://127.0.0.1:${simulatorPort}/v1`;
  servers.push(await serve(binary, ['simulate', '--port', String(simulatorPort)], `${simulator}/models`, { env, cwd: temp }));
  const url = `http://127.0.0.1:${port}`;
  const served = ['qwen3.7-plus', 'sim-healthy', 'sim-stutter-s2', 'sim-slow-drip*', 'sim-sequence*', 'sim-error-400-range'];
  const accounts = [
    { name: 'plan', baseUrl: simulator, apiKey: 'key-of-plan', models: served, priority: 1 },
    { name: 'spare', baseUrl: simulator, apiKey: 'key-of-spare', models: served, priority: 2 },
    { name: 'broken', baseUrl: simulator, apiKey: 'key-of-broken', models: ['sim-error-401-key'], priority: 3 },
  ];
  const proxy = await start('full', port, {
    accounts,
    clients: [{ name: 'boss', key: adminKey, admin: true }, { name: 'alice', key: 'sk-alice-of-the-page-tests' }],
    retry: { maxWaitSeconds: 1 },
  });
  const emptyProxy = await start('empty', emptyPort, { accounts: accounts.slice(0, 1) });
  const world = {
    url,
    empty: `http://127.0.0.1:${emptyPort}`,
    log: () => proxy.log,
    stop: () => servers.forEach((server) => server.stop()),
    ask,
    admin: async (path, init) => (await fetch(url + path, init)).json(),
  };
  // A stream that broke and was resumed, one that was repaired, one that a second account answered, failures, ordinary ones; in all dialects.
  for (const model of ['sim-healthy', 'sim-healthy', 'sim-stutter-s2', 'sim-sequence:cut?events=5&how=rst|healthy', 'sim-sequence:error-500|healthy', 'sim-error-400-range', 'sim-error-401-key']) await ask({ model });
  await ask({ model: 'sim-healthy', key: adminKey, path: '/v1/messages' });
  await ask({ model: 'sim-healthy', path: '/v1/responses' });
  return world;

  async function start(name, at, config) {
    const folder = join(temp, name);
    mkdirSync(folder);
    writeFileSync(join(folder, 'config.json'), JSON.stringify({ port: at, storage: { dataFolder: join(folder, 'data') }, ...config }));
    const server = await serve(binary, ['serve', '--config', join(folder, 'config.json')], `http://127.0.0.1:${at}/healthz`, { env, cwd: folder });
    servers.push(server);
    return server;
  }

  async function ask({ model, key = 'sk-alice-of-the-page-tests', path = '/v1/chat/completions', wait = true }) {
    const messages = [{ role: 'user', content: 'What is the answer to everything?' }];
    const body = path === '/v1/responses' ? { input: 'What is the answer?' } : path === '/v1/messages' ? { max_tokens: 500, messages } : { messages };
    const response = await fetch(url + path, { method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` }, body: JSON.stringify({ model, stream: true, ...body }) });
    if (wait) await response.text().catch(() => '');
    return { status: response.status, id: response.headers.get('x-request-id'), response };
  }
}
