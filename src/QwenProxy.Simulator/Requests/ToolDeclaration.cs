namespace QwenProxy.Simulator.Requests;

/// <summary>A function the request offers, with its JSON schema as text (<c>{}</c> when it has none).</summary>
internal sealed record ToolDeclaration(string Name, string Schema);
