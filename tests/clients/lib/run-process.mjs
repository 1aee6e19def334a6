// Child processes with a limit, in a group of their own so that nothing of them outlives a test.
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { once } from 'node:events';

/** Nothing of the environment but what a program cannot do without: no keys, no proxies, no settings of the user's. */
export function scrubbed(home, more = {}) {
  return { PATH: process.env.PATH, HOME: home, TMPDIR: home, XDG_CONFIG_HOME: `${home}/.config`, XDG_DATA_HOME: `${home}/.local`, XDG_CACHE_HOME: `${home}/.cache`, LANG: 'C.UTF-8', TERM: 'dumb', ...more };
}

/** Whatever still runs. Their groups do not get the signal that ends this process, so it is passed on. */
const running = new Set();
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    for (const child of running) killGroup(child);
    process.exit(1);
  });
}

function start(command, args, options) {
  const child = spawn(command, args, { ...options, detached: true });
  running.add(child);
  child.on('exit', () => running.delete(child));
  return child;
}

function killGroup(child) {
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch (gone) {
    if (gone.code !== 'ESRCH') throw gone;
  }
}

/** Runs to its end or its limit. Gives the exit code (null when stopped), the output and the time it took. */
export async function run(command, args, { limit, input = '', ...options }) {
  const started = performance.now();
  const child = start(command, args, { ...options, stdio: ['pipe', 'pipe', 'pipe'] });
  let output = '';
  let errors = '';
  child.stdout.on('data', (piece) => (output += piece));
  child.stderr.on('data', (piece) => (errors += piece));
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    killGroup(child);
  }, limit);
  const code = await new Promise((ended) => {
    child.on('error', (error) => {
      errors += String(error);
      ended(null);
    });
    // `exit` and not `close`: a grandchild that holds the pipes must not hold the test.
    child.on('exit', (status) => setTimeout(() => ended(status), 50));
  });
  clearTimeout(timer);
  if (child.pid) killGroup(child);
  return { code, output, errors, timedOut, milliseconds: performance.now() - started };
}

/** Starts a server and waits until `url` answers. */
export async function serve(command, args, url, options) {
  const child = start(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  const server = { log: '', stop: () => killGroup(child) };
  child.stdout.on('data', (piece) => (server.log += piece));
  child.stderr.on('data', (piece) => (server.log += piece));
  let ended = false;
  child.on('error', (error) => (server.log += String(error)));
  child.on('close', () => (ended = true));
  for (let i = 0; i < 300 && !ended; i++) {
    try {
      if ((await fetch(url)).ok) return server;
    } catch {
      // Not listening yet.
    }
    await new Promise((later) => setTimeout(later, 100));
  }
  server.stop();
  throw new Error(`${command} ${args[0]} does not answer at ${url}:\n${server.log}`);
}

/** Ports that were free a moment ago. */
export async function freePorts(count) {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))));
  return ports;
}
