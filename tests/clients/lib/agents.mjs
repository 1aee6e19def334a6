// Real coding agents without a terminal: how each is started, and which faults of the model it meets on the way.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What the agent must have written in the end: nothing of it may be lost, doubled or taken for markup. */
export const content = [
  '# Timetable 渡轮 🚢',
  '',
  'if hour >= 7 and name == "Tern\'s \\ quay":',
  '    if hour == 7:',
  '        print("on time on time on time")',
  '    <tool_call> is only a word here, and so is </think>.',
  '| quay | boats |',
  '| east | 1     |',
  '',
].join('\n');

export const prompt = 'Read the file notes.txt, then write the timetable to table.txt as the notes ask. Then stop.';

/** The turns of the scripted model, with the names that the agents give their tools. */
export function script(folder) {
  const notes = join(folder, 'notes.txt');
  const table = join(folder, 'table.txt');
  return {
    withoutTools: 'A timetable',
    turns: [
      {
        reasoning: 'The notes say what is wanted, so they come first. 先看笔记。',
        text: 'I will look at the notes before anything is written, since they say what the timetable has to hold.',
        calls: [{ Read: { file_path: notes }, read_file: { file_path: notes }, read: { filePath: notes }, exec_command: { cmd: `cat '${notes}'` } }],
      },
      {
        reasoning: 'Now the table can be written.',
        text: 'The notes are clear: seven o’clock, two quays. Now I write the table, in one piece.',
        calls: [
          {
            Write: { file_path: table, content },
            write_file: { file_path: table, content },
            write: { filePath: table, content },
            exec_command: { cmd: `cat > '${table}' <<'THE_END'\n${content}THE_END\n` },
          },
        ],
      },
      { text: 'The timetable is written. 完成。' },
    ],
  };
}

/** Cases by name: the simulator's scenario, in which `agent` stands for the scripted model, and what the proxy must have done about it. */
export const cases = {
  healthy: { scenario: (agent) => agent },
  stutter: { scenario: (agent) => `${agent}&with=stutter-s4,stutter-s8`, proof: (did) => did.repair('stutter', 'Removed') },
  'leaked calls': { scenario: (agent) => `${agent}&defect=leaked-hermes`, proof: (did) => did.repair('leaked-calls', 'Converted') },
  'leaked calls (xml)': { scenario: (agent) => `${agent}&defect=leaked-xml`, proof: (did) => did.repair('leaked-calls', 'Converted') },
  // Every other request breaks off, in the reasoning or the text, or in the middle of a call; the proxy must go on without the agent.
  cuts: { scenario: (agent) => `cycle:${agent}&with=cut&events=7&how=rst|${agent}`, proof: (did) => did.resumed },
  'cut calls': { scenario: (agent) => `cycle:${agent}&with=cut&events=24&how=fin|${agent}`, proof: (did) => did.resumed },
  // The same at a service that speaks the agent's own dialect, where nothing is translated.
  native: { account: 'native', scenario: (agent) => agent, proof: (did) => did.native },
  'native leaked calls': { account: 'native', scenario: (agent) => `${agent}&defect=leaked-xml`, proof: (did) => did.native && did.repair('leaked-calls', 'Converted') },
  'native stutter': { account: 'native', scenario: (agent) => `${agent}&with=stutter-s4,stutter-s8`, proof: (did) => did.native && did.repair('stutter', 'Removed') },
  'native cuts': { account: 'native', scenario: (agent) => `cycle:${agent}&with=cut&events=9&how=rst|${agent}`, proof: (did) => did.native && did.resumed },
  'native cut calls': { account: 'native', scenario: (agent) => `cycle:${agent}&with=cut&events=34&how=fin|${agent}`, proof: (did) => did.native && did.resumed },
  'native stalls': { account: 'native', scenario: (agent) => `cycle:${agent}&with=stall-pings&events=11&every=500|${agent}`, proof: (did) => did.native && did.resumed },
  // Tools of a kind that few services know: such a request is translated where the others go as they are.
  'own tools': { account: 'native', scenario: (agent) => `cycle:${agent}&with=cut&events=9&how=rst|${agent}`, proof: (did) => !did.native && did.resumed },
};

const translated = Object.keys(cases).filter((name) => !cases[name].account);
const native = Object.keys(cases).filter((name) => name.startsWith('native'));

/** `start` gives command, arguments and environment for a model at a proxy; `home` is the agent's own and empty. */
export function agents(packages, node) {
  const bin = (...path) => join(packages, 'node_modules', ...path);
  const all = [
    {
      name: 'Claude Code 2.1.330',
      file: bin('@anthropic-ai/claude-code-linux-x64', 'claude'),
      cases: [...translated, ...native],
      start: ({ proxy, model, home, file }) => ({
        command: file,
        args: ['-p', prompt, '--model', model, '--permission-mode', 'bypassPermissions'],
        env: {
          ANTHROPIC_BASE_URL: proxy, ANTHROPIC_AUTH_TOKEN: 'client-key', ANTHROPIC_MODEL: model, ANTHROPIC_DEFAULT_HAIKU_MODEL: model,
          CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1', DISABLE_AUTOUPDATER: '1', IS_SANDBOX: '1', CLAUDE_CONFIG_DIR: join(home, 'claude'), CLAUDE_CODE_MAX_RETRIES: '2',
        },
      }),
    },
    {
      name: 'Codex 0.169.0',
      file: bin('codex-linux-x64', 'vendor', 'x86_64-unknown-linux-musl', 'bin', 'codex'),
      cases: [...translated, 'own tools'],
      start: ({ proxy, model, home, file }) => {
        mkdirSync(join(home, 'codex'));
        writeFileSync(join(home, 'codex', 'config.toml'), [
          `model = ${JSON.stringify(model)}`, 'model_provider = "qwen"', 'model_context_window = 200000', 'check_for_update_on_startup = false',
          '[analytics]', 'enabled = false',
          '[model_providers.qwen]', 'name = "Qwen Proxy"', `base_url = "${proxy}/v1"`, 'env_key = "PROXY_KEY"', 'wire_api = "responses"', 'request_max_retries = 1', 'stream_max_retries = 1',
        ].join('\n'));
        return {
          command: file,
          args: ['exec', '--skip-git-repo-check', '--dangerously-bypass-approvals-and-sandbox', prompt],
          env: { CODEX_HOME: join(home, 'codex'), PROXY_KEY: 'client-key' },
        };
      },
    },
    {
      name: 'Qwen Code 0.24.4',
      file: bin('@qwen-code/qwen-code', 'cli.js'),
      cases: translated,
      start: ({ proxy, model, home, file }) => {
        mkdirSync(join(home, '.qwen'));
        writeFileSync(join(home, '.qwen', 'settings.json'), JSON.stringify({ privacy: { usageStatisticsEnabled: false }, telemetry: { enabled: false }, general: { disableAutoUpdate: true, enableAutoUpdate: false } }));
        return {
          command: node,
          args: [file, '--auth-type', 'openai', '--approval-mode', 'yolo', '-p', prompt],
          env: { OPENAI_BASE_URL: `${proxy}/v1`, OPENAI_API_KEY: 'client-key', OPENAI_MODEL: model, NO_COLOR: '1' },
        };
      },
    },
    ...[['openai-compatible', translated], ['anthropic', ['healthy', 'native cuts']], ['openai', ['healthy']]].map(([sdk, some]) => ({
      name: `opencode 1.18.33 (${sdk})`,
      file: bin('opencode-linux-x64', 'bin', 'opencode'),
      cases: some,
      start: ({ proxy, model, file }) => ({
        command: file,
        args: ['run', '--model', `qwen/${model}`, prompt],
        env: {
          OPENCODE_CONFIG_CONTENT: JSON.stringify({
            provider: { qwen: { npm: `@ai-sdk/${sdk}`, options: { baseURL: `${proxy}/v1`, apiKey: 'client-key' }, models: { [model]: {} } } },
            model: `qwen/${model}`, permission: { '*': 'allow' }, autoupdate: false, share: 'disabled',
          }),
          OPENCODE_DISABLE_AUTOUPDATE: '1', OPENCODE_DISABLE_MODELS_FETCH: '1', OPENCODE_DISABLE_LSP_DOWNLOAD: '1',
        },
      }),
    })),
  ];
  return all.map((agent) => ({ ...agent, missing: existsSync(agent.file) ? null : 'not installed' }));
}
