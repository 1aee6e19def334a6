using System.Text.Json;
using QwenProxy.Catalogue;
using QwenProxy.Configuration;
using QwenProxy.Proxying.Attempts;
using QwenProxy.Upstreams;

namespace QwenProxy.Endpoints;

/// <summary><c>GET /admin/models</c>: the models on offer with their routes, and the limits that refused requests have taught.</summary>
internal sealed class AdminModels(CurrentConfiguration configuration, ModelDirectory directory, Router router, OutputLimits limits)
{
    public async Task<Action<Utf8JsonWriter>> ReadAsync(CancellationToken cancellationToken)
    {
        IReadOnlyList<OfferedModel> models = await directory.ListAsync(configuration.Snapshot, cancellationToken);
        return json =>
        {
            json.WriteStartObject();
            json.WritePropertyName("models");
            ModelListJson.Write(json, models, router.Table);
            json.WritePropertyName("limits");
            WriteLimits(json);
            json.WriteEndObject();
        };
    }

    /// <summary>An array of <c>account</c>, <c>model</c>, <c>maxOutputTokens</c> and <c>contextLength</c>, 0 where it is not known.</summary>
    private void WriteLimits(Utf8JsonWriter json)
    {
        json.WriteStartArray();
        foreach (((string account, string model), LearnedLimit limit) in limits.Known)
        {
            json.WriteStartObject();
            json.WriteString("account", account);
            json.WriteString("model", model);
            json.WriteNumber("maxOutputTokens", limit.Most);
            json.WriteNumber("contextLength", limit.Context);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }
}
