using System.Buffers;
using Microsoft.AspNetCore.Http;
using QwenProxy.Configuration;
using QwenProxy.Observability;

namespace QwenProxy.Upstreams;

/// <summary>What a call to an upstream has from the request it is made for.</summary>
/// <param name="Model">What upstream is asked for; it may be named in an error.</param>
/// <param name="Client">The client's request, whose allowed headers go along.</param>
/// <param name="Output">Where an answer in the client's own dialect is written.</param>
internal sealed record CallContext(string RequestId, string Model, ProxySnapshot Snapshot, HttpRequest Client, IBufferWriter<byte> Output, Instruments Instruments);
