using QwenProxy.Upstreams;

namespace QwenProxy.Proxying.Attempts;

/// <summary>The request as one upstream wants it, in one wire API: the client's own, with named quirk rules applied where they have something to change.</summary>
/// <param name="Bytes">Its size.</param>
/// <param name="Wanted">How many tokens it asks for at most; null when it does not say.</param>
/// <param name="Asking">One call of it, asking for no more than so many tokens.</param>
internal sealed record AdaptedRequest(int Bytes, long? Wanted, Func<long, UpstreamRequest> Asking);
