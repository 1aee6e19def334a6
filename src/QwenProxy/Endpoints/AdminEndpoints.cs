using Microsoft.AspNetCore.Http;
using QwenProxy.Hosting;

namespace QwenProxy.Endpoints;

internal sealed class AdminEndpoints(ProxyRuntime runtime)
{
    public Task RunAsync(HttpContext http, string path) { _ = runtime; _ = path; return Task.CompletedTask; }
}
