using System.Text;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.OpenAIResponses;

/// <summary>
/// Writes chat messages from items. Chat has one assistant message where this API has several items (reasoning, text, calls), and wants the results
/// of calls right behind them: what a client puts in between waits until they have all been said.
/// </summary>
internal sealed class ChatMessages(PooledBytes output, Translation translation) : IDisposable
{
    private readonly PooledBytes _reasoning = new(256);
    private readonly PooledBytes _text = new(256);
    private readonly PooledBytes _calls = new(256);
    private readonly List<string> _callIds = [];
    private readonly List<string> _unanswered = [];
    private readonly List<byte[]> _waiting = [];
    private bool _hasText;
    private bool _any;

    /// <summary>Reasoning of the assistant message to come. The inside of a JSON string.</summary>
    public void AddReasoning(ReadOnlySpan<byte> inside)
    {
        if (inside.IsEmpty) return;
        EndToolRound();
        if (_reasoning.Length > 0) _reasoning.Write("\\n\\n"u8);
        _reasoning.Write(inside);
    }

    /// <summary>Text of the assistant. The inside of a JSON string.</summary>
    public void AddAssistantText(ReadOnlySpan<byte> inside)
    {
        EndToolRound();
        if (_text.Length > 0 && inside.Length > 0) _text.Write("\\n\\n"u8);
        _text.Write(inside);
        _hasText = true;
    }

    /// <param name="callId">The inside of a JSON string.</param>
    /// <param name="name">The function's flat name.</param>
    /// <param name="arguments">A JSON string with its quotes.</param>
    public void AddCall(ReadOnlySpan<byte> callId, string name, ReadOnlySpan<byte> arguments)
    {
        EndToolRound();
        _calls.Write(_calls.Length > 0 ? ",{\"id\":\""u8 : "{\"id\":\""u8);
        _calls.Write(callId);
        _calls.Write("\",\"type\":\"function\",\"function\":{\"name\":"u8);
        _calls.Write(RawJson.Quote(name));
        _calls.Write(",\"arguments\":"u8);
        _calls.Write(arguments.Length > 2 ? arguments : "\"{}\""u8);
        _calls.Write("}}"u8);
        _callIds.Add(Encoding.UTF8.GetString(callId));
    }

    /// <param name="callId">The inside of a JSON string.</param>
    /// <param name="text">The inside of a JSON string.</param>
    /// <param name="media">What chat's tool messages cannot hold, as the content of a user message that follows; null when there is none.</param>
    public void AddToolOutput(ReadOnlySpan<byte> callId, ReadOnlySpan<byte> text, byte[]? media)
    {
        FlushAssistant();
        Begin("tool"u8);
        output.Write(",\"tool_call_id\":\""u8);
        output.Write(callId);
        output.Write("\",\"content\":\""u8);
        output.Write(text);
        output.Write("\"}"u8);
        _unanswered.Remove(Encoding.UTF8.GetString(callId));
        if (media is not null) _waiting.Add([.. "{\"role\":\"user\",\"content\":"u8, .. media, (byte)'}']);
        if (_unanswered.Count == 0) WriteWaiting();
    }

    /// <param name="role"><c>system</c>, <c>developer</c> or <c>user</c>.</param>
    /// <param name="content">A JSON string or a list of parts.</param>
    public void AddMessage(ReadOnlySpan<byte> role, ReadOnlySpan<byte> content)
    {
        FlushAssistant();
        byte[] message = [.. "{\"role\":\""u8, .. role, .. "\",\"content\":"u8, .. content, (byte)'}'];
        if (_unanswered.Count > 0) _waiting.Add(message);
        else WriteWhole(message);
    }

    public void Finish()
    {
        FlushAssistant();
        EndToolRound();
    }

    public void Dispose()
    {
        _reasoning.Dispose();
        _text.Dispose();
        _calls.Dispose();
    }

    /// <summary>The assistant speaks again: results that have not come by now will not come.</summary>
    private void EndToolRound()
    {
        _unanswered.Clear();
        WriteWaiting();
    }

    private void FlushAssistant()
    {
        if (!_hasText && _callIds.Count == 0)
        {
            // Reasoning that led to nothing: chat has no place for it.
            if (_reasoning.Length > 0) translation.Drop("input", "reasoning");
            _reasoning.Clear();
            return;
        }

        Begin("assistant"u8);
        output.Write(",\"content\":"u8);
        if (!_hasText) output.Write("null"u8);
        else
        {
            output.Write("\""u8);
            output.Write(_text.Span);
            output.Write("\""u8);
        }

        if (_reasoning.Length > 0)
        {
            output.Write(",\"reasoning_content\":\""u8);
            output.Write(_reasoning.Span);
            output.Write("\""u8);
        }

        if (_callIds.Count > 0)
        {
            output.Write(",\"tool_calls\":["u8);
            output.Write(_calls.Span);
            output.Write("]"u8);
        }

        output.Write("}"u8);
        _unanswered.AddRange(_callIds);
        _callIds.Clear();
        _reasoning.Clear();
        _text.Clear();
        _calls.Clear();
        _hasText = false;
    }

    private void WriteWaiting()
    {
        foreach (byte[] message in _waiting) WriteWhole(message);
        _waiting.Clear();
    }

    private void WriteWhole(ReadOnlySpan<byte> message)
    {
        if (_any) output.Write(","u8);
        _any = true;
        output.Write(message);
    }

    private void Begin(ReadOnlySpan<byte> role)
    {
        WriteWhole("{\"role\":\""u8);
        output.Write(role);
        output.Write("\""u8);
    }
}
