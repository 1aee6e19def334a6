using System.Buffers;
using System.Globalization;
using System.Text;
using QwenProxy.Core.Errors;
using QwenProxy.Core.Events;
using QwenProxy.Core.Ledger;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects.OpenAIResponses;

/// <summary>Responses for an upstream that speaks Responses itself.</summary>
public static class NativeResponses
{
    /// <summary>
    /// The request for such an upstream, or null when it must be translated: a whole answer is a fold of a chat stream; what is remembered is
    /// remembered here; tools other than functions are served by few; and reasoning that this proxy sealed means nothing to anybody else.
    /// </summary>
    public static NativeRequest? Of(ReadOnlyMemory<byte> body, ResponsesRequest request)
    {
        if (!request.Stream || request.Store || request.PreviousResponseId is not null || request.Dropped.Count > 0 || request.NeedsTranslation || request.IsCompaction) return null;
        if (body.Span.IndexOf(ReasoningEnvelope.Mark) >= 0 || body.Span.IndexOf("\"item_reference\""u8) >= 0) return null;
        if (request.Fields.TryGetValue("tools", out RawJson tools) && tools.Items().Exists(t => !t.Member("type"u8).IsText("function"u8))) return null;
        return new NativeRequest
        {
            Body = body,
            Model = request.Model,
            UrlAt = static (profile, baseUrl) => profile.ResponsesUrl(baseUrl),
            CreateAnswer = static output => new NativeResponsesAnswer(output),
        };
    }
}

/// <summary>Watches a native Responses stream.</summary>
public sealed class NativeResponsesAnswer(IBufferWriter<byte> output) : NativeAnswer
{
    private static readonly byte[] KeepAliveBytes = ": keep-alive\n\n"u8.ToArray();
    private bool _started;
    private byte[] _response = [];
    private long _sequence = -1;

    public override ReadOnlyMemory<byte> KeepAlive => KeepAliveBytes;

    /// <summary>Nothing: the last event holds the whole answer, and without it there is none.</summary>
    public override void Finish()
    {
    }

    /// <summary><c>response.failed</c> for the response that upstream began, with its id and the next number.</summary>
    public override void WriteError(ProxyError error)
    {
        JsonSplice failed = new();
        Replace(failed, "status"u8, "\"failed\""u8.ToArray());
        Replace(failed, "error"u8, ResponsesErrors.WriteFailure(error));
        string number = (_sequence + 1).ToString(CultureInfo.InvariantCulture);
        output.Write(Encoding.ASCII.GetBytes("event: response.failed\ndata: {\"type\":\"response.failed\",\"sequence_number\":" + number + ",\"response\":"));
        failed.WriteTo(_response, output);
        output.Write("}\n\n"u8);
    }

    protected override EventKind ReadEvent(ReadOnlySpan<byte> type, ReadOnlyMemory<byte> data)
    {
        if (!type.StartsWith("response."u8)) return _started ? EventKind.Silent : EventKind.Broken;
        ReadOnlySpan<byte> json = data.Span;
        _sequence = NumberOf(json, "sequence_number"u8) ?? _sequence + 1;
        ReadOnlySpan<byte> response = MemberOf(json, "response"u8);
        if (!_started)
        {
            // The first event brings the response; a stream that begins otherwise could not be ended in the dialect's own way.
            if (response.IsEmpty || response[0] != '{') return EventKind.Broken;
            _started = true;
            _response = response.ToArray();
        }

        if (type.SequenceEqual("response.failed"u8)) return Failed(ErrorIn(data, response));
        if (!type.SequenceEqual("response.completed"u8) && !type.SequenceEqual("response.incomplete"u8)) return EventKind.Chunk;
        NoteUsage(MemberOf(response, "usage"u8));
        IsFinished = true;
        return EventKind.Done;
    }

    private static ReadOnlyMemory<byte> ErrorIn(ReadOnlyMemory<byte> data, ReadOnlySpan<byte> response)
    {
        ReadOnlySpan<byte> error = MemberOf(response, "error"u8);
        return error.IsEmpty ? data : error.ToArray();
    }

    private void Replace(JsonSplice splice, ReadOnlySpan<byte> name, byte[] value)
    {
        ByteRange range = JsonScanner.Find(_response, name);
        if (!range.IsEmpty) splice.Replace(range, value);
        else splice.Insert(1, (byte[])[.. "\""u8, .. name, .. "\":"u8, .. value, (byte)',']);
    }

    private void NoteUsage(ReadOnlySpan<byte> usage)
    {
        if (usage.IsEmpty) return;
        Tokens = new TokenCounts(
            NumberOf(usage, "input_tokens"u8) ?? 0,
            NumberOf(usage, "output_tokens"u8) ?? 0,
            Cached: NumberOf(MemberOf(usage, "input_tokens_details"u8), "cached_tokens"u8) ?? 0,
            Reasoning: NumberOf(MemberOf(usage, "output_tokens_details"u8), "reasoning_tokens"u8) ?? 0);
    }
}
