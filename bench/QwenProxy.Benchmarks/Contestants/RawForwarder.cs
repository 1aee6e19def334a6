using System.Diagnostics;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Hosting;

namespace QwenProxy.Benchmarks.Contestants;

/// <summary>
/// The least a proxy on Kestrel and HttpClient can do: it looks at nothing and copies bytes, with the same switches as the real one. What the real
/// one costs more than this is what reading, repairing and accounting cost.
/// </summary>
internal static class RawForwarder
{
    public static async Task<int> RunAsync(int port, int upstreamPort)
    {
        using HttpMessageInvoker upstream = new(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            UseProxy = false,
            AutomaticDecompression = DecompressionMethods.None,
            ActivityHeadersPropagator = DistributedContextPropagator.CreateNoOutputPropagator(),
        });
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().UseSockets(o => o.UnsafePreferInlineScheduling = true).ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = null;
            kestrel.Limits.MinResponseDataRate = null;
            kestrel.Listen(IPAddress.Loopback, port, listen => listen.Protocols = HttpProtocols.Http1);
        });
        await using WebApplication app = builder.Build();
        string root = $"http://127.0.0.1:{upstreamPort}";
        app.Run(http => CopyAsync(http, upstream, root));
        await app.RunAsync();
        return 0;
    }

    private static async Task CopyAsync(HttpContext http, HttpMessageInvoker upstream, string root)
    {
        using HttpRequestMessage request = new(new HttpMethod(http.Request.Method), root + http.Request.Path + http.Request.QueryString);
        request.Content = new StreamContent(http.Request.Body);
        request.Content.Headers.ContentLength = http.Request.ContentLength;
        request.Content.Headers.TryAddWithoutValidation("Content-Type", http.Request.ContentType);
        request.Headers.TryAddWithoutValidation("Authorization", (string?)http.Request.Headers.Authorization);
        using HttpResponseMessage response = await upstream.SendAsync(request, http.RequestAborted);
        http.Response.StatusCode = (int)response.StatusCode;
        http.Response.ContentType = response.Content.Headers.ContentType?.ToString();
        http.Response.ContentLength = response.Content.Headers.ContentLength;
        Stream body = await response.Content.ReadAsStreamAsync(http.RequestAborted);
        while (true)
        {
            int read = await body.ReadAsync(http.Response.BodyWriter.GetMemory(4096), http.RequestAborted);
            if (read == 0) break;
            http.Response.BodyWriter.Advance(read);
            await http.Response.BodyWriter.FlushAsync(http.RequestAborted);
        }
    }
}
