using QwenProxy.Core.Events;

namespace QwenProxy.Core.Dialects.OpenAIResponses;

/// <summary>Responses for an upstream that speaks Responses itself.</summary>
public static class NativeResponses
{
    /// <summary>
    /// The request for such an upstream, or null when it must be translated: what it refers to is remembered here, and no upstream is known to take a
    /// client's tools other than functions (groups, free text, searches); reasoning that this proxy sealed means nothing to anybody else. An answer that
    /// is to be remembered is asked for natively all the same: it is remembered here as the client got it, whoever gave it.
    /// </summary>
    /// <param name="body">The client's body.</param>
    /// <param name="request">What was read of it.</param>
    /// <param name="whyNot">What stands in the way: <c>history</c>, <c>items</c>, <c>tools</c>, <c>sealed reasoning</c>; empty when nothing does.</param>
    public static NativeRequest? Of(ReadOnlyMemory<byte> body, ResponsesRequest request, out string whyNot)
    {
        bool onlyFunctions = !request.Fields.TryGetValue("tools", out RawJson tools) || tools.Items().TrueForAll(t => t.Member("type"u8).IsText("function"u8));
        whyNot = request.PreviousResponseId is not null || body.Span.IndexOf("\"item_reference\""u8) >= 0 ? "history"
            : body.Span.IndexOf(ReasoningEnvelope.Mark) >= 0 ? "sealed reasoning"
            : request.NeedsTranslation || request.IsCompaction ? "items"
            : !onlyFunctions || request.Dropped.Count > 0 ? "tools"
            : "";
        if (whyNot.Length > 0) return null;
        return new NativeRequest
        {
            Body = body,
            Dialect = WireDialect.OpenAIResponses,
            Model = request.Model,
            PathAt = profile => profile.ResponsesIgnores.Any(member => Says(request, member)) ? null : profile.ResponsesPath,
            UsualPath = "responses",
            LimitField = "max_output_tokens",
            NewReader = static () => new ResponsesEventReader(),
        };
    }

    /// <summary>Whether the request has the member and it means something.</summary>
    private static bool Says(ResponsesRequest request, string member)
    {
        if (member != "text.format") return request.Fields.TryGetValue(member, out RawJson value) && !value.IsNothing;
        return request.Fields.TryGetValue("text", out RawJson text) && text.Member("format"u8).Member("type"u8) is { IsString: true } type && !type.IsText("text"u8);
    }
}
