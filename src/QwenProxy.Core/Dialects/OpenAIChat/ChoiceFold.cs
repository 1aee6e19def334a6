using System.Buffers;
using System.Globalization;
using System.Text;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.OpenAIChat;

/// <summary>One choice of a whole answer while it is gathered. Texts stay in their JSON spelling: joining two strings needs no decoding.</summary>
internal sealed class ChoiceFold(int index) : IDisposable
{
    private readonly List<KeyValuePair<string, byte[]>> _choice = [];
    private readonly List<KeyValuePair<string, byte[]>> _message = [];
    private readonly List<TextField> _texts = [];
    private readonly List<ToolFold> _tools = [];

    public void Add(ReadOnlySpan<byte> item)
    {
        JsonScanner members = new(item);
        while (members.MoveNext())
        {
            ReadOnlySpan<byte> value = members.Value.In(item);
            if (members.NameIs("index"u8)) continue;
            if (members.NameIs("delta"u8) || members.NameIs("message"u8)) AddDelta(value);
            else if (members.NameIs("logprobs"u8) && value[0] == '{') AddLogprobs(value);
            else if (members.NameIs("finish_reason"u8) && _choice.Any(m => m.Key == "finish_reason" && m.Value[0] == '"')) continue;
            else MemberList.Set(_choice, NameOf(members, item), value);
        }
    }

    public void WriteTo(IBufferWriter<byte> output)
    {
        output.Write(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{{\"index\":{index},\"message\":{{\"role\":")));
        int role = _message.FindIndex(m => m.Key == "role");
        output.Write(role >= 0 && _message[role].Value[0] == '"' ? _message[role].Value : "\"assistant\""u8);
        WriteTexts(output);
        foreach ((string name, byte[] value) in _message)
        {
            if (name != "role") WriteMember(output, name, value);
        }

        if (_tools.Count > 0) WriteTools(output);
        output.Write("}"u8);
        if (!_choice.Any(m => m.Key == "finish_reason")) output.Write(",\"finish_reason\":null"u8);
        foreach ((string name, byte[] value) in _choice) WriteMember(output, name, value);
        output.Write("}"u8);
    }

    public void Dispose()
    {
        foreach (TextField text in _texts) text.Inside.Dispose();
        foreach (ToolFold tool in _tools) tool.Arguments.Dispose();
    }

    private static string NameOf(in JsonScanner members, ReadOnlySpan<byte> json) => Encoding.UTF8.GetString(json[(members.Name.Start + 1)..(members.Name.End - 1)]);

    private static void WriteMember(IBufferWriter<byte> output, string name, ReadOnlySpan<byte> value)
    {
        output.Write(",\""u8);
        output.Write(Encoding.UTF8.GetBytes(name));
        output.Write("\":"u8);
        output.Write(value);
    }

    /// <summary>Content is null beside tool calls that came without text, as DashScope and OpenAI answer, and "" where nothing was said at all.</summary>
    private void WriteTexts(IBufferWriter<byte> output)
    {
        TextField? content = _texts.Find(t => t.Name == "content");
        if (content is null || (content.Inside.Length == 0 && _tools.Count > 0))
        {
            output.Write(_tools.Count > 0 ? ",\"content\":null"u8 : ",\"content\":\"\""u8);
        }

        foreach (TextField text in _texts)
        {
            if (text.Inside.Length == 0 && (text.Name != "content" || _tools.Count > 0)) continue;
            output.Write(",\""u8);
            output.Write(Encoding.UTF8.GetBytes(text.Name));
            output.Write("\":\""u8);
            output.Write(text.Inside.Span);
            output.Write("\""u8);
        }
    }

    private void WriteTools(IBufferWriter<byte> output)
    {
        output.Write(",\"tool_calls\":["u8);
        bool first = true;
        foreach (ToolFold tool in _tools)
        {
            if (!first) output.Write(","u8);
            first = false;
            tool.WriteTo(output);
        }

        output.Write("]"u8);
    }

    private void AddDelta(ReadOnlySpan<byte> delta)
    {
        JsonScanner members = new(delta);
        while (members.MoveNext())
        {
            ReadOnlySpan<byte> value = members.Value.In(delta);
            if (members.NameIs("tool_calls"u8)) AddTools(value);
            else if (members.NameIs("role"u8)) MemberList.Set(_message, "role", value);
            else if (members.NameIs("content"u8) || members.NameIs("reasoning_content"u8) || members.NameIs("reasoning"u8) || members.NameIs("refusal"u8))
            {
                string name = NameOf(members, delta);
                if (value[0] is (byte)'"' or (byte)'n') AddText(name, value);
                else MemberList.Grow(_message, name, value);
            }
            else MemberList.Grow(_message, NameOf(members, delta), value);
        }
    }

    private void AddText(string name, ReadOnlySpan<byte> value)
    {
        if (value[0] != '"') return;
        TextField? text = _texts.Find(t => t.Name == name);
        if (text is null) _texts.Add(text = new TextField(name, new PooledBytes(256)));
        text.Inside.Write(value[1..^1]);
    }

    private void AddTools(ReadOnlySpan<byte> array)
    {
        if (array[0] != '[') return;
        JsonScanner items = new(array);
        while (items.MoveNext())
        {
            ReadOnlySpan<byte> item = items.Value.In(array);
            int toolIndex = OpenAIChatFold.ReadIndex(item);
            ToolFold? tool = _tools.Find(t => t.Index == toolIndex);
            if (tool is null) _tools.Add(tool = new ToolFold(toolIndex));
            tool.Add(item);
        }
    }

    /// <summary>Log probabilities come in pieces like the text; their arrays are joined.</summary>
    private void AddLogprobs(ReadOnlySpan<byte> value)
    {
        List<KeyValuePair<string, byte[]>> joined = [];
        int at = _choice.FindIndex(m => m.Key == "logprobs");
        if (at >= 0) GrowMembers(joined, _choice[at].Value);
        GrowMembers(joined, value);
        using PooledBytes text = new(256);
        foreach ((string name, byte[] member) in joined) WriteMember(text, name, member);
        MemberList.Set(_choice, "logprobs", text.Length == 0 ? "{}"u8 : [(byte)'{', .. text.Span[1..], (byte)'}']);
    }

    private static void GrowMembers(List<KeyValuePair<string, byte[]>> into, ReadOnlySpan<byte> json)
    {
        if (json[0] != '{') return;
        JsonScanner members = new(json);
        while (members.MoveNext()) MemberList.Grow(into, NameOf(members, json), members.Value.In(json));
    }

    private sealed record TextField(string Name, PooledBytes Inside);

    private sealed class ToolFold(int index)
    {
        private readonly List<KeyValuePair<string, byte[]>> _members = [];
        private readonly List<KeyValuePair<string, byte[]>> _function = [];

        public int Index => index;

        public PooledBytes Arguments { get; } = new(256);

        public void Add(ReadOnlySpan<byte> item)
        {
            JsonScanner members = new(item);
            while (members.MoveNext())
            {
                ReadOnlySpan<byte> value = members.Value.In(item);
                if (members.NameIs("function"u8) && value[0] == '{') AddFunction(value);
                else if (!members.NameIs("index"u8) && !value.SequenceEqual("\"\""u8)) MemberList.Set(_members, NameOf(members, item), value);
            }
        }

        public void WriteTo(IBufferWriter<byte> output)
        {
            output.Write(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{{\"index\":{index}")));
            foreach ((string name, byte[] value) in _members) WriteMember(output, name, value);
            output.Write(",\"function\":{\"arguments\":\""u8);
            output.Write(Arguments.Span);
            output.Write("\""u8);
            foreach ((string name, byte[] value) in _function) WriteMember(output, name, value);
            output.Write("}}"u8);
        }

        private void AddFunction(ReadOnlySpan<byte> function)
        {
            JsonScanner members = new(function);
            while (members.MoveNext())
            {
                ReadOnlySpan<byte> value = members.Value.In(function);
                if (members.NameIs("arguments"u8))
                {
                    if (value[0] == '"') Arguments.Write(value[1..^1]);
                    else if (value[0] == '{') JsonText.WriteInside(value, Arguments);
                }
                else if (!value.SequenceEqual("\"\""u8)) MemberList.Set(_function, NameOf(members, function), value);
            }
        }
    }
}
