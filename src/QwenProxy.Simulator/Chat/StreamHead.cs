namespace QwenProxy.Simulator.Chat;

/// <summary>What all chunks of one answer share. <see cref="Created"/> is in Unix seconds.</summary>
internal readonly record struct StreamHead(string Uuid, string Model, long Created)
{
    public string Id => "chatcmpl-" + Uuid;
}
