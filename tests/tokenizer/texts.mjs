// The corpus of the golden ids: what agents send, and what breaks tokenizers.

/** A small fixed generator (mulberry32), so that the corpus never changes by itself. */
function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Text of n units, each from one of the ranges. */
function scramble(seed, n, ranges) {
  const next = random(seed);
  let text = '';
  for (let i = 0; i < n; i++) {
    const [from, to] = ranges[Math.floor(next() * ranges.length)];
    const code = from + Math.floor(next() * (to - from + 1));
    text += code > 0xffff ? String.fromCodePoint(code) : String.fromCharCode(code);
  }
  return text;
}

const english = `The ferry leaves at seven. "Seven sharp," she said; it's what they'd agreed, and I'M sure we'll see.
They've counted 1,234,567 tickets (about 3.5% more) — don't you think so? 'tis true, rock'n'roll; O'Neil's, y'all'd've.

Dear Dr. Smith-Jones,\r\n\r\n\tplease find the file attached.   Kind regards\r\n`;
const chinese = `渡轮七点准时出发。“七点整”,她说;我们已经约好了,不是吗?今年售出1,234,567张票,比去年多3.5%。
请在文件 README.md 中添加一行说明,然后运行 \`npm test\`。繁體中文也要正確,包括「引號」與……省略號。人工智能大语言模型通义千问`;
const code = `using System;

namespace Demo
{
    /// <summary>Adds.</summary>
    public static class Sums<T> where T : struct
    {
        public static int Add(int a, int b) => a + b; // ===== !!! =====

        private readonly Dictionary<string, List<(int, T?)>> _map = new() { ["k"] = [] };
    }
}
def f(x: list[int]) -> int:
\treturn sum(i**2 for i in x if i != 0) or -1\n\n\n
for (let i=0;i<10;i++){console.log(\`\${i}: \${"a".repeat(i)}\`);}
SELECT * FROM "users" WHERE id >= 42 AND name LIKE '%O''Brien%'; -- comment
$ git commit -m "fix: don't" && curl -s https://example.com/a?b=c&d=%20 | jq '.[] | {id, "n": .name}'
<div class="x-1" data-id='7'>&nbsp;&amp;</div> #!/usr/bin/env bash 0xDEADBEEF 1e-9 snake_case camelCase SCREAMING_CASE`;

export const texts = [
  { name: 'empty', text: '' },
  { name: 'english', text: english },
  { name: 'chinese', text: chinese },
  { name: 'code', text: code },
  { name: 'json', text: JSON.stringify({ a: [1, -2.5, null, true], 'b c': { d: 'e\n"f"' }, 数: '值' }, null, 2) },
  { name: 'other scripts', text: 'Grüße, Ærøskøbing! Привет, мир. שלום עולם مرحبا بالعالم नमस्ते दुनिया สวัสดีชาวโลก 안녕하세요 세계 こんにちは世界 カタカナ Γειά σου Κόσμε ጤና ይስጥልኝ' },
  { name: 'emoji', text: '😀👍🏽 👨‍👩‍👧‍👦 🇩🇪🇨🇳 ❤️‍🔥 ✔︎ 1️⃣ 🏴󠁧󠁢󠁥󠁮󠁧󠁿 ok🎉done🎉🎉🎉' },
  { name: 'numbers', text: '0 12 345 6789 3.14159 1e10 ½ ² Ⅷ ٣٤ 一二三 ①② 2026-11-26T16:00:00Z +49 (0)30 1234567890' },
  { name: 'spaces', text: ' a  b   c    d\t\te\n f \n\n g\r\nh\r\r\ni \t \n\t x   ' },
  { name: 'spaces only', text: '     ' },
  { name: 'newlines', text: '\n\n\n   \n\t\n' },
  { name: 'rare spaces', text: 'a\u00a0b\u00a0\u00a0c\u2003d\u3000\u3000e\u2028f\u0085g\u0085\u0085h\u1680i\u200bj\ufeffk\u180el\u000bm\u000cn\u001co' },
  { name: 'punctuation', text: '!!! ??? ... ,,, ;;; \n---\n***\n((( [[[ {{{ ))) ]]] }}} ~!@#$%^&*()_+`-={}|[]\\:";\'<>?,./ «»„“—–…' },
  { name: 'contractions', text: "it's IT'S I'll I'LL we've WE'Ve he'd HE'D i'm I'M can't CAN'T you're 's 'sam 'llama ''s 'rex \u2019s 'x x'" },
  { name: 'long s', text: "'\u017f it'\u017f '\u017fam it'\u017fam" },
  { name: 'composed', text: 'caf\u00e9 \u00c5ngstr\u00f6m \ud55c\uae00 \u1e69' },
  { name: 'decomposed', text: 'cafe\u0301 A\u030angstro\u0308m \u1112\u1161\u11ab\u1100\u1173\u11af s\u0323\u0307 s\u0307\u0323 \u1100\u1161\u11a8\u11a8' },
  { name: 'singletons', text: '\u2126 \u212b \u212a \uf900 \ufa30 \u0344 \u0958 \u2adc \ufb1d \ud834\udd5e \ud87e\udc00 \u0340\u0341\u0343' },
  { name: 'marks', text: 'Z\u0351\u036b\u0343a\u0321\u0316\u0345\u0301l\u0334\u0327\u0300g\u0315\u0300\u05ae\u0062o \u0301\u0301 \u0300' },
  { name: 'marks blocked', text: 'a\u0327\u0301\u0301 a\u034f\u0301 \u0041\u0332\u030a e\u0323\u0302 e\u0302\u0323 \u01d5\u0304 u\u0308\u0304\u0323' },
  { name: 'hindi and thai marks', text: 'क्षत्रिय किंकर्तव्यविमूढ ก็ได้ น้ำ বাংলা தமிழ் తెలుగు' },
  { name: 'special tokens', text: '<|im_start|>system\nYou are.<|im_end|>\n<|im_start|>user\nHi<|im_end|><|endoftext|><think>\n\n</think>\n<tool_call>{}</tool_call><tool_response>x</tool_response>' },
  { name: 'nearly special', text: '<|im_start| > <|im_start <|im_end|>> <<think> < think> </ think> <|IM_END|> <thinking></thinking> <|vision_start|><|image_pad|><|vision_end|> <|fim_middle|>' },
  { name: 'special between marks', text: 'e<think>\u0301</think>\u1100<|im_end|>\u1161' },
  { name: 'base64', text: 'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==' },
  { name: 'one letter', text: 'a', times: 50000 },
  { name: 'one chinese character', text: '哈', times: 20000 },
  { name: 'one space', text: ' ', times: 30000 },
  { name: 'one newline', text: '\n', times: 10000 },
  { name: 'one mark of punctuation', text: '=', times: 20000 },
  { name: 'a long word', text: 'abcdefghijklmnopqrstuvwxyzThequickbrownfox', times: 200 },
  { name: 'long chinese', text: '人工智能大语言模型通义千问渡轮七点准时出发', times: 100 },
  { name: 'many zeros', text: '0', times: 500 },
  { name: 'lone surrogates', text: 'a\ud800b\udc00\ud83dc \udfff\ud83d\ude00\ude00\ud83d' },
  { name: 'any utf-16', text: scramble(1, 400, [[0, 0xffff]]) },
  { name: 'surrogates by chance', text: scramble(2, 400, [[0xd800, 0xdfff], [0x20, 0x7e]]) },
  { name: 'latin-1 by chance', text: scramble(3, 400, [[0, 0xff]]) },
  { name: 'ascii by chance', text: scramble(4, 600, [[0, 0x7f]]) },
  { name: 'marks by chance', text: scramble(5, 600, [[0x61, 0x7a], [0x300, 0x345], [0xc0, 0x17f], [0x1e00, 0x1eff], [0x5b0, 0x5bd]]) },
  { name: 'hangul by chance', text: scramble(6, 400, [[0x1100, 0x1112], [0x1161, 0x1175], [0x11a7, 0x11c2], [0xac00, 0xd7a3]]) },
  { name: 'compatibility characters by chance', text: scramble(7, 300, [[0xf900, 0xfaff], [0x2f800, 0x2fa1d], [0xfb1d, 0xfb4f], [0x1f00, 0x1fff]]) },
  { name: 'pictures by chance', text: scramble(8, 200, [[0x1f300, 0x1f6ff], [0x2600, 0x27bf], [0xfe0e, 0xfe0f], [0x200d, 0x200d]]) },
  { name: 'letters by chance', text: scramble(9, 5000, [[0x61, 0x7a]]) },
  { name: 'chinese by chance', text: scramble(10, 3000, [[0x4e00, 0x9fa5]]) },
  { name: 'spaces and letters by chance', text: scramble(11, 800, [[0x20, 0x20], [0x09, 0x0d], [0x61, 0x65], [0x21, 0x2f], [0x30, 0x32]]) },
];
