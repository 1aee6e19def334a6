namespace QwenProxy.Core.Repair.Stutter;

public enum AuditVerdict : byte
{
    /// <summary>The upstream reported no tokens, or too few to tell.</summary>
    NoUsage,

    /// <summary>What was sent fits what was paid for.</summary>
    Agrees,

    /// <summary>The text as it came fits better than the repaired one: the repair is doubtful.</summary>
    RepairDoubtful,

    /// <summary>Nothing was removed, and far more text came than tokens were reported: a stutter may have gone unseen.</summary>
    StutterMissed,
}

/// <summary>
/// After the stream: the reported <c>completion_tokens</c> beside estimates of the text as it came and as it was sent. A hint for people,
/// never a ground to edit.
/// </summary>
/// <param name="CompletionTokens">As reported; -1 when the upstream reported none.</param>
/// <param name="RawTokens">Estimated from all text, thinking and arguments that came.</param>
/// <param name="RepairedTokens">The same without what was removed.</param>
public readonly record struct StutterAudit(long CompletionTokens, long RawTokens, long RepairedTokens, AuditVerdict Verdict)
{
    private const int FewTokens = 16;
    private const double FarMore = 1.8;

    /// <summary>
    /// A rule of thumb, 3.6 bytes of UTF-8 for one token: prose has more, code and digits have fewer. A real count would need the model's
    /// vocabulary; whoever has one passes a function of his own to the stage.
    /// </summary>
    public static long EstimateTokens(long bytes) => (long)Math.Round(bytes / 3.6);

    internal static StutterAudit Of(long completionTokens, long rawBytes, long removedBytes, Func<long, long> tokensOfBytes)
    {
        long raw = tokensOfBytes(rawBytes), repaired = tokensOfBytes(rawBytes - removedBytes);
        AuditVerdict verdict = AuditVerdict.Agrees;
        if (completionTokens < FewTokens) verdict = AuditVerdict.NoUsage;
        else if (removedBytes > 0 && Math.Abs(raw - completionTokens) < Math.Abs(repaired - completionTokens))
        {
            verdict = AuditVerdict.RepairDoubtful;
        }
        else if (removedBytes == 0 && raw > completionTokens * FarMore) verdict = AuditVerdict.StutterMissed;
        return new StutterAudit(completionTokens, raw, repaired, verdict);
    }
}
