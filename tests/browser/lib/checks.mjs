// What the page promises, part by part. Each check gets a browser context of its own and gives it back to be closed.
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import assert from 'node:assert/strict';
import { adminKey } from './world.mjs';

const parts = ['requests', 'usage', 'accounts', 'keys'];
const fromElsewhere = { extraHTTPHeaders: { 'x-forwarded-for': '192.0.2.9' }, expected: /401|429/ };

export const checks = [
  ['empty: three lines to copy', emptyState],
  ['requests: filters, search, and the way of a request', requests],
  ['requests: what ends is there at once, without asking again', live],
  ['requests: nothing a client names becomes markup', hostile],
  ['usage: pictures with their tables, what was saved, a file', usage],
  ['accounts: asked first, carried out, logged', accounts],
  ['keys: made, shown once, renewed, ended', keys],
  ['sign-in: the key, the cookie, out again, too many tries', signIn],
  ['keyboard: every part, every control', keyboard],
  ...parts.map((part) => [`${part}: axe-core finds nothing, light and dark, and 320 pixels are wide enough`, (tools) => accessible(tools, part)]),
];

async function emptyState({ world, open }) {
  const page = await open('/');
  await page.goto(world.empty);
  await page.getByText('No request has come yet').waitFor();
  const lines = await page.locator('.copy code').allTextContents();
  assert.equal(lines.length, 3);
  assert.ok(lines[2].startsWith(`curl ${world.empty}/v1/chat/completions`));
  await noAxe(page);
  return page.context();
}

async function requests({ open, world, shot }) {
  const page = await open('/');
  const part = page.locator('#requests');
  await page.locator('#ended tbody tr').first().waitFor();
  const models = () => page.locator('#ended tbody tr:not(.below) td[data-name=Model]').allTextContents();
  assert.equal((await models()).length, 9);
  await part.getByLabel('Show').selectOption('failed');
  await page.waitForFunction(() => document.querySelectorAll('#ended tbody tr').length === 2);
  assert.deepEqual((await models()).sort(), ['sim-error-400-range', 'sim-error-401-key']);
  await part.getByLabel('Show').selectOption('resumed');
  await page.waitForFunction(() => document.querySelectorAll('#ended tbody tr').length === 1);
  await part.getByLabel('Show').selectOption('');
  await part.getByLabel('Client', { exact: true }).fill('boss');
  await part.getByLabel('Client', { exact: true }).press('Enter');
  await page.waitForFunction(() => document.querySelectorAll('#ended tbody tr').length === 1);
  await part.getByLabel('Client', { exact: true }).fill('');
  await part.getByLabel('Client', { exact: true }).press('Enter');
  await page.waitForFunction(() => document.querySelectorAll('#ended tbody tr').length === 9);

  const { id } = await world.ask({ model: 'sim-sequence:error-500|cut?events=5&how=rst|stutter-s2' });
  await page.getByLabel('Request id').fill(id);
  await page.getByRole('button', { name: 'Find' }).click();
  const way = page.locator('.timeline li .what');
  await way.first().waitFor();
  const told = (await way.allTextContents()).join('\n');
  for (const expected of [/^Accepted/m, /^Attempt 1: 500 server error after .*/m, /answers after/, /^The answer broke/m, /^Resumed/m, /^First byte to the client/m, /^Repair: stutter /m, /^Complete/m]) assert.match(told, expected);
  assert.match(await page.locator('.request dl').textContent(), /Tokens in\d+.*Tokens out\d+/);
  if (shot) await picture(page, shot, 'requests');
  await page.getByLabel('Request id').fill('');
  await page.getByRole('button', { name: 'Find' }).click();
  await part.getByLabel('Show').selectOption('failed');
  const refused = page.locator('#ended tbody tr', { hasText: 'sim-error-401-key' }).getByRole('button');
  await refused.focus();
  await page.keyboard.press('Enter');
  await page.getByText('What to do').waitFor();
  assert.match(await page.locator('.request dl').textContent(), /qwen-proxy doctor/);
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-expanded')), 'true');
  return page.context();
}

async function live({ open, world }) {
  const asked = [];
  const page = await open('/');
  await page.locator('#ended tbody tr').first().waitFor();
  await page.getByText('Nothing is running.').waitFor();
  page.on('request', (r) => asked.push(new URL(r.url()).pathname));
  const slow = world.ask({ model: 'sim-slow-drip?gap=2', wait: false });
  await page.locator('#running tbody tr', { hasText: 'sim-slow-drip' }).waitFor();
  const { id } = await world.ask({ model: 'sim-healthy' });
  await page.locator(`button[data-id="${id}"]`).waitFor();
  await slow.then(({ response }) => response.body.cancel());
  await page.waitForTimeout(2500);
  assert.deepEqual(asked, [], 'the page asked again');
  return page.context();
}

async function hostile({ open, world }) {
  const { id } = await world.ask({ model: '<img src=x onerror=alert(1)>' });
  const page = await open('/');
  await page.locator(`button[data-id="${id}"]`).click();
  await page.locator('.timeline').waitFor();
  assert.match(await page.locator('#ended').textContent(), /<img src=x onerror=alert\(1\)>/);
  assert.equal(await page.locator('#ended img').count(), 0);
  return page.context();
}

async function usage({ open, world, shot }) {
  const page = await open('/#usage');
  const part = page.locator('#usage');
  await page.locator('#usage-picture svg rect').first().waitFor();
  const total = (await world.admin('/admin/usage?since=24h')).total;
  for (const name of ['repaired', 'resumed', 'retried', 'failed']) assert.equal(await page.locator(`[data-saved=${name}]`).textContent(), String(total[name]), name);
  assert.ok(total.resumed >= 1 && total.repaired >= 1 && total.retried >= 1);
  await page.locator('#usage-picture summary').click();
  const sums = await page.locator('#usage-picture tbody tr td:last-child').allTextContents();
  assert.equal(sums.length >= 24, true);
  assert.equal(sums.reduce((n, text) => n + Number(text), 0), total.requests);
  await part.getByRole('combobox', { name: 'By', exact: true }).selectOption('dialect');
  await page.getByText('Requests by hour and dialect').waitFor();
  assert.ok((await page.locator('#usage-sums tbody th').allTextContents()).includes('anthropic.messages'));
  for (const measure of ['output', 'cost', 'cache', 'failed']) await part.getByLabel('Show').selectOption(measure);
  await part.getByLabel('Show').selectOption('requests');
  await page.locator('#latency svg circle').first().waitFor();
  assert.equal(await page.locator('#latency figure').count(), 3);
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Save as CSV' }).click()]);
  const csv = readFileSync(await file.path(), 'utf8').trim().split('\r\n');
  assert.match(csv[0], /^hour,dialect,requests,failed,repaired,resumed,retried,inputTokens,/);
  assert.equal(csv.slice(1).reduce((n, line) => n + Number(line.split(',')[2]), 0), total.requests);
  if (shot) await picture(page, shot, 'usage');
  await part.getByRole('combobox', { name: 'From', exact: true }).selectOption('14d');
  await page.getByText('Requests by day and dialect').waitFor();
  return page.context();
}

async function accounts({ open, world, shot }) {
  const page = await open('/#accounts');
  const spare = page.locator('[data-account=spare]');
  await spare.getByRole('button', { name: 'Isolate' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
  const state = async () => (await world.admin('/admin/status')).accounts.find((a) => a.name === 'spare').state;
  assert.equal(await state(), 'ready');
  await spare.getByRole('button', { name: 'Isolate' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Isolate' }).click();
  await spare.getByText('switched off by command').waitFor();
  assert.equal(await state(), 'isolated');
  if (shot) await picture(page, shot, 'accounts');
  await spare.getByRole('button', { name: 'Resume' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Resume' }).click();
  await spare.getByRole('button', { name: 'Isolate' }).waitFor();
  assert.equal(await state(), 'ready');
  await spare.getByRole('button', { name: 'Ask it now' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Ask it now' }).click();
  await page.getByText('began to answer after').waitFor();
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
  const broken = page.locator('[data-account=broken]');
  await broken.getByText('key refused').first().waitFor();
  await broken.getByRole('button', { name: 'Ask it now' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Ask it now' }).click();
  await page.getByText('does not answer').waitFor();
  assert.match(await page.locator('#probe-result').textContent(), /^401 invalid key after/);
  await page.keyboard.press('Escape');
  await broken.getByRole('button', { name: 'Reset' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Reset' }).click();
  await broken.getByText('ready', { exact: true }).waitFor();
  await logged(world, ['spare: isolate by this machine', 'spare: resume by this machine', 'spare: probe by this machine', 'broken: reset by this machine']);
  return page.context();
}

async function keys({ open, world, shot }) {
  const page = await open('/#keys');
  await page.locator('#key-list tbody tr', { hasText: 'alice' }).waitFor();
  await page.getByLabel('Name', { exact: true }).fill('team');
  await page.getByLabel('Models').fill('sim-*');
  await page.getByLabel('Requests per minute').fill('30');
  await page.getByLabel('Tokens per day').fill('100000');
  await page.getByRole('button', { name: 'Make a key' }).click();
  const key = await page.getByRole('dialog').locator('code').textContent();
  assert.match(key, /^qpk-/);
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
  await page.locator('#key-list tbody tr', { hasText: 'team' }).waitFor();
  assert.equal((await page.content()).includes(key), false);
  assert.equal((await world.ask({ model: 'sim-healthy', key })).status, 200);
  assert.equal((await world.ask({ model: 'other', key })).status, 403);
  if (shot) await picture(page, shot, 'keys');
  await page.getByRole('button', { name: 'Rotate the key of team' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Rotate' }).click();
  await page.getByText('The old key works until').waitFor();
  const renewed = await page.getByRole('dialog').locator('code').textContent();
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
  await until(async () => (await world.ask({ model: 'sim-healthy', key: renewed })).status === 200);
  assert.equal((await world.ask({ model: 'sim-healthy', key })).status, 200);
  await page.getByRole('button', { name: 'Revoke the key of team' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
  await page.locator('#key-list tbody tr', { hasText: 'team' }).getByText('revoked').waitFor();
  for (const old of [key, renewed]) assert.equal((await world.ask({ model: 'sim-healthy', key: old })).status, 401);
  await logged(world, ['team was added by', 'team was renewed by', 'team was revoked by']);
  assert.equal(world.log().includes(key), false);
  return page.context();
}

async function signIn({ open, world }) {
  const page = await open('/', fromElsewhere);
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  assert.equal(await page.locator('#parts').isVisible(), false);
  await noAxe(page);
  const enter = async (key) => {
    await page.getByLabel('Admin key').fill(key);
    await page.getByRole('button', { name: 'Sign in' }).click();
  };
  await enter('sk-alice-of-the-page-tests');
  await page.getByText('This is no admin key.').waitFor();
  await enter(adminKey);
  await page.locator('#ended tbody tr').first().waitFor();
  const [cookie] = await page.context().cookies();
  assert.deepEqual([cookie.httpOnly, cookie.sameSite, cookie.value.includes(adminKey)], [true, 'Strict', false]);
  assert.equal(await page.evaluate(() => document.cookie), '');
  await page.reload();
  await page.locator('#ended tbody tr').first().waitFor();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  const after = await fetch(`${world.url}/admin/status`, { headers: { 'x-forwarded-for': '192.0.2.9', cookie: `${cookie.name}=${cookie.value}` } });
  assert.equal(after.status, 401);
  for (let i = 0; i < 10; i++) await fetch(`${world.url}/admin/session`, { method: 'POST', headers: { 'x-forwarded-for': '192.0.2.9', 'content-type': 'application/json' }, body: '{"key":"wrong"}' });
  await enter(adminKey);
  await page.getByText('Too many wrong keys').waitFor();
  assert.equal(await page.locator('#parts').isVisible(), false);
  return page.context();
}

async function keyboard({ open }) {
  const page = await open('/');
  await page.locator('#ended tbody tr').first().waitFor();
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Skip to the content');
  for (const part of parts) {
    await page.locator(`#parts a[href="#${part}"]`).focus();
    await page.keyboard.press('Enter');
    await page.locator(`#${part}`).waitFor({ state: 'visible' });
    // Everything that can be used is reached by Tab, and shows that it has the focus.
    const missed = await page.evaluate((id) => [...document.querySelectorAll(`#${id} :is(button, a, input, select, summary)`)].filter((e) => e.checkVisibility() && e.tabIndex < 0).length, part);
    assert.equal(missed, 0);
  }
  await page.getByRole('button', { name: 'Make a key' }).focus();
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.equal(outline, 'solid');
  return page.context();
}

async function accessible({ open }, part) {
  const page = await ready(await open(`/#${part}`, { reducedMotion: 'reduce' }), part);
  await noAxe(page);
  // In the dark only the colours are others.
  await page.emulateMedia({ colorScheme: 'dark' });
  await noAxe(page, { type: 'rule', values: ['color-contrast'] });
  assert.equal(await page.evaluate(() => getComputedStyle(document.querySelector('#parts a')).transitionDuration), '0s');
  await page.setViewportSize({ width: 320, height: 800 });
  const wide = await page.evaluate(() => [document.documentElement.scrollWidth, [...document.querySelectorAll('main *')].filter((e) => e.checkVisibility() && e.getBoundingClientRect().right > 321 && !e.closest('svg, thead')).map((e) => e.outerHTML.slice(0, 120)).slice(0, 3)]);
  assert.ok(wide[0] <= 320, `${wide[0]} pixels: ${wide[1].join(' ')}`);
  const scrolled = await page.evaluate(() => [...document.querySelectorAll('.scroll')].filter((e) => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1).map((e) => e.getAttribute('aria-label')));
  assert.deepEqual(scrolled, []);
  return page.context();
}

/** The part is drawn, with something opened in it. */
async function ready(page, part) {
  if (part === 'requests') {
    await page.locator('#ended button.open').first().click();
    await page.locator('.timeline').waitFor();
  }
  if (part === 'usage') {
    await page.locator('#latency svg').first().waitFor();
    await page.locator('#usage-picture summary').click();
    await page.locator('#usage-picture table').waitFor();
  }
  if (part === 'accounts') await page.locator('#models tbody tr').first().waitFor();
  if (part === 'keys') await page.locator('#key-list tbody tr').first().waitFor();
  return page;
}

async function noAxe(page, runOnly = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']) {
  // Not injected as a script, which the page's policy forbids, but by the browser's debugger.
  const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  await page.evaluate(axe);
  const { violations } = await page.evaluate((only) => globalThis.axe.run(document, { runOnly: only, resultTypes: ['violations'] }), runOnly);
  assert.deepEqual(violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => `${n.html} ${n.failureSummary}`).join(' | ')}`), []);
}

async function until(condition) {
  for (let i = 0; i < 50; i++) {
    if (await condition()) return;
    await new Promise((later) => setTimeout(later, 100));
  }
  throw new Error(`It did not come true: ${condition}`);
}

async function picture(page, folder, name) {
  mkdirSync(folder, { recursive: true });
  await page.setViewportSize({ width: 1100, height: 760 });
  await page.screenshot({ path: join(folder, `page-${name}.png`) });
}

/** The page may show a change before its line has gone through the pipe. */
async function logged(world, lines) {
  const end = Date.now() + 5_000;
  while (Date.now() < end && !lines.every((line) => world.log().includes(line))) await new Promise((done) => setTimeout(done, 50));
  for (const line of lines) assert.ok(world.log().includes(line), line);
}
