using QwenProxy.Core.Dialects;
using QwenProxy.Core.Dialects.OpenAIChat;
using QwenProxy.Core.Events;
using QwenProxy.Core.Requests;
using QwenProxy.Wire;

namespace QwenProxy.Upstreams;

/// <summary>What one call asks an upstream, in which dialect, and who reads the answer.</summary>
/// <param name="Url">Where it goes.</param>
/// <param name="Body">The client's bytes, or a translation of them.</param>
/// <param name="Edits">What differs from them for this upstream.</param>
/// <param name="Events">Reads the stream that comes back; it belongs to this call alone.</param>
internal sealed record UpstreamRequest(string Url, ReadOnlyMemory<byte> Body, JsonSplice Edits, EventReader Events)
{
    /// <summary>The upstream is asked in the client's own dialect, which is another than chat.</summary>
    public bool IsNative => Events.Dialect != WireDialect.OpenAIChat;

    public static UpstreamRequest Chat(AttemptTarget target, ChatRequest chat, string query)
    {
        JsonSplice edits = chat.ForUpstream(target.Ask.Model, stream: true, includeUsage: target.Account.Profile.SupportsStreamOptions);
        return new UpstreamRequest(target.Url("/chat/completions" + query), chat.Body, edits, ChatEventDecoder.Shared);
    }

    public static UpstreamRequest Native(AttemptTarget target, NativeRequest native, Uri url, string query, long atMost) =>
        new(url + query, native.Body, native.ForUpstream(target.Ask.Model, atMost), native.NewReader());
}
