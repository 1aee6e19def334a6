using System.Buffers;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.OpenAIResponses;

/// <summary>
/// The summary a model writes when the client asks for its history to be compacted. The client gets it in one piece, sealed; on the next turn
/// it stands where the history was.
/// </summary>
internal sealed class CompactionText(IBufferWriter<byte>? output) : IDisposable
{
    private const int KeepAliveEveryBytes = 2048;

    /// <summary>What the model is asked for, as the last user message.</summary>
    public const string Request =
        "Stop here and write a summary of this conversation, from which you could go on if all of it but the summary were gone. State: what the user wants, "
        + "in their own words where the words matter; what was done, with the names of files, functions and commands; what was found and decided, and why; "
        + "what failed; what is left to do, and the next step. Be precise and complete rather than short. Write only the summary, and call no tools.";

    /// <summary>What stands before a summary when it comes back.</summary>
    public const string Introduction = "This is your own summary of the conversation before this point; the conversation itself was removed to make room:";

    private readonly PooledBytes _text = new(4096);
    private readonly PooledBytes _thinking = new(4096);
    private int _sinceKeepAlive;

    public bool IsEmpty => _text.Length == 0 && _thinking.Length == 0;

    /// <param name="token">A JSON string with its quotes.</param>
    /// <param name="isThinking">Only counts when no text comes: some models say everything there.</param>
    public void Add(ReadOnlySpan<byte> token, bool isThinking)
    {
        (isThinking ? _thinking : _text).Write(token[1..^1]);
        _sinceKeepAlive += token.Length;
        if (_sinceKeepAlive < KeepAliveEveryBytes) return;
        // Nothing of the summary goes out before it is whole, and a silent connection is closed by whatever stands in between.
        _sinceKeepAlive = 0;
        output?.Write(": keep-alive\n\n"u8);
    }

    /// <summary>The summary as a JSON string with its quotes.</summary>
    public byte[] Token() => [(byte)'"', .. (_text.Length > 0 ? _text : _thinking).Span, (byte)'"'];

    public void Dispose()
    {
        _text.Dispose();
        _thinking.Dispose();
    }
}
