using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using QwenProxy.Hosting;
using QwenProxy.Proxying;

namespace QwenProxy.Endpoints;

/// <summary>
/// Which path goes where. Plain comparisons instead of the framework's router: there are a dozen paths, every one of them is on the hot way,
/// and "any other /v1/…" is the rule rather than the exception.
/// </summary>
internal static class Routes
{
    private static readonly OpenAIChatClient Chat = new();

    public static void Map(IApplicationBuilder app, ProxyRuntime runtime)
    {
        Lifecycle lifecycle = new(runtime);
        Forwarding forwarding = new(runtime);
        ModelsEndpoint models = new(runtime);
        OperationsEndpoints operations = new(runtime);
        app.Run(http => Dispatch(http, lifecycle, forwarding, models, operations));
    }

    private static Task Dispatch(HttpContext http, Lifecycle lifecycle, Forwarding forwarding, ModelsEndpoint models, OperationsEndpoints operations)
    {
        string path = http.Request.Path.Value ?? "/";
        bool post = HttpMethods.IsPost(http.Request.Method);
        if (post && path == "/v1/chat/completions") return lifecycle.RunAsync(http, Chat);
        if (path.StartsWith("/v1/models", StringComparison.Ordinal) && HttpMethods.IsGet(http.Request.Method)) return models.RunAsync(http, path["/v1/models".Length..]);
        if (path.StartsWith("/v1/", StringComparison.Ordinal)) return forwarding.RunAsync(http);
        return operations.RunAsync(http, path);
    }
}
