using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;

namespace QwenProxy.Dashboard;

/// <summary>
/// The page at <c>/</c>: one file in the program with its own style and script, which asks the admin API for everything it shows. The file is
/// the same for everybody, so it may be sent with a 401 too: it then asks for a key.
/// </summary>
internal static class DashboardPage
{
    private static readonly string Html = Read();
    private static readonly byte[] Body = Encoding.UTF8.GetBytes(Html);

    /// <summary>Only the file's own style and script, known by their hashes, and only this proxy to talk to.</summary>
    private static readonly StringValues Policy = string.Join("; ",
        "default-src 'none'",
        $"script-src {HashOf("script")}",
        $"style-src {HashOf("style")}",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'");

    public static async Task WriteAsync(HttpContext http, int status)
    {
        HttpResponse response = http.Response;
        response.StatusCode = status;
        response.ContentType = "text/html; charset=utf-8";
        response.ContentLength = Body.Length;
        response.Headers.ContentSecurityPolicy = Policy;
        response.Headers.CacheControl = "no-store";
        response.Headers.XContentTypeOptions = "nosniff";
        response.Headers.XFrameOptions = "DENY";
        response.Headers["Referrer-Policy"] = "no-referrer";
        response.Headers["Cross-Origin-Resource-Policy"] = "same-origin";
        if (!HttpMethods.IsHead(http.Request.Method)) await response.Body.WriteAsync(Body, http.RequestAborted);
    }

    private static string Read()
    {
        using Stream file = typeof(DashboardPage).Assembly.GetManifestResourceStream("dashboard.html")!;
        using StreamReader text = new(file);
        // A browser hashes what it parsed, and parsing makes every line end a line feed.
        return text.ReadToEnd().ReplaceLineEndings("\n");
    }

    private static string HashOf(string element)
    {
        int start = Html.IndexOf($"<{element}>", StringComparison.Ordinal) + element.Length + 2;
        int end = Html.IndexOf($"</{element}>", start, StringComparison.Ordinal);
        return $"'sha256-{Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(Html[start..end])))}'";
    }
}
