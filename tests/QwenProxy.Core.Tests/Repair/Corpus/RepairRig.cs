using System.Buffers;
using System.Text;
using QwenProxy.Core.Dialects.OpenAIChat;
using QwenProxy.Core.Events;
using QwenProxy.Core.Repair;
using QwenProxy.Core.Repair.Stutter;
using QwenProxy.Wire;

namespace QwenProxy.Core.Tests.Repair.Corpus;

/// <summary>The way of a stream through the proxy, without the waiting: bytes, frames, events, the stutter stage, and the client's bytes.</summary>
internal sealed class RepairRig
{
    public StutterMode Mode { get; init; } = StutterMode.Auto;

    public DeltaHabit Deltas { get; init; }

    public StutterStanding Standing { get; init; }

    public bool KeyOrderMark { get; init; }

    public bool ExpectsJson { get; init; }

    public int HoldLimitBytes { get; init; } = 4096;

    /// <summary>Milliseconds between two events; when more than 150 the driver's timer lets go between them.</summary>
    public int GapMilliseconds { get; init; }

    public RepairReport Report { get; private set; } = new();

    public StutterStage Stage { get; private set; } = null!;

    /// <summary>The most events that waited at once.</summary>
    public int MostHeld { get; private set; }

    /// <summary>The same, without comments and empty deltas that waited behind them.</summary>
    public int MostHeldTexts { get; private set; }

    public string Run(string stream) => Encoding.UTF8.GetString(Run(Encoding.UTF8.GetBytes(stream)));

    public byte[] Run(byte[] stream, Func<int>? nextRead = null, bool asOneAnswer = false)
    {
        ArrayBufferWriter<byte> output = new();
        using OpenAIChatFold fold = new();
        using OpenAIChatEncoder encoder = new(output, usageAsked: true);
        RepairChain chain = NewChain(asOneAnswer ? fold : encoder);
        using SseFrameReader reader = new(1 << 20);
        using ChatEvent e = new();
        int at = 0;
        while (at < stream.Length)
        {
            Span<byte> room = reader.GetMemory().Span;
            int count = Math.Min(Math.Min(stream.Length - at, room.Length), nextRead?.Invoke() ?? int.MaxValue);
            stream.AsSpan(at, count).CopyTo(room);
            reader.Advance(count);
            at += count;
            while (reader.TryRead(out SseFrame frame)) Push(chain, frame, e);
        }

        if (reader.TryReadLast(out SseFrame last)) Push(chain, last, e);
        chain.Finish();
        if (asOneAnswer) fold.WriteTo(output);
        return output.WrittenSpan.ToArray();
    }

    public RepairChain NewChain(IEventSink sink)
    {
        Report = new RepairReport();
        Context = new RepairContext
        {
            Report = Report,
            Deltas = Deltas,
            StutterStanding = Standing,
            KeyOrderMark = KeyOrderMark,
            ExpectsJson = ExpectsJson,
            HoldLimitBytes = HoldLimitBytes,
        };
        Stage = new StutterStage(Context, Mode);
        return new RepairChain([Stage], sink);
    }

    private RepairContext Context { get; set; } = null!;

    private void Push(RepairChain chain, in SseFrame frame, ChatEvent e)
    {
        ChatEventDecoder.Decode(frame, e);
        Report.EventNumber++;
        if (GapMilliseconds > 0) Context.ArrivalMilliseconds += GapMilliseconds;
        int texts = CountsAsText(e) ? 1 : 0;
        chain.Push(e);
        Waiting = chain.IsHolding ? Waiting + 1 : 0;
        WaitingTexts = chain.IsHolding ? WaitingTexts + texts : 0;
        MostHeld = Math.Max(MostHeld, Waiting);
        MostHeldTexts = Math.Max(MostHeldTexts, WaitingTexts);
        if (GapMilliseconds > 150 && chain.IsHolding)
        {
            chain.LetGo();
            Waiting = WaitingTexts = 0;
        }
    }

    private static bool CountsAsText(ChatEvent e)
    {
        foreach (ref readonly EventPart part in e.Parts)
        {
            if (part.Kind is PartKind.Content or PartKind.Reasoning or PartKind.ToolCall && !e.Text(part).IsEmpty) return true;
        }

        return false;
    }

    private int WaitingTexts { get; set; }

    private int Waiting { get; set; }
}
