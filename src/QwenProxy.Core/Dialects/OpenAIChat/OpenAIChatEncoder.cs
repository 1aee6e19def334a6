using System.Buffers;
using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.OpenAIChat;

/// <summary>
/// Writes events to an OpenAI chat client as an SSE stream. An event that nobody edited goes out in the bytes it came in.
/// </summary>
/// <param name="output">Where the stream goes; flushing is the caller's.</param>
/// <param name="usageAsked">False removes the usage-only event, which the proxy always asks for but this client did not.</param>
public sealed class OpenAIChatEncoder(IBufferWriter<byte> output, bool usageAsked) : IEventSink, IDisposable
{
    private readonly List<ByteRange> _chunks = [];
    private readonly ChunkRenderer _renderer = new();
    private PooledBytes? _rendered;
    private bool _doneWritten;

    /// <summary>After a resumed stream the first stream's id is kept, so that the client reads one answer. The JSON token with quotes.</summary>
    public byte[]? PinnedId { get; set; }

    public static ReadOnlySpan<byte> KeepAlive => ": keep-alive\n\n"u8;

    public void Push(ChatEvent chatEvent)
    {
        if (chatEvent.Kind == EventKind.Done)
        {
            RawFrame.Write(chatEvent.Raw.Span, output);
            _doneWritten = true;
            return;
        }

        // Without choices an event says nothing unless it reports usage to a client that asked: many read choices[0] unseen.
        bool original = chatEvent.Kind != EventKind.Chunk || chatEvent.ChoiceCount > 0 || (usageAsked && !chatEvent.Usage.IsEmpty);
        if (!original && !chatEvent.Edited) return;
        bool otherId = PinnedId is not null && !chatEvent.Id.IsEmpty && !chatEvent.Id.In(chatEvent.Data.Span).SequenceEqual(PinnedId);
        if (!chatEvent.Edited && !otherId) RawFrame.Write(chatEvent.Raw.Span, output);
        else WriteEdited(chatEvent, otherId, original);
    }

    /// <summary>The stream is complete. Writes the terminal marker unless upstream's own went out already.</summary>
    public void Finish()
    {
        if (!_doneWritten) output.Write("data: [DONE]\n\n"u8);
        _doneWritten = true;
    }

    /// <summary>The stream failed: the error as an event of its own, and no terminal marker.</summary>
    public void WriteError(ReadOnlySpan<byte> errorJson)
    {
        output.Write("data: "u8);
        output.Write(errorJson);
        output.Write("\n\n"u8);
    }

    public void Dispose() => _rendered?.Dispose();

    private void WriteEdited(ChatEvent e, bool otherId, bool original)
    {
        _rendered ??= new PooledBytes();
        _rendered.Clear();
        _chunks.Clear();
        if (e.Edited) _renderer.Render(e, _rendered, _chunks, original);
        else
        {
            _rendered.Write(e.Data.Span);
            _chunks.Add(new ByteRange(0, e.Data.Length));
        }

        foreach (ByteRange chunk in _chunks) RawFrame.Write(e, otherId ? WithPinnedId(chunk.In(_rendered.Span)) : chunk.In(_rendered.Span), output);
    }

    private ReadOnlySpan<byte> WithPinnedId(ReadOnlySpan<byte> json)
    {
        ByteRange id = JsonScanner.Find(json, "id"u8);
        if (id.IsEmpty) return json;
        byte[] pinned = [.. json[..id.Start], .. PinnedId!, .. json[id.End..]];
        return pinned;
    }
}
