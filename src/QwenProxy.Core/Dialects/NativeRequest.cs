using System.Buffers;
using QwenProxy.Core.Catalogue;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects;

/// <summary>
/// A client's request that an upstream which speaks the client's dialect can have as it came: the body, and the only two places that may differ
/// in it, the model's name and what is of no use to another vendor.
/// </summary>
public sealed class NativeRequest
{
    public required ReadOnlyMemory<byte> Body { get; init; }

    /// <summary>The model as the client wrote it.</summary>
    public required string Model { get; init; }

    /// <summary>What of the body stays behind; often nothing.</summary>
    public ByteRange LeftOut { get; init; }

    /// <summary>Where an upstream of this profile and base URL speaks the dialect; null where it does not.</summary>
    public required Func<UpstreamProfile, Uri, Uri?> UrlAt { get; init; }

    /// <summary>Makes what watches the answer on its way.</summary>
    public required Func<IBufferWriter<byte>, NativeAnswer> CreateAnswer { get; init; }

    public JsonSplice ForUpstream(string model)
    {
        JsonSplice splice = new();
        if (!LeftOut.IsEmpty) splice.Replace(LeftOut, default);
        if (model == Model) return splice;
        JsonScanner members = new(Body.Span);
        while (members.MoveNext())
        {
            if (!members.NameIs("model"u8)) continue;
            splice.Replace(members.Value, JsonText.Quote(model));
        }

        return splice;
    }
}
