using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using QwenProxy.Catalogue;
using QwenProxy.Configuration;
using QwenProxy.Core.Dialects.OpenAIChat;
using QwenProxy.Core.Errors;
using QwenProxy.Hosting;
using QwenProxy.Wire;

namespace QwenProxy.Endpoints;

/// <summary><c>GET /v1/models</c> and <c>/v1/models/{id}</c>, in OpenAI's shape with sizes added.</summary>
internal sealed class ModelsEndpoint(ProxyRuntime runtime)
{
    public async Task RunAsync(HttpContext http, string rest)
    {
        ProxySnapshot snapshot = runtime.Snapshot;
        string requestId = runtime.NewRequestId();
        http.Response.Headers["x-request-id"] = requestId;
        if (!ClientKeys.TryIdentify(http.Request, snapshot.Clients, out _))
        {
            await WriteAsync(http, 401, OpenAIErrors.Write(OwnErrors.InvalidApiKey()));
            return;
        }

        IReadOnlyList<OfferedModel> models = await runtime.Models.ListAsync(snapshot, http.RequestAborted);
        if (rest is "" or "/")
        {
            await WriteAsync(http, 200, WriteList(models));
            return;
        }

        // Ids may hold slashes (qwen/qwen3.7-max), so the rest of the path is the id.
        string id = Uri.UnescapeDataString(rest[1..]);
        OfferedModel? found = models.FirstOrDefault(m => m.Id == id);
        await (found is null ? WriteAsync(http, 404, OpenAIErrors.Write(OwnErrors.ModelNotFound(id))) : WriteAsync(http, 200, WriteOne(found)));
    }

    private static byte[] WriteList(IReadOnlyList<OfferedModel> models)
    {
        using PooledBytes json = new(4096);
        json.Write("{\"object\":\"list\",\"data\":["u8);
        for (int i = 0; i < models.Count; i++)
        {
            if (i > 0) json.Write(","u8);
            json.Write(WriteOne(models[i]));
        }

        json.Write("]}"u8);
        return json.Span.ToArray();
    }

    /// <summary>Upstream's own object with what is missing added at its end; a made one where upstream sent none.</summary>
    private static byte[] WriteOne(OfferedModel model)
    {
        using PooledBytes json = new(256);
        HashSet<string> has = new(StringComparer.Ordinal);
        if (model.UpstreamObject.IsEmpty)
        {
            json.Write("{\"id\":"u8);
            JsonText.WriteString(Encoding.UTF8.GetBytes(model.Id), json);
        }
        else
        {
            JsonScanner members = new(model.UpstreamObject.Span);
            while (members.MoveNext()) has.Add(Encoding.UTF8.GetString(model.UpstreamObject.Span[(members.Name.Start + 1)..(members.Name.End - 1)]));
            json.Write(model.UpstreamObject.Span.TrimEnd(" \t\r\n"u8)[..^1]);
        }

        Add("object", "\"model\"");
        Add("created", model.Created.ToString(System.Globalization.CultureInfo.InvariantCulture));
        Add("owned_by", JsonEncodedText.Encode(model.AliasOf is null ? model.Account : "alias") is var owner ? $"\"{owner}\"" : "");
        if (model.ContextTokens > 0) Add("context_length", model.ContextTokens.ToString(System.Globalization.CultureInfo.InvariantCulture));
        if (model.MaxOutputTokens > 0) Add("max_output_tokens", model.MaxOutputTokens.ToString(System.Globalization.CultureInfo.InvariantCulture));
        json.Write("}"u8);
        return json.Span.ToArray();

        void Add(string name, string value)
        {
            if (!has.Contains(name)) json.Write(Encoding.UTF8.GetBytes($",\"{name}\":{value}"));
        }
    }

    private static async Task WriteAsync(HttpContext http, int status, byte[] body)
    {
        http.Response.StatusCode = status;
        http.Response.ContentType = "application/json";
        http.Response.ContentLength = body.Length;
        await http.Response.Body.WriteAsync(body, http.RequestAborted);
    }
}
