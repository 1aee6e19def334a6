using System.Text.Json;

namespace QwenProxy.Core.Ledger;

public enum StepKind
{
    /// <summary>It waited for its turn at an account that had all its slots taken.</summary>
    Queue,

    /// <summary>It waited before the next attempt, as upstream asked or the policy decided.</summary>
    Pause,

    /// <summary>An upstream was asked, up to its first event or its failure.</summary>
    Attempt,

    /// <summary>A stream that had begun to answer broke, and was asked for again or resumed.</summary>
    Break,

    /// <summary>The next stream continued the broken one.</summary>
    Resume,
}

/// <summary>One thing that happened to a request on its way. No text of a conversation and none of upstream's words.</summary>
/// <param name="Kind">What it was.</param>
/// <param name="At">When it began, from the request's beginning.</param>
/// <param name="Took">How long it took.</param>
/// <param name="Account">Whom it was about; empty for none.</param>
/// <param name="Model">Which model was asked for; empty for none.</param>
/// <param name="Status">The HTTP status of a failure; 0 for none.</param>
/// <param name="Said">The kind of a failure in snake case; empty for none.</param>
public readonly record struct RequestStep(StepKind Kind, TimeSpan At, TimeSpan Took, string Account = "", string Model = "", int Status = 0, string Said = "")
{
    /// <summary>More than a person reads, and a bound for the row of a request that was tried without end.</summary>
    public const int MostKept = 40;

    /// <summary>A time before the first attempt that is worth a line.</summary>
    private static readonly TimeSpan s_notable = TimeSpan.FromMilliseconds(50);

    /// <summary>As a JSON array; null where the first attempt was made at once and answered, since the row then tells all of it.</summary>
    public static string? Write(IReadOnlyList<RequestStep> steps)
    {
        ArgumentNullException.ThrowIfNull(steps);
        if (steps.Count == 0 || (steps.Count == 1 && steps[0] is { Kind: StepKind.Attempt, Said: "" } only && only.At < s_notable)) return null;
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes))
        {
            json.WriteStartArray();
            foreach (RequestStep step in steps.OrderBy(s => s.At).Take(MostKept)) step.WriteTo(json);
            json.WriteEndArray();
        }

        return System.Text.Encoding.UTF8.GetString(bytes.GetBuffer(), 0, (int)bytes.Length);
    }

    private void WriteTo(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("step", JsonNamingPolicy.SnakeCaseLower.ConvertName(Kind.ToString()));
        json.WriteNumber("atMs", Math.Round(At.TotalMilliseconds));
        if (Took > TimeSpan.Zero) json.WriteNumber("tookMs", Math.Round(Took.TotalMilliseconds));
        if (Account.Length > 0) json.WriteString("account", Account);
        if (Model.Length > 0) json.WriteString("model", Model);
        if (Status > 0) json.WriteNumber("status", Status);
        if (Said.Length > 0) json.WriteString("said", Said);
        json.WriteEndObject();
    }
}
