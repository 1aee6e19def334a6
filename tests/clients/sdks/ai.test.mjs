// The `ai` package with its OpenAI-compatible, OpenAI (chat and Responses) and Anthropic providers.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { Output, embedMany, generateText, isStepCount, jsonSchema, streamText, tool } from 'ai';
import { z } from 'zod';
import { failure, joined, meant, mended, own, pixel, question, toolModels, v1, weather, weatherInput } from '../lib/world.mjs';

const settings = { baseURL: v1, apiKey: 'client-key' };
const compatible = createOpenAICompatible({ ...settings, name: 'qwen', includeUsage: true, supportsStructuredOutputs: true });
const openai = createOpenAI(settings);
const anthropic = createAnthropic(settings);
const boats = z.object({ boats: z.array(z.object({ name: z.string(), quay: z.string(), seats: z.number() })), departs: z.string(), late: z.boolean() });

const providers = [
  ['ai 7 openai-compatible', (id) => compatible.chatModel(id)],
  ['ai 7 openai chat', (id) => openai.chat(id)],
  ['ai 7 openai responses', (id) => openai.responses(id)],
  ['ai 7 anthropic', (id) => anthropic(id)],
];

for (const [name, model] of providers) {
  const it = (what, run) => test(`${name}: ${what}`, run);
  const call = (scenario, more = {}) => ({ model: model(own(scenario, name)), prompt: question, maxRetries: 0, ...more });

  it('text', async () => {
    const answer = await generateText(call('healthy', { instructions: 'Be brief.' }));
    assert.equal(answer.text, await meant());
    assert.equal(answer.finishReason, 'stop');
    assert.ok(answer.usage.inputTokens > 0 && answer.usage.outputTokens > 0);
  });

  it('stream, faults mended', async () => {
    for (const scenario of mended) {
      const answer = streamText(call(scenario));
      assert.equal(await joined(answer.textStream, (piece) => piece), await meant(), scenario);
      assert.ok((await answer.usage).outputTokens > 0);
    }
  });

  it('tool loop, faults mended', async () => {
    for (const scenario of toolModels) {
      const inputs = [];
      const tools = { get_weather: tool({ description: weather.description, inputSchema: jsonSchema(weather.schema), execute: async (input) => (inputs.push(input), '18 degrees') }) };
      const answer = streamText(call(scenario, { prompt: 'Weather?', tools, stopWhen: isStepCount(4) }));
      await answer.consumeStream();
      assert.equal(await answer.text, await meant('Weather?'), scenario);
      assert.deepEqual(inputs, [weatherInput], scenario);
    }
  });

  it('second turn with reasoning in the history', async () => {
    // With Responses the provider sends the first turn as `item_reference`s.
    // A Messages client sees thinking only when it asks for it.
    const asked = name.endsWith('anthropic') ? { providerOptions: { anthropic: { thinking: { type: 'enabled', budgetTokens: 1024 } } } } : {};
    const first = await generateText(call('thinking', asked));
    assert.ok(name.endsWith('openai chat') || first.reasoningText?.length > 0, 'reasoning');
    const messages = [{ role: 'user', content: question }, ...first.response.messages, { role: 'user', content: 'And back?' }];
    assert.equal((await generateText(call('healthy', { prompt: undefined, messages }))).text, await meant('And back?'));
  });

  it('object', async () => {
    const answer = await generateText(call('json', { output: Output.object({ schema: boats }) }));
    assert.equal(answer.output.boats[0].name, '海鸥');
  });

  it('image', async () => {
    const content = [{ type: 'text', text: 'What is this?' }, { type: 'file', data: Buffer.from(pixel, 'base64'), mediaType: 'image/png' }];
    assert.match((await generateText(call('healthy', { prompt: undefined, messages: [{ role: 'user', content }] }))).text, /I can see 1 image/);
  });

  it('errors', async () => {
    const error = await failure(() => generateText(call('error-400-parameter')));
    assert.equal(error.statusCode, 400);
    assert.match(error.message, /Temperature/);
  });
}

test('ai 7 openai-compatible: embeddings', async () => {
  const { embeddings } = await embedMany({ model: compatible.embeddingModel('text-embedding-v4'), values: ['海鸥', 'tern'] });
  assert.equal(embeddings.length, 2);
  assert.ok(embeddings[0].length > 0);
});
