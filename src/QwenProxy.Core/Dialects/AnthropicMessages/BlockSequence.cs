using System.Text;
using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.AnthropicMessages;

/// <summary>
/// Turns the events of a chat stream into a message's blocks, one after another. Chat streams may interleave parallel calls and text; blocks
/// may not, so what comes while a call is unfinished waits for it. The message ends only with <see cref="Finish"/>: the usage report comes
/// after the finish reason, and a resumed stream may go on after a cut.
/// </summary>
internal sealed partial class BlockSequence(BlockWriter writer, MessagesAnswerOptions options) : IDisposable
{
    private readonly OpenBlock _open = new(writer, options);
    private readonly Queue<WaitingBlock> _waiting = new();
    private readonly List<int> _doneKeys = [];
    private byte[]? _pinnedId;
    private string? _finishReason;
    private string? _stopSequence;
    private MessagesUsage? _usage;
    private bool _started;
    private bool _hasCalls;
    private int _lastKey = -1;

    /// <summary>Another stream goes on with the message: what it says of its own blocks is not about the ones that are open here.</summary>
    public void Continue(byte[] idToken)
    {
        _pinnedId = idToken;
        _open.Detach();
    }

    public void Push(ChatEvent e)
    {
        if (e.Dialect == WireDialect.AnthropicMessages)
        {
            Pass(e);
            return;
        }

        if (e.Kind != EventKind.Chunk) return;
        if (!_started) Start(e.Id.In(e.Data.Span), e.Model.In(e.Data.Span));
        NoteUsage(e);
        if (e.Edited) SayAll(e, PartPlace.Before);
        SayAll(e, PartPlace.Original);
        if (e.Edited) SayAll(e, PartPlace.After);
    }

    public void Finish()
    {
        if (_ended) return;
        _ended = true;
        if (_endPassed)
        {
            writer.EndPassed(null);
            return;
        }

        if (!_started) Start(default, default);
        CloseAll();
        (string reason, string? sequence) = StopReason();
        writer.End(reason, sequence, _usage ?? new MessagesUsage(options.InputTokensEstimate, 0, 0, 0));
    }

    public void Dispose()
    {
        foreach (WaitingBlock block in _waiting) block.Inside.Dispose();
        _open.Dispose();
        writer.Dispose();
    }

    private void Start(ReadOnlySpan<byte> idToken, ReadOnlySpan<byte> modelToken)
    {
        _started = true;
        byte[] model = options.Model is not null && !options.IsOnFallback() ? JsonText.Quote(options.Model) : JsonField.IsString(modelToken) ? modelToken.ToArray() : "\"\""u8.ToArray();
        writer.Start(MessageId.From(_pinnedId ?? idToken, options.NewId), model, new MessagesUsage(options.InputTokensEstimate, 0, 0, 0));
    }

    private void NoteUsage(ChatEvent e)
    {
        if (!e.UsageJson.IsEmpty) _usage = MessagesUsage.Read(e.UsageJson);
    }

    private void SayAll(ChatEvent e, PartPlace place)
    {
        ByteRange thought = default;
        foreach (ref readonly EventPart part in e.Parts)
        {
            if (part.Place != place || part.Removed || part.Choice != 0) continue;
            switch (part.Kind)
            {
                case PartKind.Content:
                    Say(e, part, BlockKind.Text, 0);
                    break;
                case PartKind.Reasoning when !IsMirror(e, part, ref thought):
                    if (options.Display != ThinkingDisplay.Hidden) Say(e, part, BlockKind.Thinking, 0);
                    else _open.CountUnshown(e.Text(part).Length);
                    break;
                case PartKind.ToolCall:
                    SayCall(e, part);
                    break;
                case PartKind.Withdrawal when _open.Is(BlockKind.Text, 0):
                    _open.Forget();
                    break;
                case PartKind.Finish:
                    NoteFinish(e, part);
                    break;
            }
        }
    }

    /// <summary>Some upstreams send one thought in two fields of one event.</summary>
    private static bool IsMirror(ChatEvent e, in EventPart part, ref ByteRange first)
    {
        if (part.Place != PartPlace.Original || part.HasNewText) return false;
        if (!first.IsEmpty && part.Value.In(e.Data.Span).SequenceEqual(first.In(e.Data.Span))) return true;
        first = part.Value;
        return false;
    }

    private void SayCall(ChatEvent e, in EventPart part)
    {
        string id = part.NewToolId ?? (part.ToolId.Length > 2 ? e.PlainString(part.ToolId) : "");
        string name = part.NewToolName ?? (part.ToolName.Length > 2 ? e.PlainString(part.ToolName) : "");
        int index = part.NewToolIndex ?? part.ToolIndex;
        int key = index >= 0 ? index : id.Length > 0 && name.Length > 0 ? _lastKey + 1 : Math.Max(_lastKey, 0);
        _lastKey = key;
        bool isOther = id.Length > 0 && name.Length > 0 && _open.Is(BlockKind.ToolUse, key) && _open.CanClose && _open.ToolId != id;
        if (isOther) CloseOpen();
        if (_doneKeys.Contains(key))
        {
            // What trails a finished call is white space. A new name under its number is another call: some upstreams number all calls 0.
            if (name.Length == 0) return;
            _doneKeys.Remove(key);
        }

        _hasCalls = true;
        Say(e, part, BlockKind.ToolUse, key, id, name);
        if (_waiting.Count > 0) Advance();
    }

    private void Say(ChatEvent e, in EventPart part, BlockKind kind, int key, string id = "", string name = "")
    {
        ReadOnlySpan<byte> token = (kind == BlockKind.ToolUse ? part.ToolArguments : part.Value).In(e.Data.Span);
        ReadOnlySpan<byte> inside = part.HasNewText ? default : JsonField.Inside(token);
        scoped ReadOnlySpan<byte> plain = part.HasNewText || kind != BlockKind.Text ? e.Text(part) : inside;
        // Arguments as an object where a string belongs: its text is what the string would have said.
        if (!part.HasNewText && JsonField.IsObject(token)) plain = token;
        if (plain.IsEmpty && kind != BlockKind.ToolUse) return;
        // Upstream's own call without arguments has the empty input that it was announced with.
        if (part.HasNewText && _open.Is(kind, key) && _open is { IsPassed: true, HasSpoken: false } && plain.SequenceEqual("{}"u8)) return;
        if (!_open.Is(kind, key))
        {
            if (_waiting.Count > 0 || !_open.CanClose)
            {
                Wait(kind, key, id, name, inside, plain);
                return;
            }

            CloseOpen();
            Open(kind, key, id, name);
        }

        if (!plain.IsEmpty) _open.Append(inside, plain);
    }

    private void Open(BlockKind kind, int key, string id, string name) =>
        _open.Open(kind, key, kind == BlockKind.ToolUse && id.Length == 0 ? "call_" + options.NewId() : id, name);

    private void CloseOpen()
    {
        if (_open.IsOpen && _open.Kind == BlockKind.ToolUse) _doneKeys.Add(_open.ToolKey);
        _open.Close();
    }

    private void Wait(BlockKind kind, int key, string id, string name, ReadOnlySpan<byte> inside, ReadOnlySpan<byte> plain)
    {
        WaitingBlock? block = null;
        foreach (WaitingBlock waiting in _waiting)
        {
            // Text joins the text that waits last; a call's pieces belong together wherever they come.
            bool same = waiting.Kind == kind && waiting.Key == key;
            block = kind == BlockKind.ToolUse ? (same ? waiting : block) : (same ? waiting : null);
        }

        if (block is null) _waiting.Enqueue(block = new WaitingBlock(kind, key, id, name));
        if (inside.IsEmpty) JsonText.WriteInside(plain, block.Inside);
        else block.Inside.Write(inside);
    }

    private void Advance()
    {
        while (_waiting.Count > 0 && _open.CanClose)
        {
            CloseOpen();
            OpenWaiting();
        }
    }

    private void OpenWaiting()
    {
        WaitingBlock block = _waiting.Dequeue();
        Open(block.Kind, block.Key, block.Id, block.Name);
        using PooledBytes plain = new(block.Inside.Length);
        JsonText.Unescape(block.Inside.Span, plain);
        if (plain.Length > 0) _open.Append(block.Inside.Span, plain.Span);
        block.Inside.Dispose();
    }

    private void NoteFinish(ChatEvent e, in EventPart part)
    {
        if (_finishReason is not null) return;
        _finishReason = Encoding.UTF8.GetString(e.Text(part));
        if (options.StopSequences.Count > 0) _stopSequence = MatchedStop.Find(e.Choices.In(e.Data.Span), options.StopSequences);
    }

    private (string Reason, string? Sequence) StopReason()
    {
        if (_finishReason == "length") return ("max_tokens", null);
        if (_finishReason == "content_filter") return ("refusal", null);
        if (_hasCalls) return ("tool_use", null);
        return _stopSequence is null ? ("end_turn", null) : ("stop_sequence", _stopSequence);
    }

    private sealed class WaitingBlock(BlockKind kind, int key, string id, string name)
    {
        public BlockKind Kind => kind;

        public int Key => key;

        public string Id => id;

        public string Name => name;

        public PooledBytes Inside { get; } = new(256);
    }
}
