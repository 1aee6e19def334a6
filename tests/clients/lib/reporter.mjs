// One line of JSON per test, for run.mjs.
export default async function* report(source) {
  for await (const { type, data } of source) {
    if ((type !== 'test:pass' && type !== 'test:fail') || data.nesting > 0) continue;
    const error = data.details.error?.cause ?? data.details.error;
    yield `${JSON.stringify({ name: data.name, ok: type === 'test:pass', milliseconds: data.details.duration_ms, error: error && String(error.stack ?? error) })}\n`;
  }
}
