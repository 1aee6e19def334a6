#!/usr/bin/env node
// The proxy's own page in a real browser: each of its parts used as a person would, by keyboard too, and looked at by axe-core.
//
//   node tests/browser/page.mjs [--seconds 90] [--only TEXT] [--screenshots docs/images]
//
// A built proxy with the simulator behind it. Needs Chromium (Debian: apt-get install chromium; or CHROMIUM=/path) and two npm packages; without them
// every check is skipped, and said so. Exit code 1 means that a check failed.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { install } from '../clients/lib/install.mjs';
import { findBrowser } from './lib/chromium.mjs';
import { checks } from './lib/checks.mjs';
import { startWorld } from './lib/world.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const binary = join(here, '../../artifacts/bin/QwenProxy/release/qwen-proxy');
const { values: options } = parseArgs({ options: { seconds: { type: 'string', default: '90' }, only: { type: 'string', default: '' }, screenshots: { type: 'string' } } });
const deadline = performance.now() + Number(options.seconds) * 1000;
const rows = [];

const skipped = !findBrowser() ? 'there is no Chromium (apt-get install chromium, or CHROMIUM=/path)' : await install(here, 60_000);
if (skipped) {
  process.stdout.write(`Page: 0 passed, 0 failed, ${checks.length} skipped: ${skipped}\n`);
  process.exit(0);
}
if (!existsSync(binary)) {
  process.stderr.write(`There is no ${binary}: build first, with dotnet build -c Release.\n`);
  process.exit(64);
}

const { chromium } = await import('playwright-core');
const temp = mkdtempSync(join(tmpdir(), 'qwen-proxy-page-'));
const world = await startWorld(binary, temp);
const browser = await chromium.launch({ executablePath: findBrowser(), args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'] });
try {
  for (const [name, run] of checks.filter(([name]) => name.includes(options.only))) await attempt(name, run);
} finally {
  await browser.close();
  world.stop();
  rmSync(temp, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}

const failed = rows.filter((row) => !row.ok).length;
process.stdout.write(`Page: ${rows.length - failed} passed, ${failed} failed, 0 skipped\n`);
process.exitCode = failed > 0 ? 1 : 0;

async function attempt(name, run) {
  const began = performance.now();
  const faults = [];
  let problem = '';
  let context;
  try {
    if (began > deadline) throw new Error('No time was left for it.');
    context = await run({ world, browser, open, shot: options.screenshots ? resolve(options.screenshots) : null });
    if (faults.length) problem = `The browser complained: ${faults.join('; ')}`;
  } catch (error) {
    problem = error.stack ?? String(error);
  }
  await context?.close();
  rows.push({ name, ok: !problem });
  process.stderr.write(`${problem ? 'FAIL' : 'ok  '} ${name} (${((performance.now() - began) / 1000).toFixed(1)} s)${problem ? `\n     ${problem.slice(0, 3000).replaceAll('\n', '\n     ')}` : ''}\n`);

  /** A page in a context of its own. What the browser's console says against the page counts as a fault. */
  async function open(path, settings = {}) {
    const { expected = /never/, ...rest } = settings;
    context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...rest });
    context.setDefaultTimeout(10_000);
    const page = await context.newPage();
    page.on('console', (m) => ['error', 'warning'].includes(m.type()) && !expected.test(m.text()) && faults.push(m.text()));
    page.on('pageerror', (e) => faults.push(String(e)));
    await page.goto(world.url + path);
    return page;
  }
}
