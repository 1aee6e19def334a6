using System.Buffers;
using System.Globalization;
using System.Text;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.OpenAIChat;

/// <summary>One choice of a whole answer while it is gathered.</summary>
internal sealed class ChoiceFold(int index) : IDisposable
{
    private readonly PiecedValue _choice = new();
    private readonly PiecedValue _message = new();

    public void Add(ReadOnlySpan<byte> item)
    {
        JsonScanner members = new(item);
        while (members.MoveNext())
        {
            ReadOnlySpan<byte> value = members.Value.In(item);
            if (members.NameIs("index"u8)) continue;
            if ((members.NameIs("delta"u8) || members.NameIs("message"u8)) && value[0] == '{') AddDelta(value);
            else _choice.Member(item[(members.Name.Start + 1)..(members.Name.End - 1)]).Add(value, TextJoin.Replace);
        }
    }

    /// <summary>What came as content so far was none.</summary>
    public void WithdrawContent() => _message.Find("content"u8)?.Clear();

    public void WriteTo(IBufferWriter<byte> output)
    {
        output.Write(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{{\"index\":{index},\"message\":{{\"role\":")));
        if (_message.Find("role"u8) is { IsString: true, IsEmpty: false } role) role.WriteTo(output);
        else output.Write("\"assistant\""u8);
        WriteMessage(output);
        output.Write("}"u8);
        if (_choice.Find("finish_reason"u8) is null) output.Write(",\"finish_reason\":null"u8);
        foreach ((byte[] name, PiecedValue value) in _choice.Members) WriteMember(output, name, value);
        output.Write("}"u8);
    }

    public void Dispose()
    {
        _choice.Dispose();
        _message.Dispose();
    }

    private static void WriteMember(IBufferWriter<byte> output, ReadOnlySpan<byte> name, PiecedValue value)
    {
        output.Write(","u8);
        PiecedValue.WriteName(output, name);
        value.WriteTo(output);
    }

    /// <summary>Content is null beside tool calls that came without text, as DashScope and OpenAI answer, and "" where nothing was said at all.</summary>
    private void WriteMessage(IBufferWriter<byte> output)
    {
        bool calls = _message.Find("tool_calls"u8) is { Items.Count: > 0 };
        if (_message.Find("content"u8) is not { IsEmpty: false }) output.Write(calls ? ",\"content\":null"u8 : ",\"content\":\"\""u8);
        foreach ((byte[] name, PiecedValue value) in _message.Members)
        {
            if (name.AsSpan().SequenceEqual("role"u8) || (value.IsEmpty && IsText(name))) continue;
            if (name.AsSpan().SequenceEqual("tool_calls"u8) && !CompleteCalls(value)) continue;
            WriteMember(output, name, value);
        }

        // Every whole message has it, by OpenAI's description; some upstreams leave it out of their deltas.
        if (_message.Find("refusal"u8) is not { IsEmpty: false }) output.Write(",\"refusal\":null"u8);
    }

    private static bool IsText(ReadOnlySpan<byte> name) =>
        name.SequenceEqual("content"u8) || name.SequenceEqual("reasoning_content"u8) || name.SequenceEqual("reasoning"u8) || name.SequenceEqual("refusal"u8);

    /// <summary>Every call has arguments, if only empty ones. False when there is no call.</summary>
    private static bool CompleteCalls(PiecedValue calls)
    {
        foreach (PiecedValue call in calls.Items)
        {
            if (call.Members.Count == 0) continue;
            PiecedValue arguments = call.Member("function"u8).Member("arguments"u8);
            if (arguments.IsEmpty) arguments.Add("\"\""u8, TextJoin.Add);
        }

        return calls.Items.Count > 0;
    }

    private void AddDelta(ReadOnlySpan<byte> delta)
    {
        JsonScanner members = new(delta);
        while (members.MoveNext())
        {
            ReadOnlySpan<byte> value = members.Value.In(delta);
            PiecedValue member = _message.Member(delta[(members.Name.Start + 1)..(members.Name.End - 1)]);
            if (members.NameIs("tool_calls"u8) && value[0] == '[') member.AddItems(value, TextJoin.Add, defaultIndex: 0);
            else member.Add(value, members.NameIs("role"u8) ? TextJoin.Keep : TextJoin.Add);
        }
    }
}
