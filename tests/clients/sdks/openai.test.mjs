// The official `openai` package in three major versions.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import OpenAI4 from 'openai-4';
import OpenAI6 from 'openai-6';
import { zodResponseFormat as zodFormat6, zodTextFormat as zodText6 } from 'openai-6/helpers/zod';
import OpenAI7 from 'openai';
import { zodResponseFormat as zodFormat7, zodTextFormat as zodText7 } from 'openai/helpers/zod';
import { failure, joined, meant, mended, own, pixel, question, toolModels, v1, weather, weatherInput } from '../lib/world.mjs';

const ask = [{ role: 'user', content: question }];
const chatTool = { type: 'function', function: { name: weather.name, description: weather.description, parameters: weather.schema } };
const responseTool = { type: 'function', name: weather.name, description: weather.description, parameters: weather.schema, strict: false };
const boats = z.object({ boats: z.array(z.object({ name: z.string(), quay: z.string(), seats: z.number() })), departs: z.string(), late: z.boolean() });

const versions = [
  { name: 'openai 7.57.0', OpenAI: OpenAI7, format: zodFormat7, textFormat: zodText7 },
  { name: 'openai 6.49.0', OpenAI: OpenAI6, format: zodFormat6, textFormat: zodText6 },
  { name: 'openai 4.104.0', OpenAI: OpenAI4 },
];

for (const { name, OpenAI, format, textFormat } of versions) {
  const client = new OpenAI({ baseURL: v1, apiKey: 'client-key', maxRetries: 0 });
  const chat = client.chat.completions;
  // Version 4 kept its helpers under `beta`.
  const helpers = chat.runTools ? chat : client.beta.chat.completions;
  const it = (what, run) => test(`${name}: ${what}`, run);

  it('models', async () => {
    const models = await client.models.list();
    assert.ok(models.data.length > 0);
    assert.equal((await client.models.retrieve(models.data[0].id)).id, models.data[0].id);
  });

  it('chat', async () => {
    const answer = await chat.create({ model: 'sim-healthy', messages: ask });
    assert.equal(answer.choices[0].message.content, await meant());
    assert.equal(answer.choices[0].finish_reason, 'stop');
    assert.ok(answer.usage.total_tokens > 0);
    assert.ok(answer._request_id);
  });

  it('chat stream, faults mended', async () => {
    for (const scenario of mended) {
      const stream = await chat.create({ model: own(scenario, name), messages: ask, stream: true });
      assert.equal(await joined(stream, (chunk) => chunk.choices[0]?.delta.content), await meant(), scenario);
    }
  });

  it('usage chunk only when asked for', async () => {
    for (const wanted of [true, false]) {
      const usages = [];
      const options = wanted ? { stream_options: { include_usage: true } } : {};
      for await (const chunk of await chat.create({ model: 'sim-healthy', messages: ask, stream: true, ...options })) if (chunk.usage) usages.push(chunk);
      assert.equal(usages.length, wanted ? 1 : 0);
      if (wanted) assert.deepEqual(usages[0].choices, []);
    }
  });

  it('stream helper', async () => {
    const run = helpers.stream({ model: 'sim-thinking', messages: ask, stream_options: { include_usage: true } });
    assert.equal(await run.finalContent(), await meant());
    assert.ok((await run.totalUsage()).total_tokens > 0);
  });

  it('tool loop, faults mended', async () => {
    for (const scenario of toolModels) {
      for (const stream of [false, true]) {
        const inputs = [];
        const tool = structuredClone(chatTool);
        tool.function.function = (input) => (inputs.push(input), '18 degrees');
        tool.function.parse = JSON.parse;
        const run = helpers.runTools({ model: `sim-${scenario}`, messages: [{ role: 'user', content: 'Weather?' }], tools: [tool], stream });
        assert.equal(await run.finalContent(), await meant('Weather?'), scenario);
        assert.deepEqual(inputs, [weatherInput], scenario);
      }
    }
  });

  it('json schema', async () => {
    const plain = { type: 'json_schema', json_schema: { name: 'boats', schema: { type: 'object' } } };
    const answer = await helpers.parse({ model: 'sim-healthy', messages: ask, response_format: format ? format(boats, 'boats') : plain });
    const message = answer.choices[0].message;
    assert.equal((format ? message.parsed : JSON.parse(message.content)).boats[0].name, '海鸥');
  });

  it('image', async () => {
    const content = [{ type: 'text', text: 'What is this?' }, { type: 'image_url', image_url: { url: `data:image/png;base64,${pixel}` } }];
    const answer = await chat.create({ model: 'sim-healthy', messages: [{ role: 'user', content }] });
    assert.match(answer.choices[0].message.content, /I can see 1 image/);
  });

  it('embeddings', async () => {
    // By default the package asks for base64 and turns it into numbers itself.
    const packed = await client.embeddings.create({ model: 'text-embedding-v4', input: ['海鸥', 'tern'] });
    const plain = await client.embeddings.create({ model: 'text-embedding-v4', input: ['海鸥', 'tern'], encoding_format: 'float' });
    assert.equal(packed.data.length, 2);
    assert.equal(packed.data[0].embedding.length, plain.data[0].embedding.length);
    packed.data[0].embedding.forEach((value, i) => assert.ok(Math.abs(value - plain.data[0].embedding[i]) < 1e-6));
  });

  it('responses', async () => {
    const answer = await client.responses.create({ model: 'sim-healthy', input: question, instructions: 'Be brief.' });
    assert.equal(answer.output_text, await meant());
    assert.equal(answer.status, 'completed');
    assert.ok(answer.usage.total_tokens > 0);
  });

  it('responses stream', async () => {
    for (const scenario of ['thinking', 'stutter-s4']) {
      const types = [];
      let text = '';
      let numbers = 0;
      for await (const e of await client.responses.create({ model: `sim-${scenario}`, input: question, stream: true })) {
        assert.equal(e.sequence_number, numbers++);
        types.push(e.type);
        if (e.type === 'response.output_text.delta') text += e.delta;
        if (e.type === 'response.completed') assert.equal(e.response.output.at(-1).content[0].text, text);
      }
      assert.equal(text, await meant());
      assert.equal(types[0], 'response.created');
      assert.equal(types.at(-1), 'response.completed');
    }
  });

  it('responses tools by previous_response_id', async () => {
    const first = await client.responses.create({ model: 'sim-tools-1', input: 'Weather?', tools: [responseTool] });
    const call = first.output.find((item) => item.type === 'function_call');
    assert.deepEqual(JSON.parse(call.arguments), weatherInput);
    const result = { type: 'function_call_output', call_id: call.call_id, output: '18 degrees' };
    const second = await client.responses.create({ model: 'sim-tools-1', previous_response_id: first.id, input: [result], tools: [responseTool] });
    assert.equal(second.output_text, await meant('Weather?'));
  });

  if (textFormat) {
    it('responses parse and stream helper', async () => {
      const answer = await client.responses.parse({ model: 'sim-healthy', input: question, text: { format: textFormat(boats, 'boats') } });
      assert.equal(answer.output_parsed.boats[0].name, '海鸥');
      const final = await client.responses.stream({ model: 'sim-thinking', input: question }).finalResponse();
      assert.equal(final.output_text, await meant());
    });
  }

  it('errors', async () => {
    const missing = await failure(() => client.models.retrieve('no-such-model'));
    assert.ok(missing instanceof OpenAI.NotFoundError);
    for (const [scenario, status, code, kind] of [
      ['error-400-parameter', 400, 'invalid_parameter_error', OpenAI.BadRequestError],
      ['error-401-key', 401, 'invalid_api_key', OpenAI.AuthenticationError],
      ['error-403-unpurchased', 403, 'AccessDenied.Unpurchased', OpenAI.PermissionDeniedError],
    ]) {
      for (const stream of [false, true]) {
        const error = await failure(() => chat.create({ model: `sim-${scenario}`, messages: ask, stream }));
        assert.ok(error instanceof kind, `${scenario}: ${error}`);
        assert.equal(error.status, status);
        assert.equal(error.code, code);
        assert.ok(error.request_id ?? error.requestID, 'request id');
      }
    }
  });
}
