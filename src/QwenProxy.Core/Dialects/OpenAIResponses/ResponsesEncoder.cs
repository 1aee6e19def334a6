using System.Buffers;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.OpenAIResponses;

/// <summary>
/// Says chat events as items of a response, and ends it in exactly one way. An item ends where another begins, so that clients that follow one
/// item at a time can read the stream; only a call whose arguments are not whole yet stays open beside the next item.
/// </summary>
internal sealed partial class ResponsesEncoder : IDisposable
{
    private readonly ResponsesAnswerOptions _options;
    private readonly EventLine _line;
    private readonly ItemEvents _events;
    private readonly ResponseObject _response;
    private readonly List<OutputItem> _items = [];
    private readonly PooledBytes _usage = new(512);
    private readonly PooledBytes _token = new(256);
    private readonly CompactionText? _compaction;
    private bool _begun;
    private bool _ended;
    private byte[] _incompleteReason = [];

    public ResponsesEncoder(IBufferWriter<byte>? output, ResponsesAnswerOptions options)
    {
        _options = options;
        ResponseId = "resp_" + options.NewId();
        _response = new ResponseObject(options, ResponseId);
        _line = new EventLine(output);
        _events = new ItemEvents(_line, options.NewId, options.Request.EncryptedReasoning);
        if (options.Request.IsCompaction) _compaction = new CompactionText(output);
    }

    public string ResponseId { get; private set; }

    public void Push(ChatEvent chatEvent)
    {
        if (chatEvent.Dialect == WireDialect.OpenAIResponses)
        {
            Pass(chatEvent);
            return;
        }

        if (_ended || chatEvent.Kind != EventKind.Chunk) return;
        TakeModel(chatEvent);
        Begin();
        TakeUsage(chatEvent);
        Say(chatEvent, PartPlace.Before);
        Say(chatEvent, PartPlace.Original);
        Say(chatEvent, PartPlace.After);
    }

    /// <summary>Ends the answer and returns the response object.</summary>
    public byte[] Finish()
    {
        if (_ended) return _final;
        if (_compaction is { IsEmpty: true }) return Fail(OwnErrors.ProtocolError("it wrote no summary of the conversation"));
        Begin();
        if (_compaction is not null) _events.Delta(Open(OutputKind.Compaction), _compaction.Token());
        _ended = true;
        bool cut = _incompleteReason.Length > 0;
        CloseItems(cut);
        _final = WriteResponse(cut ? "incomplete"u8 : "completed"u8, Usage() ?? default(UsageReport), _incompleteReason);
        Store(_final);
        _events.Response(cut ? "response.incomplete"u8 : "response.completed"u8, _final);
        return _final;
    }

    private void CloseItems(bool cut)
    {
        Settle();
        // Some clients take an answer without items for a failure of theirs.
        if (!_items.Exists(i => i.Announced) && !cut) Open(OutputKind.Message);
        foreach (OutputItem item in _items)
        {
            if (item.Closed || !item.Announced) continue;
            // A call that was cut off is shown in the answer but never ended: a client that sees it end would run it.
            if (cut && item.Kind == OutputKind.Call && !item.HasWholeArguments()) item.Json = item.Write("incomplete"u8, true, false);
            else _events.Close(item, cut && item.Kind == OutputKind.Message && item == _items[^1]);
        }
    }

    /// <summary>Ends the answer as failed and returns the response object; nothing when it has ended before.</summary>
    public byte[] Fail(ProxyError error)
    {
        if (_ended) return [];
        Begin();
        _ended = true;
        foreach (OutputItem item in _items)
        {
            if (!item.Closed && item.Announced && item.Kind != OutputKind.Other) item.Json = item.Write("incomplete"u8, true, false);
        }

        _final = WriteResponse("failed"u8, Usage(), default, ResponsesErrors.WriteFailure(error));
        _events.Response("response.failed"u8, _final);
        return _final;
    }

    public void Dispose()
    {
        foreach (OutputItem item in _items) item.Dispose();
        foreach (ChatEvent frame in _heldFrames) frame.Dispose();
        _usage.Dispose();
        _token.Dispose();
        _compaction?.Dispose();
    }

    private UsageReport? Usage() => _usage.Length == 0 ? null : UsageReport.Read(new RawJson(_usage.Memory));

    private IEnumerable<byte[]> OutputJson() => Announced().Select(i => i.Json);

    private IEnumerable<OutputItem> Announced() => _items.Where(i => i.Announced).OrderBy(i => i.Index);

    private void TakeUsage(ChatEvent e)
    {
        if (e.UsageJson.IsEmpty) return;
        _usage.Clear();
        _usage.Write(e.UsageJson);
    }

    private void Begin()
    {
        if (_begun) return;
        _begun = true;
        using PooledBytes json = new(4096);
        _response.WriteTo(json, "in_progress"u8, [], null);
        _events.Response("response.created"u8, json.Span);
        _events.Response("response.in_progress"u8, json.Span);
    }

    /// <summary>After a failover or a resume another model may be speaking; later events name the one that does.</summary>
    private void TakeModel(ChatEvent e)
    {
        ReadOnlySpan<byte> model = e.Model.In(e.Data.Span);
        if (model.Length > 2 && model[0] == '"' && !model.SequenceEqual(_response.Model)) _response.Model = model.ToArray();
    }

    /// <summary>The parts of one place. What one event says at once is said in a model's own order: thinking, text, calls, end.</summary>
    private void Say(ChatEvent e, PartPlace place)
    {
        foreach (ref readonly EventPart part in e.Parts)
        {
            if (part.Kind == PartKind.Withdrawal && part.Place == place && part.Choice == 0) Withdraw();
        }

        SayTexts(e, place, PartKind.Reasoning);
        SayTexts(e, place, PartKind.Content);
        Span<EventPart> parts = e.Parts;
        for (int i = 0; i < parts.Length; i++)
        {
            ref readonly EventPart part = ref parts[i];
            if (part.Place != place || part.Removed || part.Choice != 0) continue;
            if (part.Kind == PartKind.ToolCall && _compaction is null) SayCall(e, part);
            else if (part.Kind == PartKind.Finish) TakeFinish(e.Text(part));
        }
    }

    /// <summary>The open message was none. Only a whole answer can take it back, where nobody was told of it.</summary>
    private void Withdraw()
    {
        if (Current(OutputKind.Message) is not { } message) return;
        _items.Remove(message);
        message.Dispose();
    }

    private void SayTexts(ChatEvent e, PartPlace place, PartKind kind)
    {
        Span<EventPart> parts = e.Parts;
        ReadOnlySpan<byte> said = default;
        for (int i = 0; i < parts.Length; i++)
        {
            ref readonly EventPart part = ref parts[i];
            if (part.Kind != kind || part.Place != place || part.Removed || part.Choice != 0) continue;
            ReadOnlySpan<byte> token = Token(e, part, part.Value);
            if (token.Length <= 2) continue;
            // Some upstreams say the same thinking in two fields of one event.
            if (kind == PartKind.Reasoning && place == PartPlace.Original && !part.HasNewText)
            {
                if (token.SequenceEqual(said)) continue;
                said = token;
            }

            if (_compaction is not null)
            {
                _compaction.Add(token, isThinking: kind == PartKind.Reasoning);
                continue;
            }

            OutputKind output = kind == PartKind.Content ? OutputKind.Message : OutputKind.Reasoning;
            OutputItem item = Current(output) ?? Open(output);
            SettleBefore(item, inOwnWords: true);
            _events.Delta(item, token);
        }
    }

    /// <summary>A part's text as a JSON string: the upstream's own spelling where no stage changed it.</summary>
    private ReadOnlySpan<byte> Token(ChatEvent e, in EventPart part, ByteRange original)
    {
        if (!part.HasNewText) return original.In(e.Data.Span);
        _token.Clear();
        JsonText.WriteString(e.Text(part), _token);
        return _token.Span;
    }

    private OutputItem? Current(OutputKind kind) =>
        _items.Count > 0 && _items[^1] is { Closed: false } last && last.Kind == kind ? last : null;

    private OutputItem Open(OutputKind kind, int toolIndex = -1)
    {
        CloseFinished();
        _differs = true;
        OutputItem item = new(kind) { ToolIndex = toolIndex };
        _items.Add(item);
        if (kind != OutputKind.Call) _events.Announce(item);
        return item;
    }

    private void CloseFinished()
    {
        LeaveHeld();
        foreach (OutputItem item in _items)
        {
            if (!item.Closed && (item.Kind != OutputKind.Call || (item.Announced && item.HasWholeArguments()))) _events.Close(item, false);
        }
    }

    private void SayCall(ChatEvent e, in EventPart part)
    {
        int toolIndex = part.NewToolIndex ?? part.ToolIndex;
        string callId = part.NewToolId ?? e.PlainString(part.ToolId);
        string name = part.NewToolName ?? e.PlainString(part.ToolName);
        OutputItem call = FindCall(toolIndex, callId, name) ?? Open(OutputKind.Call, toolIndex);
        if (call.Closed) return;
        SettleBefore(call, inOwnWords: true);
        if (call.CallId.Length == 0) call.CallId = callId;
        if (!call.Announced && name.Length > 0)
        {
            call.Tool = _options.Request.Tools.Find(name);
            if (call.CallId.Length == 0) call.CallId = "call_" + _options.NewId();
            _events.Announce(call);
        }

        ReadOnlySpan<byte> arguments = Token(e, part, part.ToolArguments);
        // Upstream's own call without arguments stays as it was announced.
        if (arguments.IsEmpty || (call is { IsPassed: true, Inside.Length: 0 } && part.HasNewText && arguments.SequenceEqual("\"{}\""u8))) return;
        if (arguments[0] == '{')
        {
            // Arguments as an object, where the API wants text that holds one.
            _token.Clear();
            JsonText.WriteString(arguments, _token);
            arguments = _token.Span;
        }

        if (arguments.Length > 2 && arguments[0] == '"') _events.Delta(call, arguments);
    }

    /// <summary>
    /// The call a piece belongs to. Without an index a piece with an id of its own begins a call, and so does one with a name behind a whole call;
    /// any other continues the last.
    /// </summary>
    private OutputItem? FindCall(int toolIndex, string callId, string name)
    {
        for (int i = _items.Count - 1; i >= 0; i--)
        {
            OutputItem item = _items[i];
            if (item.Kind != OutputKind.Call) continue;
            if (toolIndex >= 0 || callId.Length > 0)
            {
                if (toolIndex >= 0 ? item.ToolIndex == toolIndex : item.CallId == callId) return item;
                continue;
            }

            return name.Length > 0 && item.HasWholeArguments() ? null : item;
        }

        return null;
    }

    private void TakeFinish(ReadOnlySpan<byte> reason)
    {
        if (reason.SequenceEqual("length"u8)) _incompleteReason = "max_output_tokens"u8.ToArray();
        else if (reason.SequenceEqual("content_filter"u8)) _incompleteReason = "content_filter"u8.ToArray();
        else _incompleteReason = [];
    }
}
