using System.Diagnostics;

namespace QwenProxy.Observability;

/// <summary>Names of OpenTelemetry's semantic conventions for generative AI, where the framework and the library have none.</summary>
internal static class GenAi
{
    public const string OperationName = "gen_ai.operation.name";
    public const string ProviderName = "gen_ai.provider.name";
    public const string RequestModel = "gen_ai.request.model";
    public const string ResponseModel = "gen_ai.response.model";
    public const string TokenType = "gen_ai.token.type";
    public const string ErrorType = "error.type";

    /// <summary>The conventions' word for a value that is none of those counted apart.</summary>
    public const string Other = "_OTHER";

    /// <summary>What answers where no account did.</summary>
    public const string OwnProvider = "qwen_proxy";

    /// <summary>The operation that a path asks for; null where it is no model's work, such as a file or a list.</summary>
    public static string? OperationOf(string path) => path switch
    {
        "/v1/chat/completions" or "/v1/messages" or "/v1/responses" => "chat",
        "/v1/completions" => "text_completion",
        "/v1/embeddings" => "embeddings",
        _ => null,
    };
}

/// <summary>One call of a model at an upstream, as metrics and spans name it.</summary>
/// <param name="Operation">Null where what was asked for is no model's work: then only a span is made.</param>
internal readonly record struct ModelCall(string? Operation, string Provider, string Model, Uri? Server)
{
    /// <summary>The labels that every metric of a client of models has.</summary>
    public TagList Tags(string? modelLabel, string? responseLabel)
    {
        TagList tags = new() { { GenAi.OperationName, Operation }, { GenAi.ProviderName, Provider } };
        if (modelLabel is not null) tags.Add(GenAi.RequestModel, modelLabel);
        if (responseLabel is not null) tags.Add(GenAi.ResponseModel, responseLabel);
        if (Server is null) return tags;
        tags.Add("server.address", Server.Host);
        tags.Add("server.port", Server.Port);
        return tags;
    }
}
