// Requests of the Messages dialect beside what the published chat template gets for them.

const tool = (name, description, schema) => ({
  claude: { name, description, input_schema: schema },
  chat: { type: 'function', function: { name, description, parameters: schema } },
});
const read = tool('Read', 'Reads a file from the local filesystem. Lines are numbered from 1.', {
  type: 'object',
  properties: { file_path: { type: 'string', description: 'The absolute path of the file' }, limit: { type: 'number' } },
  required: ['file_path'],
});
const bash = tool('Bash', 'Runs a command in a shell and returns its output.', {
  type: 'object',
  properties: { command: { type: 'string' }, timeout: { type: 'integer', minimum: 1 } },
  required: ['command'],
});
const hello = { role: 'user', content: 'Hello, when does the ferry leave?' };

export const requests = [
  { name: 'one message', request: { messages: [hello] }, chat: { messages: [hello] } },
  {
    name: 'a conversation',
    request: {
      system: 'You are a harbour master.',
      messages: [hello, { role: 'assistant', content: [{ type: 'text', text: 'At seven.\n' }] }, { role: 'user', content: '谢谢!\n\nAnd the next?' }],
    },
    chat: {
      messages: [
        { role: 'system', content: 'You are a harbour master.' }, hello, { role: 'assistant', content: 'At seven.\n' },
        { role: 'user', content: '谢谢!\n\nAnd the next?' },
      ],
    },
  },
  {
    name: 'tools',
    request: { system: 'Be brief.', tools: [read.claude, bash.claude], messages: [hello] },
    chat: { tools: [read.chat, bash.chat], messages: [{ role: 'system', content: 'Be brief.' }, hello] },
  },
  {
    name: 'tools without a system prompt',
    request: { tools: [bash.claude], messages: [hello] },
    chat: { tools: [bash.chat], messages: [hello] },
  },
  {
    name: 'a tool loop',
    request: {
      system: 'Be brief.',
      tools: [read.claude, bash.claude],
      messages: [
        hello,
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'The timetable is in a file.', signature: 'x' },
            { type: 'text', text: 'I look it up.' },
            { type: 'tool_use', id: 'a', name: 'Read', input: { file_path: '/srv/times.md' } },
            { type: 'tool_use', id: 'b', name: 'Bash', input: { command: 'date' } },
          ],
        },
        {
          role: 'user',
          content: [
            { type: 'tool_result', tool_use_id: 'a', content: '1\t07:00\n2\t19:30' },
            { type: 'tool_result', tool_use_id: 'b', content: [{ type: 'text', text: 'Thu 26 Nov' }] },
          ],
        },
      ],
    },
    chat: {
      tools: [read.chat, bash.chat],
      messages: [
        { role: 'system', content: 'Be brief.' },
        hello,
        {
          role: 'assistant',
          content: 'I look it up.',
          reasoning_content: 'The timetable is in a file.',
          tool_calls: [
            { function: { name: 'Read', arguments: { file_path: '/srv/times.md' } } },
            { function: { name: 'Bash', arguments: { command: 'date' } } },
          ],
        },
        { role: 'tool', content: '1\t07:00\n2\t19:30' },
        { role: 'tool', content: 'Thu 26 Nov' },
      ],
    },
  },
];
