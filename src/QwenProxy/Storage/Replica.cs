using System.Buffers;
using System.Text;
using System.Text.Json;

namespace QwenProxy.Storage;

/// <summary>One proxy of a fleet, as the database knows it.</summary>
/// <param name="Id">Of this run of the program: a replica that starts again is another one.</param>
/// <param name="Name">Of its machine or pod.</param>
/// <param name="Address">Where it listens, as itself sees it.</param>
/// <param name="Version">Of the program.</param>
/// <param name="Started">When.</param>
internal sealed record Replica(string Id, string Name, string Address, string Version, DateTimeOffset Started)
{
    /// <summary>The time since it was last heard of.</summary>
    public TimeSpan Silent { get; init; }

    public ReplicaReport Report { get; init; } = new();
}

/// <summary>What a replica says of itself every few seconds.</summary>
internal sealed record ReplicaReport
{
    /// <summary>Requests that run.</summary>
    public int Running { get; init; }

    public bool Draining { get; init; }

    /// <summary><c>yes</c>, or why it could serve nothing.</summary>
    public string Ready { get; init; } = "";

    /// <summary>The fingerprint of its configuration: where two differ, somebody forgot one.</summary>
    public string Configuration { get; init; } = "";

    /// <summary>The accounts that it serves.</summary>
    public IReadOnlyList<string> Accounts { get; init; } = [];

    public string ToJson()
    {
        ArrayBufferWriter<byte> output = new();
        using (Utf8JsonWriter json = new(output))
        {
            json.WriteStartObject();
            WriteMembers(json);
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(output.WrittenSpan);
    }

    public void WriteMembers(Utf8JsonWriter json)
    {
        json.WriteNumber("runningRequests", Running);
        json.WriteBoolean("draining", Draining);
        json.WriteString("ready", Ready);
        json.WriteString("configuration", Configuration);
        json.WriteStartArray("accounts");
        foreach (string account in Accounts) json.WriteStringValue(account);
        json.WriteEndArray();
    }

    /// <summary>Of another version's report, what is known here; the rest is left out.</summary>
    public static ReplicaReport Parse(string text)
    {
        using JsonDocument document = JsonDocument.Parse(text);
        JsonElement root = document.RootElement;
        return new ReplicaReport
        {
            Running = root.TryGetProperty("runningRequests", out JsonElement running) && running.TryGetInt32(out int count) ? count : 0,
            Draining = root.TryGetProperty("draining", out JsonElement draining) && draining.ValueKind == JsonValueKind.True,
            Ready = Text("ready"),
            Configuration = Text("configuration"),
            Accounts = root.TryGetProperty("accounts", out JsonElement accounts) && accounts.ValueKind == JsonValueKind.Array ? [.. accounts.EnumerateArray().Select(a => a.GetString() ?? "")] : [],
        };

        string Text(string name) => root.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";
    }
}
