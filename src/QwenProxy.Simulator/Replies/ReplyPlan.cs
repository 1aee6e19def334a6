namespace QwenProxy.Simulator.Replies;

/// <summary>How a reply stops once its pieces are written.</summary>
internal enum ReplyEnding
{
    Complete,

    /// <summary>Nothing more until the client goes.</summary>
    Hang,

    /// <summary>The connection's sending side is closed in the middle of the body, politely: the client reads an early end.</summary>
    Fin,

    /// <summary>A TCP reset (over HTTP/2: the stream is reset).</summary>
    Reset,
}

/// <summary>
/// One reply as data: what is sent, in which pieces, with which waits and which end. Scenarios write plans and never touch a socket, so a
/// plan can be looked at without a server.
/// </summary>
internal sealed class ReplyPlan
{
    public int Status { get; set; } = 200;

    public string? ContentType { get; set; }

    public List<KeyValuePair<string, string>> Headers { get; } = [];

    /// <summary>The body; in a stream each piece is one event. Never changed in place: it may be shared between requests.</summary>
    public IReadOnlyList<ReadOnlyMemory<byte>> Pieces { get; set; } = [];

    /// <summary>Set for bodies of a known length; stays the length of the whole body when a cut shortens it.</summary>
    public long? ContentLength { get; set; }

    public TimeSpan DelayBeforeHeaders { get; set; }

    /// <summary>Between pieces; zero means as fast as the client reads.</summary>
    public TimeSpan Gap { get; set; }

    public bool FlushEachPiece { get; set; }

    public ReplyEnding Ending { get; set; }

    /// <summary>Status line and headers are sent also when no piece follows; a reply that breaks off without it sends nothing at all.</summary>
    public bool SendsHeaders { get; set; }

    /// <summary>Sent again and again while the reply hangs; empty for true silence.</summary>
    public ReadOnlyMemory<byte> WhileHanging { get; set; }

    public TimeSpan WhileHangingEvery { get; set; }

    public static ReplyPlan Json(int status, byte[] body) => Whole(status, "application/json", body);

    public static ReplyPlan Whole(int status, string contentType, byte[] body) =>
        new() { Status = status, ContentType = contentType, Pieces = [body], ContentLength = body.Length };

    public static ReplyPlan Stream(IReadOnlyList<ReadOnlyMemory<byte>> events) =>
        new() { ContentType = "text/event-stream", Pieces = events, SendsHeaders = true };
}
