namespace QwenProxy.Simulator.Scenarios;

/// <summary>Which of the service's APIs a request came in by.</summary>
internal enum ApiDialect
{
    Chat,
    Completions,
    Embeddings,
    Messages,
    Responses,
}
