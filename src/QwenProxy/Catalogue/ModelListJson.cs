using System.Text.Json;
using QwenProxy.Core.Accounts;

namespace QwenProxy.Catalogue;

/// <summary>The models on offer with where each goes: what <c>models --json</c> prints and <c>/admin/models</c> answers.</summary>
internal static class ModelListJson
{
    /// <summary>Writes an array of <c>id</c>, <c>contextLength</c> and <c>maxOutputTokens</c> (0 where nobody knows), <c>routes</c> in the order they are tried.</summary>
    public static void Write(Utf8JsonWriter json, IReadOnlyList<OfferedModel> models, RouteTable table)
    {
        json.WriteStartArray();
        foreach (OfferedModel model in models)
        {
            json.WriteStartObject();
            json.WriteString("id", model.Id);
            json.WriteNumber("contextLength", model.ContextTokens);
            json.WriteNumber("maxOutputTokens", model.MaxOutputTokens);
            json.WriteStartArray("routes");
            foreach (string route in Routes(model.Id, table)) json.WriteStringValue(route);
            json.WriteEndArray();
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    /// <summary>The accounts that would be asked, each with the model it would be asked for where that is another one.</summary>
    public static IEnumerable<string> Routes(string model, RouteTable table) =>
        table.Resolve(model).Models.SelectMany(m => m.Accounts.Select(a => m.Model == model ? a.Name : $"{a.Name}/{m.Model}"));
}
