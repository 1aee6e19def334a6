using System.Collections.Concurrent;
using System.Net;
using QwenProxy.Core.Errors;

namespace QwenProxy.Upstreams;

/// <summary>
/// Which upstreams turned out not to speak a dialect that their profile promises: an older server, another base URL. They are translated for from
/// then on, until the configuration changes or the program starts again.
/// </summary>
internal sealed class NativeEndpoints
{
    private readonly ConcurrentDictionary<Uri, bool> _missing = new();

    public bool MayAsk(Uri url) => !_missing.ContainsKey(url);

    public void NoteMissing(Uri url) => _missing[url] = true;

    public void Forget() => _missing.Clear();

    /// <summary>The answer says that nothing there speaks the dialect, rather than that the request failed.</summary>
    public static bool IsMissing(ProxyError error) =>
        error.Status is (int)HttpStatusCode.NotFound or (int)HttpStatusCode.MethodNotAllowed or (int)HttpStatusCode.NotImplemented
        || error.Kind == FaultKind.ProtocolError;
}
