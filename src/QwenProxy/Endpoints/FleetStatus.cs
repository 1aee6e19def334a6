using System.Text.Json;
using QwenProxy.Storage;

namespace QwenProxy.Endpoints;

/// <summary>The fleet in <c>/admin/status</c>: the database, and the replicas in the order in which they began.</summary>
internal static class FleetStatus
{
    public static void Write(Utf8JsonWriter json, FleetView fleet)
    {
        json.WriteStartObject("database");
        json.WriteString("name", fleet.Database);
        json.WriteBoolean("serves", fleet.Trouble is null);
        json.WriteString("problem", fleet.Trouble?.Problem);
        if (fleet.Trouble is { } trouble) json.WriteString("since", trouble.Since);
        json.WriteEndObject();
        json.WriteStartArray("replicas");
        foreach (Replica replica in fleet.Others.Append(fleet.Self).OrderBy(r => r.Started).ThenBy(r => r.Id, StringComparer.Ordinal))
        {
            bool isSelf = replica.Id == fleet.Self.Id;
            json.WriteStartObject();
            json.WriteString("id", replica.Id);
            json.WriteString("name", replica.Name);
            json.WriteString("address", replica.Address);
            json.WriteString("version", replica.Version);
            json.WriteString("startedAt", replica.Started);
            json.WriteNumber("silentSeconds", isSelf ? 0 : Math.Round((replica.Silent + fleet.Age).TotalSeconds, 1));
            json.WriteBoolean("self", isSelf);
            replica.Report.WriteMembers(json);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }
}
