namespace QwenProxy.Benchmarks.Load;

/// <summary>A wire API that the load is spoken in, by client and upstream.</summary>
internal enum Api
{
    Chat,
    Messages,
    Responses,
}
