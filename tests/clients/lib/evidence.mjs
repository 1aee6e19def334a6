// What the proxy did about the requests for one model, from its log.

/** Gives `repair(stage, action)`, whether a repair stage did that, `resumed`, whether a stream was continued after a break, and `native`, whether no request was translated. */
export function actsOf(log, model) {
  const entries = log.split('\n').filter((line) => line.startsWith('{') && line.endsWith('}')).map((line) => JSON.parse(line).fields ?? {});
  const settled = entries.filter((entry) => entry.model === model && 'resumes' in entry);
  const ids = new Set(settled.map((entry) => entry.requestId));
  return {
    native: settled.length > 0 && settled.every((entry) => `${entry.native}`.toLowerCase() === 'true'),
    resumed: settled.some((entry) => Number(entry.resumes) > 0),
    repair: (stage, action) => entries.some((entry) => ids.has(entry.requestId) && entry.stage === stage && entry.action === action),
  };
}
