using System.Collections.Concurrent;
using System.Net;
using QwenProxy.Core.Errors;

namespace QwenProxy.Upstreams;

/// <summary>
/// Which upstreams turned out not to speak a dialect that they were asked in: an older server, another base URL. For an hour they are asked in chat,
/// then once more in the other: servers are updated.
/// </summary>
internal sealed class NativeEndpoints(TimeProvider time)
{
    public static readonly TimeSpan Memory = TimeSpan.FromHours(1);

    private readonly ConcurrentDictionary<Uri, DateTimeOffset> _missing = new();

    public bool MayAsk(Uri url) => !_missing.TryGetValue(url, out DateTimeOffset since) || time.GetUtcNow() - since >= Memory;

    public void NoteMissing(Uri url) => _missing[url] = time.GetUtcNow();

    public void Forget() => _missing.Clear();

    /// <summary>The answer says that nothing there speaks the dialect, rather than that the request failed.</summary>
    public static bool IsMissing(ProxyError error) =>
        error.Status is (int)HttpStatusCode.NotFound or (int)HttpStatusCode.MethodNotAllowed or (int)HttpStatusCode.NotImplemented;
}
