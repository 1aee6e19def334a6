// Where Debian's Chromium, or another one, is.
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Its path, by CHROMIUM or by the names it goes by; null where there is none. */
export function findBrowser() {
  const names = process.env.CHROMIUM ? [process.env.CHROMIUM] : ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chromium-headless-shell'];
  for (const name of names) {
    for (const folder of name.includes('/') ? [''] : process.env.PATH.split(delimiter)) {
      const path = join(folder, name);
      try {
        accessSync(path, constants.X_OK);
        return path;
      } catch {
        // Not there.
      }
    }
  }
  return null;
}
