using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.AnthropicMessages;

/// <summary>
/// Writes the conversation as chat messages. Tool results become messages of their own right after the call they answer; whatever else stands
/// between a call and its results (other content of the same user turn, a system message) waits until the results are said, since the chat
/// dialect allows nothing in between.
/// </summary>
internal sealed class HistoryWriter(Translation translation) : IDisposable
{
    private readonly MarkedBytes _deferred = new();
    private readonly ContentParts _content = new();
    private readonly ContentParts _result = new();
    private readonly PooledBytes _reasoning = new(1024);
    private readonly PooledBytes _calls = new(1024);
    private readonly HashSet<string> _outstanding = [];
    private bool _markEnd;
    private bool _isLastMessage;
    private bool _turnHasResults;

    /// <summary>The items of the <c>messages</c> array, without its brackets.</summary>
    public MarkedBytes Output { get; } = new();

    private MarkedBytes Target => _outstanding.Count > 0 ? _deferred : Output;

    /// <param name="markEnd">The request asks for its whole prompt to be cached: the end of its last user turn is marked.</param>
    public bool Write(ReadOnlySpan<byte> system, ReadOnlySpan<byte> messages, bool markEnd)
    {
        if (!WriteSystem(system, isFirst: true)) return false;
        JsonScanner items = new(messages);
        while (items.MoveNext())
        {
            _isLastMessage = IsLast(items, messages);
            _markEnd = markEnd && _isLastMessage;
            if (!WriteMessage(items.Value.In(messages))) return false;
        }

        Output.TakeAll(_deferred);
        return true;
    }

    public void Dispose()
    {
        Output.Dispose();
        _deferred.Dispose();
        _content.Dispose();
        _result.Dispose();
        _reasoning.Dispose();
        _calls.Dispose();
    }

    private static bool IsLast(in JsonScanner items, ReadOnlySpan<byte> array) => array[JsonScanner.SkipSpace(array, items.Position)] == ']';

    private bool WriteMessage(ReadOnlySpan<byte> message)
    {
        ReadOnlySpan<byte> role = default, content = default;
        JsonScanner members = new(JsonField.IsObject(message) ? message : "{}"u8);
        while (members.MoveNext())
        {
            if (members.NameIs("role"u8)) role = members.Value.In(message);
            else if (members.NameIs("content"u8)) content = members.Value.In(message);
        }

        if (content.SequenceEqual("null"u8)) content = default;
        if (content.IsEmpty) return translation.Fail("Every message needs \"content\".", param: "messages");
        if (JsonField.StringIs(role, "user"u8)) return WriteUser(content);
        if (JsonField.StringIs(role, "assistant"u8)) return WriteAssistant(content);
        if (JsonField.StringIs(role, "system"u8)) return WriteSystem(content, isFirst: false);
        return translation.Fail("Every message needs a \"role\" of \"user\", \"assistant\" or \"system\".", param: "messages");
    }

    private bool WriteSystem(ReadOnlySpan<byte> content, bool isFirst)
    {
        _content.Clear();
        if (isFirst && translation.Options.RemoveBillingBlock)
        {
            if (!BillingBlock.ReadWithout(content, _content, translation)) return false;
        }
        else if (!ContentReader.Read(content, _content, translation)) return false;

        if (_content.Count > 0) WriteParts(Target, "{\"role\":\"system\",\"content\":"u8);
        return true;
    }

    private bool WriteUser(ReadOnlySpan<byte> content)
    {
        _content.Clear();
        bool hadResults = false;
        if (JsonField.IsArray(content))
        {
            JsonScanner blocks = new(content);
            while (blocks.MoveNext())
            {
                ContentBlock block = ContentBlock.Read(blocks.Value.In(content));
                bool isResult = block.Is("tool_result"u8);
                hadResults |= isResult;
                _turnHasResults |= isResult;
                translation.RefuseUnreadable = _isLastMessage && !_turnHasResults;
                bool read = isResult ? WriteResult(block, _markEnd && IsLast(blocks, content)) : ContentReader.AddBlock(block, _content, translation);
                if (!read) return false;
            }
        }
        else if (!ContentReader.Read(content, _content, translation)) return false;

        if (_markEnd) _content.MarkLast();
        if (_outstanding.Count == 0) Output.TakeAll(_deferred);
        if (_content.Count > 0 || !hadResults) WriteParts(Target, "{\"role\":\"user\",\"content\":"u8);
        return true;
    }

    private void WriteParts(MarkedBytes target, ReadOnlySpan<byte> opening)
    {
        target.Separate();
        target.Write(opening);
        _content.WriteTo(target, "\\n\\n"u8, keepParts: translation.Options.CacheControl);
        target.Write("}"u8);
    }

    private bool WriteResult(in ContentBlock block, bool marked)
    {
        ReadOnlySpan<byte> id = block.ToolUseId;
        if (!JsonField.IsString(id)) return translation.Fail("Every tool_result needs a \"tool_use_id\".", param: "messages");
        _result.Clear();
        if (!ContentReader.Read(block.Content, _result, translation)) return false;
        if (JsonField.IsTrue(block.IsError)) _result.MarkAsError();
        _result.MoveImagesTo(_content, JsonField.Inside(id));
        if (marked || (translation.Options.CacheControl && block.IsMarked)) _result.MarkLast();
        Output.Separate();
        Output.Write("{\"role\":\"tool\",\"tool_call_id\":"u8);
        Output.Write(id);
        Output.Write(",\"content\":"u8);
        _result.WriteTo(Output, "\\n"u8, keepParts: false);
        Output.Write("}"u8);
        _outstanding.Remove(JsonField.Text(id));
        return true;
    }

    private bool WriteAssistant(ReadOnlySpan<byte> content)
    {
        _turnHasResults = false;
        translation.RefuseUnreadable = false;
        // Calls that were never answered: nothing more can come between.
        _outstanding.Clear();
        Output.TakeAll(_deferred);
        _content.Clear();
        _reasoning.Clear();
        _calls.Clear();
        if (JsonField.IsArray(content))
        {
            JsonScanner blocks = new(content);
            while (blocks.MoveNext())
            {
                if (!AddAssistantBlock(ContentBlock.Read(blocks.Value.In(content)))) return false;
            }
        }
        else if (!ContentReader.Read(content, _content, translation)) return false;

        Output.Separate();
        Output.Write("{\"role\":\"assistant\",\"content\":"u8);
        _content.WriteTo(Output, default, keepParts: false);
        WriteOptional(",\"reasoning_content\":\""u8, _reasoning.Span, "\""u8);
        WriteOptional(",\"tool_calls\":["u8, _calls.Span, "]"u8);
        Output.Write("}"u8);
        return true;
    }

    private void WriteOptional(ReadOnlySpan<byte> opening, ReadOnlySpan<byte> text, ReadOnlySpan<byte> closing)
    {
        if (text.IsEmpty) return;
        Output.Write(opening);
        Output.Write(text);
        Output.Write(closing);
    }

    private bool AddAssistantBlock(in ContentBlock block)
    {
        if (block.Is("tool_use"u8)) return AddCall(block);
        if (!block.Is("thinking"u8)) return ContentReader.AddBlock(block, _content, translation);
        if (!translation.Options.ReplayThinking)
        {
            translation.Drop("block:thinking");
            return true;
        }

        ReadOnlySpan<byte> words = JsonField.Inside(block.Thinking);
        if (!words.IsEmpty) _reasoning.Write(words);
        else ThinkingSignature.AppendCarried(JsonField.Text(block.Signature), _reasoning);
        return true;
    }

    private bool AddCall(in ContentBlock block)
    {
        ReadOnlySpan<byte> id = block.Id, name = block.Name, input = block.Input;
        if (!JsonField.IsString(id) || !JsonField.IsString(name))
            return translation.Fail("Every tool_use needs an \"id\" and a \"name\".", param: "messages");
        if (_calls.Length > 0) _calls.Write(","u8);
        _calls.Write("{\"id\":"u8);
        _calls.Write(id);
        _calls.Write(",\"type\":\"function\",\"function\":{\"name\":"u8);
        _calls.Write(name);
        _calls.Write(",\"arguments\":"u8);
        JsonText.WriteString(JsonField.IsObject(input) ? input : "{}"u8, _calls);
        _calls.Write("}}"u8);
        _outstanding.Add(JsonField.Text(id));
        translation.LoadedTools.Add(JsonField.Text(name));
        return true;
    }
}
