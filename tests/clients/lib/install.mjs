// Installs a folder's packages from its lock file, once.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './run-process.mjs';

/** Gives null when all is there, else why not, in one line. */
export async function install(folder, limit, more = []) {
  const stamp = join(folder, 'node_modules', '.installed');
  const lock = createHash('sha256').update(readFileSync(join(folder, 'package-lock.json'))).digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return null;
  // Not `npm ci`: it insists on optional packages for other systems, which not every registry has.
  const { code, errors, timedOut } = await run('npm', ['install', '--no-save', '--loglevel=error', '--no-progress', ...more], { cwd: folder, env: process.env, limit });
  if (timedOut) return `npm did not finish within ${Math.round(limit / 1000)} s`;
  if (code !== 0) return `npm could not install: ${errors.split('\n').find((line) => line.trim()) ?? `exit ${code}`}`;
  writeFileSync(stamp, lock);
  return null;
}
