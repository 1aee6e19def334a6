// What the SDK tests share: where the proxy and the simulator are, and what the simulated model means to say.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';

/** The proxy's address without `/v1`. */
export const proxy = process.env.TEST_PROXY ?? 'http://127.0.0.1:8143';
export const v1 = `${proxy}/v1`;

export const question = 'When does it leave? 何时？';

export const pixel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

export const weather = {
  name: 'get_weather',
  description: 'The weather in a city',
  schema: {
    type: 'object',
    properties: { city: { type: 'string' }, unit: { enum: ['celsius', 'fahrenheit'] } },
    required: ['city', 'unit'],
    additionalProperties: false,
  },
};

/** What the simulator calls the tool with. */
export const weatherInput = { city: '海鸥 at the east quay', unit: 'fahrenheit' };

/** The simulated model's prose for a question, asked of the simulator itself. */
export async function meant(asked = question) {
  const response = await fetch(`${process.env.TEST_SIMULATOR}/chat/completions`, {
    method: 'POST',
    body: JSON.stringify({ model: 'sim-healthy', messages: [{ role: 'user', content: asked }] }),
  });
  return (await response.json()).choices[0].message.content;
}

/** Scenarios whose faults the proxy mends, so that a client reads plain prose. */
export const mended = ['healthy', 'stutter-s2', 'stutter-s4', 'crlf', 'no-space', 'comments', 'split-utf8', 'gzip', 'no-done', 'double-finish', 'sequence:cut?events=6&how=rst|healthy'];

/** Names of models that make the simulated one call a tool, in good order and in every bad one. */
export const toolModels = ['tools-1', 'tools-1?with=leaked-hermes', 'tools-1?with=leaked-xml', 'tools-1?with=stutter-s8', 'tools-1?with=tool-no-index', 'tools-1?with=tool-finish-stop'];

/** A sequence is counted by its text, so each test that uses one needs a text of its own. */
export const own = (scenario, who) => (scenario.startsWith('sequence:') ? `sim-${scenario}?for=${who}` : `sim-${scenario}`);

/**
 * An upstream that speaks by hand, on the port that the proxy's account `hand` points to. `answer(request, response, body)` answers.
 * Gives a list of its requests with `closed`, a promise that is kept when the proxy hangs up.
 */
export async function upstreamByHand(answer) {
  const requests = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (piece) => (body += piece));
    request.on('end', () => {
      requests.push({ request, body, closed: new Promise((kept) => response.on('close', () => kept(!response.writableFinished))) });
      answer(request, response, body);
    });
  });
  server.listen(Number(process.env.TEST_HAND_PORT), '127.0.0.1');
  await once(server, 'listening');
  return {
    requests,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** One chat event on the wire. */
export const event = (delta, finish = null) =>
  `data: ${JSON.stringify({ id: 'chatcmpl-hand', object: 'chat.completion.chunk', created: 1, model: 'hand', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;

/** Fails unless the promise is kept in time. */
export async function within(milliseconds, promise, what) {
  let timer;
  const late = new Promise((_, fail) => (timer = setTimeout(() => fail(new Error(`${what}: not within ${milliseconds} ms`)), milliseconds)));
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The error that the call ends with; a call that ends well fails the test. */
export async function failure(call) {
  try {
    await call();
  } catch (error) {
    return error;
  }
  assert.fail('The call should have failed.');
}

export async function joined(stream, textOf) {
  let text = '';
  for await (const piece of stream) text += textOf(piece) ?? '';
  return text;
}
