using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using QwenProxy.Proxying.Lifecycle;

namespace QwenProxy.Endpoints;

/// <summary>What the paths lead to.</summary>
internal sealed record Doors
{
    public required RequestGuard Guard { get; init; }

    public required RequestLifecycle Lifecycle { get; init; }

    public required Forwarding Forwarding { get; init; }

    public required ModelsEndpoint Models { get; init; }

    public required OperationsEndpoints Operations { get; init; }

    public required OpenAIChatClient Chat { get; init; }

    public required MessagesClient Messages { get; init; }

    public required ResponsesClient Responses { get; init; }
}

/// <summary>
/// Which path goes where. Plain comparisons instead of the framework's router: there are a dozen paths, every one of them is on the hot way,
/// and "any other /v1/…" is the rule rather than the exception.
/// </summary>
internal static class Routes
{
    private const string ResponsesPath = "/v1/responses/";

    public static void Map(IApplicationBuilder app, Doors doors) => app.Run(http => Dispatch(http, doors));

    private static Task Dispatch(HttpContext http, Doors doors)
    {
        if (doors.Guard.Stop(http) is { } stopped) return stopped;
        string path = http.Request.Path.Value ?? "/";
        bool get = HttpMethods.IsGet(http.Request.Method);
        if (HttpMethods.IsPost(http.Request.Method))
        {
            switch (path)
            {
                case "/v1/chat/completions": return doors.Lifecycle.RunAsync(http, doors.Chat);
                case "/v1/messages": return doors.Lifecycle.RunAsync(http, doors.Messages);
                case "/v1/messages/count_tokens": return doors.Lifecycle.RunAsync(http, doors.Messages, doors.Messages.CountAsync);
                case "/v1/responses": return doors.Lifecycle.RunAsync(http, doors.Responses);
            }
        }

        if (get && (path == "/v1/models" || path.StartsWith("/v1/models/", StringComparison.Ordinal))) return doors.Models.RunAsync(http, path["/v1/models".Length..]);
        if (path.StartsWith(ResponsesPath, StringComparison.Ordinal) && (get || HttpMethods.IsDelete(http.Request.Method)) && path.IndexOf('/', ResponsesPath.Length) < 0)
        {
            return doors.Lifecycle.RunAsync(http, doors.Responses, (exchange, _) => doors.Responses.StoredAsync(exchange, path[ResponsesPath.Length..]));
        }

        return path.StartsWith("/v1/", StringComparison.Ordinal) ? doors.Forwarding.RunAsync(http) : doors.Operations.RunAsync(http, path);
    }
}
