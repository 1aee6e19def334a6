using System.Text;
using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Resume;

/// <summary>A tool call as far as the client has it.</summary>
public sealed class SentCall(int index) : IDisposable
{
    private readonly PooledBytes _arguments = new(256);

    /// <summary>The <c>index</c> the client knows the call by.</summary>
    public int Index => index;

    public string Id { get; internal set; } = "";

    public string Name { get; internal set; } = "";

    public ReadOnlySpan<byte> Arguments => _arguments.Span;

    public void Dispose() => _arguments.Dispose();

    internal void Append(ReadOnlySpan<byte> arguments) => _arguments.Write(arguments);
}

/// <summary>One choice as far as the client has it.</summary>
public sealed class SentChoice(int index) : IDisposable
{
    private readonly PooledBytes _content = new(512);
    private readonly PooledBytes _reasoning = new(512);
    private readonly List<SentCall> _calls = [];

    public int Index => index;

    public bool RoleSent { get; internal set; }

    /// <summary>A finish reason went out: this choice is complete, whatever happens to the connection.</summary>
    public bool Finished { get; internal set; }

    /// <summary>Plain UTF-8.</summary>
    public ReadOnlySpan<byte> Content => _content.Span;

    /// <summary>Plain UTF-8.</summary>
    public ReadOnlySpan<byte> Reasoning => _reasoning.Span;

    /// <summary>In the order they began.</summary>
    public IReadOnlyList<SentCall> Calls => _calls;

    /// <summary>Text or a call has begun; thinking alone does not count.</summary>
    public bool TextBegun => _content.Length > 0 || _calls.Count > 0;

    public void Dispose()
    {
        _content.Dispose();
        _reasoning.Dispose();
        foreach (SentCall call in _calls) call.Dispose();
    }

    internal void Take(ChatEvent e, in EventPart part)
    {
        switch (part.Kind)
        {
            case PartKind.Role:
                RoleSent = true;
                break;
            case PartKind.Content:
                _content.Write(e.Text(part));
                break;
            case PartKind.Reasoning:
                _reasoning.Write(e.Text(part));
                break;
            case PartKind.ToolCall:
                TakeCall(e, part);
                break;
            case PartKind.Finish:
                Finished = true;
                break;
        }
    }

    private void TakeCall(ChatEvent e, in EventPart part)
    {
        (int at, string id, string name) = CallHead.Read(e, part);
        SentCall? call = at >= 0 ? _calls.Find(c => c.Index == at) : id.Length > 0 ? null : _calls.LastOrDefault();
        if (call is null) _calls.Add(call = new SentCall(at >= 0 ? at : _calls.Count));
        if (call.Id.Length == 0) call.Id = id;
        if (call.Name.Length == 0) call.Name = name;
        call.Append(e.Text(part));
    }
}

/// <summary>What a part of a tool call says besides its arguments, a stage's own words first.</summary>
internal static class CallHead
{
    /// <summary>The index is -1 when there is none; id and name are empty when absent.</summary>
    public static (int Index, string Id, string Name) Read(ChatEvent e, in EventPart part) => (
        part.NewToolIndex ?? part.ToolIndex,
        part.NewToolId ?? (part.ToolId.IsEmpty ? "" : e.PlainString(part.ToolId)),
        part.NewToolName ?? (part.ToolName.IsEmpty ? "" : e.PlainString(part.ToolName)));
}

/// <summary>
/// Remembers what the client was sent, so that a broken stream can be continued. It stands behind the repair chain and sees what the encoder
/// sees. Past <paramref name="maxBytes"/> it lets everything go: such an answer can no longer be resumed.
/// </summary>
public sealed class SentAnswer(int maxBytes = SentAnswer.DefaultMaxBytes) : IEventSink, IDisposable
{
    /// <summary>More than the longest answer of any model on offer, so that only a runaway stream reaches it.</summary>
    public const int DefaultMaxBytes = 4 * 1024 * 1024;

    private readonly SortedDictionary<int, SentChoice> _choices = [];
    private SentChoice? _last;
    private long _bytes;

    public IReadOnlyCollection<SentChoice> Choices => _choices.Values;

    /// <summary>The first event's <c>id</c>, a JSON token with quotes; null when it had none.</summary>
    public byte[]? IdToken { get; private set; }

    /// <summary>The model the first event named; null when it named none.</summary>
    public string? Model { get; private set; }

    /// <summary>Too long to be remembered.</summary>
    public bool Overflowed { get; private set; }

    /// <summary>Nothing but roles went out.</summary>
    public bool IsEmpty => !Overflowed && _choices.Values.All(c => !c.TextBegun && !c.Finished && c.Reasoning.IsEmpty);

    /// <summary>Every choice has its finish reason: a connection that dies now has lost nothing of the answer.</summary>
    public bool IsFinished => _choices.Count > 0 && _choices.Values.All(c => c.Finished);

    public SentChoice? Find(int choice) => _choices.GetValueOrDefault(choice);

    public void Push(ChatEvent chatEvent)
    {
        if (chatEvent.Kind != EventKind.Chunk) return;
        if (IdToken is null && !chatEvent.Id.IsEmpty) IdToken = chatEvent.Id.In(chatEvent.Data.Span).ToArray();
        if (Model is null && !chatEvent.Model.IsEmpty) Model = chatEvent.PlainString(chatEvent.Model);
        for (PartPlace place = PartPlace.Before; place <= PartPlace.After; place++) TakeParts(chatEvent, place);
    }

    public void Dispose()
    {
        foreach (SentChoice choice in _choices.Values) choice.Dispose();
    }

    private void TakeParts(ChatEvent e, PartPlace place)
    {
        foreach (ref readonly EventPart part in e.Parts)
        {
            if (part.Place != place || part.Removed) continue;
            SentChoice choice = _last?.Index == part.Choice ? _last : ChoiceOf(part.Choice);
            if (Overflowed)
            {
                choice.Finished |= part.Kind == PartKind.Finish;
                continue;
            }

            choice.Take(e, part);
            _bytes += part.Kind is PartKind.Role or PartKind.Finish ? 0 : e.Text(part).Length + (part.Kind == PartKind.ToolCall ? 64 : 0);
            if (_bytes > maxBytes) LetGo();
        }
    }

    private SentChoice ChoiceOf(int index)
    {
        if (!_choices.TryGetValue(index, out SentChoice? choice)) _choices.Add(index, choice = new SentChoice(index));
        return _last = choice;
    }

    private void LetGo()
    {
        Overflowed = true;
        foreach (SentChoice choice in _choices.Values) choice.Dispose();
    }
}
