using Microsoft.AspNetCore.Http;
using QwenProxy.Configuration;
using QwenProxy.Observability;

namespace QwenProxy.Upstreams;

/// <summary>What a call to an upstream has from the request it is made for.</summary>
/// <param name="Model">What upstream is asked for; it may be named in an error.</param>
/// <param name="Client">The client's request, whose allowed headers go along.</param>
internal sealed record CallContext(string RequestId, string Model, ProxySnapshot Snapshot, HttpRequest Client, Instruments Instruments);
