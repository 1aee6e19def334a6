// The official `@anthropic-ai/sdk` in two major versions: 1.x sends another `anthropic-version` and a bearer key, 0.x `x-api-key`.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import Anthropic0 from 'anthropic-0';
import Anthropic1 from '@anthropic-ai/sdk';
import { failure, meant, mended, own, pixel, proxy, question, toolModels, weather, weatherInput } from '../lib/world.mjs';

const ask = { max_tokens: 2000, messages: [{ role: 'user', content: question }] };
const tool = { name: weather.name, description: weather.description, input_schema: weather.schema };
const textOf = (message) => message.content.filter((block) => block.type === 'text').map((block) => block.text).join('');

for (const [name, Anthropic] of [['@anthropic-ai/sdk 1.12.0', Anthropic1], ['@anthropic-ai/sdk 0.60.0', Anthropic0]]) {
  const client = new Anthropic({ baseURL: proxy, apiKey: 'client-key', maxRetries: 0 });
  const it = (what, run) => test(`${name}: ${what}`, run);

  it('models', async () => {
    const page = await client.models.list({ limit: 1000 });
    assert.ok(page.data.length > 0);
    const one = await client.models.retrieve(page.data[0].id);
    assert.equal(one.type, 'model');
    assert.ok(one.display_name);
  });

  it('message', async () => {
    const answer = await client.messages.create({ ...ask, model: 'sim-healthy', system: 'Be brief.' });
    assert.equal(textOf(answer), await meant());
    assert.equal(answer.stop_reason, 'end_turn');
    assert.ok(answer.usage.input_tokens > 0 && answer.usage.output_tokens > 0);
    assert.ok(answer._request_id);
  });

  it('stream helper, faults mended', async () => {
    for (const scenario of [...mended, 'think-tags', 'thinking']) {
      const final = await client.messages.stream({ ...ask, model: own(scenario, name) }).finalMessage();
      assert.equal(textOf(final), await meant(), scenario);
      assert.equal(final.stop_reason, 'end_turn');
      assert.ok(final.usage.output_tokens > 0);
    }
  });

  it('raw stream order', async () => {
    const open = new Set();
    const types = [];
    for await (const e of await client.messages.create({ ...ask, model: 'sim-tool-after-thinking', tools: [tool], stream: true })) {
      types.push(e.type);
      if (e.type === 'content_block_start') {
        assert.equal(open.size, 0, 'one block at a time');
        open.add(e.index);
      }
      if (e.type === 'content_block_delta') assert.ok(open.has(e.index));
      if (e.type === 'content_block_stop') assert.ok(open.delete(e.index));
    }
    assert.equal(types[0], 'message_start');
    assert.deepEqual(types.slice(-2), ['message_delta', 'message_stop']);
  });

  it('thinking with signature, replayed', async () => {
    const thinking = { type: 'enabled', budget_tokens: 1024 };
    const first = await client.messages.create({ ...ask, model: 'sim-tool-after-thinking', thinking, tools: [tool] });
    assert.equal(first.content[0].type, 'thinking');
    assert.ok(first.content[0].thinking && first.content[0].signature);
    const call = first.content.find((block) => block.type === 'tool_use');
    const messages = [...ask.messages, { role: 'assistant', content: first.content }, { role: 'user', content: [{ type: 'tool_result', tool_use_id: call.id, content: '18 degrees' }] }];
    const second = await client.messages.create({ ...ask, model: 'sim-tool-after-thinking', thinking, tools: [tool], messages });
    assert.equal(textOf(second), await meant());
  });

  it('tool loop, faults mended', async () => {
    for (const scenario of [...toolModels, 'tools-2']) {
      const messages = [{ role: 'user', content: 'Weather?' }];
      const first = await client.messages.stream({ ...ask, messages, model: `sim-${scenario}`, tools: [tool] }).finalMessage();
      assert.equal(first.stop_reason, 'tool_use', scenario);
      const calls = first.content.filter((block) => block.type === 'tool_use');
      assert.deepEqual(calls[0].input, weatherInput, scenario);
      messages.push({ role: 'assistant', content: first.content });
      messages.push({ role: 'user', content: calls.map((call) => ({ type: 'tool_result', tool_use_id: call.id, is_error: false, content: [{ type: 'text', text: '18 degrees' }] })) });
      const second = await client.messages.create({ ...ask, messages, model: `sim-${scenario}`, tools: [tool] });
      assert.equal(textOf(second), await meant('Weather?'), scenario);
    }
  });

  it('image', async () => {
    const content = [{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: pixel } }, { type: 'text', text: 'What is this?' }];
    assert.match(textOf(await client.messages.create({ ...ask, model: 'sim-healthy', messages: [{ role: 'user', content }] })), /I can see 1 image/);
  });

  it('count_tokens', async () => {
    const little = await client.messages.countTokens({ model: 'qwen3.7-plus', messages: ask.messages });
    const more = await client.messages.countTokens({ model: 'qwen3.7-plus', messages: ask.messages, tools: [tool], system: 'Be brief.' });
    assert.ok(little.input_tokens > 3);
    assert.ok(more.input_tokens > little.input_tokens);
  });

  it('errors', async () => {
    for (const [scenario, kind, type] of [
      ['error-400-parameter', Anthropic.BadRequestError, 'invalid_request_error'],
      ['error-401-key', Anthropic.AuthenticationError, 'authentication_error'],
      ['error-404-model', Anthropic.NotFoundError, 'not_found_error'],
    ]) {
      for (const stream of [false, true]) {
        const error = await failure(() => client.messages.create({ ...ask, model: `sim-${scenario}`, stream }));
        assert.ok(error instanceof kind, `${scenario}: ${error}`);
        assert.equal(error.error.error.type, type);
        assert.ok(error.requestID, 'request id');
      }
    }
  });

  if (client.beta.messages.toolRunner) {
    it('beta tool runner, which asks for a thread held by the server', async () => {
      const inputs = [];
      const runnable = { ...tool, run: (input) => (inputs.push(input), '18 degrees'), parse: (input) => input };
      const final = await client.beta.messages.toolRunner({ ...ask, model: 'sim-tools-1', messages: [{ role: 'user', content: 'Weather?' }], tools: [runnable] });
      assert.equal(textOf(final), await meant('Weather?'));
      assert.deepEqual(inputs, [weatherInput]);
    });
  }
}
