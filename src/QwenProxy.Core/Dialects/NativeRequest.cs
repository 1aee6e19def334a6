using QwenProxy.Core.Catalogue;
using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Dialects;

/// <summary>
/// A client's request that an upstream which speaks the client's dialect can have as it came: the body, and the places that may differ in it. An
/// upstream is always asked for a stream; a whole answer is its fold.
/// </summary>
public sealed class NativeRequest
{
    public required ReadOnlyMemory<byte> Body { get; init; }

    /// <summary>The model as the client wrote it.</summary>
    public required string Model { get; init; }

    /// <summary>What of the body stays behind; often nothing.</summary>
    public ByteRange LeftOut { get; init; }

    /// <summary>The dialect's path below an upstream of a profile; null where such an upstream is not known to speak it.</summary>
    public required Func<UpstreamProfile, string?> PathAt { get; init; }

    /// <summary>The path that upstreams have it at which nothing is known of.</summary>
    public required string UsualPath { get; init; }

    /// <summary>Makes what reads the answer.</summary>
    public required Func<EventReader> NewReader { get; init; }

    /// <summary>Where an upstream is asked; null where it should not be.</summary>
    public Uri? UrlAt(NativeMode mode, UpstreamProfile profile, Uri baseUrl) => mode switch
    {
        NativeMode.Never => null,
        NativeMode.Always => UpstreamProfile.Below(baseUrl, PathAt(profile) ?? UsualPath),
        _ => UpstreamProfile.Below(baseUrl, PathAt(profile)),
    };

    public JsonSplice ForUpstream(string model)
    {
        JsonSplice splice = new();
        if (!LeftOut.IsEmpty) splice.Replace(LeftOut, default);
        bool streams = false;
        JsonScanner members = new(Body.Span);
        while (members.MoveNext())
        {
            if (members.NameIs("model"u8) && model != Model) splice.Replace(members.Value, JsonText.Quote(model));
            if (!members.NameIs("stream"u8)) continue;
            streams = true;
            if (!members.Value.In(Body.Span).SequenceEqual("true"u8)) splice.Replace(members.Value, "true"u8.ToArray());
        }

        if (!streams) splice.Insert(members.Position - 1, ",\"stream\":true"u8.ToArray());
        return splice;
    }
}
