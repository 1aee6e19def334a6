// Time and endings: nothing is kept back, a client that leaves is followed at once, waits are passed on. The upstream is spoken by hand.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { event, failure, proxy, question, upstreamByHand, v1, within } from '../lib/world.mjs';

const openai = new OpenAI({ baseURL: v1, apiKey: 'client-key', maxRetries: 0 });
const anthropic = new Anthropic({ baseURL: proxy, apiKey: 'client-key', maxRetries: 0 });
const messages = [{ role: 'user', content: question }];

const dialects = [
  ['chat', (model, signal) => openai.chat.completions.create({ model, messages, stream: true }, { signal }), (e) => e.choices[0]?.delta.content],
  ['responses', (model, signal) => openai.responses.create({ model, input: question, stream: true }, { signal }), (e) => e.type === 'response.output_text.delta'],
  ['messages', (model, signal) => anthropic.messages.create({ model, messages, max_tokens: 100, stream: true }, { signal }), (e) => e.type === 'content_block_delta'],
];

for (const [name, create, isText] of dialects) {
  test(`abort: ${name}: first delta at once, upstream closed after the client left`, async () => {
    const upstream = await upstreamByHand((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(event({ role: 'assistant', content: '' }) + event({ content: 'The ferry leaves at seven.' }));
    });
    try {
      const leaving = new AbortController();
      const first = async () => {
        for await (const e of await create(`hand/${name}`, leaving.signal)) if (isText(e)) return;
        assert.fail('The stream ended without text.');
      };
      await within(10_000, first(), 'the first delta while upstream is open');
      leaving.abort();
      assert.equal(await within(3_000, upstream.requests[0].closed, 'the end of the upstream request'), true);
    } finally {
      upstream.close();
    }
  });

  test(`abort: ${name}: a stream that upstream cuts is a failure`, async () => {
    // Every attempt is cut at another place, so there is nothing to resume by.
    let attempts = 0;
    const upstream = await upstreamByHand((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(event({ role: 'assistant', content: '' }) + event({ content: `Answer ${attempts++} begins` }), () => response.destroy());
    });
    try {
      const read = async () => {
        for await (const e of await create(`hand/cut-${name}`)) if (e.type === 'response.failed' || e.type === 'error') throw new Error('told');
      };
      assert.ok(await within(30_000, failure(read), 'the failure'));
    } finally {
      upstream.close();
    }
  });
}

test('retry-after: a wait that is too long for the proxy is told to the client', async () => {
  const upstream = await upstreamByHand((_, response) => {
    response.writeHead(429, { 'content-type': 'application/json', 'retry-after': '90' });
    response.end('{"error":{"message":"Requests rate limit exceeded","type":"limit_requests","code":"limit_requests"},"request_id":"req-by-hand"}');
  });
  try {
    const error = await within(10_000, failure(() => openai.chat.completions.create({ model: 'hand/limited', messages })), 'the error');
    assert.ok(error instanceof OpenAI.RateLimitError);
    assert.equal(error.code, 'limit_requests');
    const seconds = Number(error.headers.get('retry-after'));
    assert.ok(seconds > 20 && seconds <= 90, `retry-after is ${seconds}`);
  } finally {
    upstream.close();
  }
});
