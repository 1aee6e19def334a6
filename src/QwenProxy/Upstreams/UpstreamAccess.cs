using QwenProxy.Observability;

namespace QwenProxy.Upstreams;

/// <summary>The way to the upstreams, which is the same for all requests: with what right, over which connections, and what is kept or known of them.</summary>
internal sealed record UpstreamAccess(AccountAuthorizer Authorizer, UpstreamTransport Transport, CaptureStore Captures, NativeEndpoints NativeEndpoints, RefusedSwitches RefusedSwitches, OutputLimits OutputLimits);
