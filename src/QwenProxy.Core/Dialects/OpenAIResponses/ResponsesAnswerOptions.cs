namespace QwenProxy.Core.Dialects.OpenAIResponses;

/// <summary>What an answer needs besides the events.</summary>
public sealed class ResponsesAnswerOptions
{
    public required ResponsesRequest Request { get; init; }

    /// <summary>Gives a new id's unique part (letters and digits) each time; prefixes such as <c>resp_</c> are added here.</summary>
    public required Func<string> NewId { get; init; }

    /// <summary>For <c>created_at</c> and <c>completed_at</c>, in seconds since 1970.</summary>
    public required TimeProvider Clock { get; init; }

    /// <summary>Where the answer is remembered when the request allows it; null keeps nothing.</summary>
    public ResponsesStore? Store { get; init; }

    /// <summary>The client the stored answer belongs to: its key's name, empty without keys.</summary>
    public string Client { get; init; } = "";
}
