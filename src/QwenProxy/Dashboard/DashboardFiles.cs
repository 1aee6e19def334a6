using System.Collections.Frozen;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;

namespace QwenProxy.Dashboard;

/// <summary>A file of the page as it is sent.</summary>
internal sealed record DashboardFile(string ContentType, byte[] Bytes, string ETag);

/// <summary>
/// The page at <c>/</c> and its style and modules below <c>/page/</c>: files in the program, which ask the admin API for everything they show. They are the same
/// for everybody, so they may be sent to a browser that has not shown a key yet: the page then asks for one.
/// </summary>
internal static class DashboardFiles
{
    private const string Folder = "page/";

    /// <summary>Only the page's own files, and only this proxy to talk to; no text becomes script or markup.</summary>
    private const string Policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        + "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

    private static readonly FrozenDictionary<string, DashboardFile> s_files = Read();

    /// <summary>The file at a path of the proxy; null when the page has none there.</summary>
    public static DashboardFile? At(string path) => s_files.GetValueOrDefault(path);

    public static async Task WriteAsync(HttpContext http, DashboardFile file, int status)
    {
        HttpResponse response = http.Response;
        response.Headers.ContentSecurityPolicy = Policy;
        response.Headers.XContentTypeOptions = "nosniff";
        response.Headers.XFrameOptions = "DENY";
        response.Headers["Referrer-Policy"] = "no-referrer";
        response.Headers["Cross-Origin-Resource-Policy"] = "same-origin";
        response.Headers["Cross-Origin-Opener-Policy"] = "same-origin";
        // A new version of the program is a new version of the page: the browser asks each time, and mostly hears that it has it.
        response.Headers.CacheControl = "no-cache";
        response.Headers.ETag = file.ETag;
        response.StatusCode = status;
        if (status == StatusCodes.Status200OK && http.Request.Headers.IfNoneMatch.Any(tag => tag == file.ETag))
        {
            response.StatusCode = StatusCodes.Status304NotModified;
            return;
        }

        response.ContentType = file.ContentType;
        response.ContentLength = file.Bytes.Length;
        if (!HttpMethods.IsHead(http.Request.Method)) await response.Body.WriteAsync(file.Bytes, http.RequestAborted);
    }

    private static FrozenDictionary<string, DashboardFile> Read()
    {
        System.Reflection.Assembly program = typeof(DashboardFiles).Assembly;
        Dictionary<string, DashboardFile> files = [];
        foreach (string name in program.GetManifestResourceNames().Where(n => n.StartsWith(Folder, StringComparison.Ordinal)))
        {
            using Stream stream = program.GetManifestResourceStream(name)!;
            byte[] bytes = new byte[stream.Length];
            stream.ReadExactly(bytes);
            string type = Path.GetExtension(name) switch
            {
                ".html" => "text/html; charset=utf-8",
                ".css" => "text/css; charset=utf-8",
                _ => "text/javascript; charset=utf-8",
            };
            string tag = $"\"{Convert.ToHexStringLower(SHA256.HashData(bytes).AsSpan(0, 12))}\"";
            files[name == Folder + "index.html" ? "/" : "/" + name] = new DashboardFile(type, bytes, tag);
        }

        return files.ToFrozenDictionary(StringComparer.Ordinal);
    }
}
