using System.Collections;
using System.Globalization;
using System.Text.Json;
using QwenProxy.Core.Ledger;

namespace QwenProxy.Observability;

/// <summary>A log event that can write itself, so that the one line that every request leaves need not be made of two dozen boxed values and a string.</summary>
internal interface IJsonLogEvent
{
    /// <summary>Writes <c>message</c> and <c>fields</c>.</summary>
    void WriteTo(Utf8JsonWriter json);
}

/// <summary>The Information line of a settled request, as a text and as values by name. Both have the same order.</summary>
internal sealed class RequestLine(SettledRequest settled) : IReadOnlyList<KeyValuePair<string, object?>>, IJsonLogEvent
{
    private const int MostMessageChars = 2048;

    private LedgerEntry Entry => settled.Entry;

    public int Count => 22;

    public KeyValuePair<string, object?> this[int index] => index switch
    {
        0 => new("method", settled.Method),
        1 => new("path", settled.Path),
        2 => new("status", Entry.Status),
        3 => new("end", Entry.End),
        4 => new("model", Entry.AskedModel),
        5 => new("served", Entry.ServedModel),
        6 => new("account", Entry.Account),
        7 => new("client", Entry.Client),
        8 => new("address", settled.Address),
        9 => new("agent", settled.Agent),
        10 => new("stream", settled.Stream),
        11 => new("native", settled.Native),
        12 => new("attempts", Entry.Attempts),
        13 => new("resumes", Entry.Resumes),
        14 => new("requestBytes", settled.RequestBytes),
        15 => new("responseBytes", settled.ResponseBytes),
        16 => new("upstreamBytes", settled.UpstreamBytes),
        17 => new("ttfbMs", settled.FirstByteMs),
        18 => new("durationMs", settled.DurationMs),
        19 => new("inputTokens", Entry.Tokens?.Input),
        20 => new("outputTokens", Entry.Tokens?.Output),
        21 => new("requestId", Entry.RequestId),
        _ => throw new ArgumentOutOfRangeException(nameof(index)),
    };

    public IEnumerator<KeyValuePair<string, object?>> GetEnumerator()
    {
        for (int i = 0; i < Count; i++) yield return this[i];
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    public void WriteTo(Utf8JsonWriter json)
    {
        Span<char> message = stackalloc char[MostMessageChars];
        if (TryFormat(message, out int written)) json.WriteString("message"u8, message[..written]);
        else json.WriteString("message"u8, ToString());
        json.WriteStartObject("fields"u8);
        json.WriteString("method"u8, settled.Method);
        json.WriteString("path"u8, settled.Path);
        json.WriteNumber("status"u8, Entry.Status);
        json.WriteString("end"u8, Entry.End);
        json.WriteString("model"u8, Entry.AskedModel);
        json.WriteString("served"u8, Entry.ServedModel);
        json.WriteString("account"u8, Entry.Account);
        json.WriteString("client"u8, Entry.Client);
        json.WriteString("address"u8, settled.Address);
        json.WriteString("agent"u8, settled.Agent);
        json.WriteBoolean("stream"u8, settled.Stream);
        json.WriteBoolean("native"u8, settled.Native);
        json.WriteNumber("attempts"u8, Entry.Attempts);
        json.WriteNumber("resumes"u8, Entry.Resumes);
        json.WriteNumber("requestBytes"u8, settled.RequestBytes);
        json.WriteNumber("responseBytes"u8, settled.ResponseBytes);
        json.WriteNumber("upstreamBytes"u8, settled.UpstreamBytes);
        if (settled.FirstByteMs is { } first) json.WriteNumber("ttfbMs"u8, first);
        else json.WriteNull("ttfbMs"u8);
        json.WriteNumber("durationMs"u8, settled.DurationMs);
        WriteNumber(json, "inputTokens"u8, Entry.Tokens?.Input);
        WriteNumber(json, "outputTokens"u8, Entry.Tokens?.Output);
        json.WriteString("requestId"u8, Entry.RequestId);
        json.WriteEndObject();
    }

    public override string ToString()
    {
        char[] message = new char[MostMessageChars];
        int written;
        while (!TryFormat(message, out written)) message = new char[message.Length * 2];
        return new string(message, 0, written);
    }

    private bool TryFormat(Span<char> text, out int written) => text.TryWrite(
        CultureInfo.InvariantCulture,
        $"{settled.Method} {settled.Path} {Entry.Status} {Entry.End} model={Entry.AskedModel} served={Entry.ServedModel} account={Entry.Account} client={Entry.Client} address={settled.Address} agent={settled.Agent} stream={Word(settled.Stream)} native={Word(settled.Native)} attempts={Entry.Attempts} resumes={Entry.Resumes} requestBytes={settled.RequestBytes} responseBytes={settled.ResponseBytes} upstreamBytes={settled.UpstreamBytes} ttfbMs={Number(settled.FirstByteMs)} durationMs={settled.DurationMs} inputTokens={Number(Entry.Tokens?.Input)} outputTokens={Number(Entry.Tokens?.Output)} request={Entry.RequestId}",
        out written);

    private static string Word(bool value) => value ? "True" : "False";

    private static NumberOrNull Number(double? value) => new(value, null);

    private static NumberOrNull Number(long? value) => new(null, value);

    private static void WriteNumber(Utf8JsonWriter json, ReadOnlySpan<byte> name, long? value)
    {
        if (value is { } number) json.WriteNumber(name, number);
        else json.WriteNull(name);
    }

    /// <summary>A number that may be missing, written without being boxed.</summary>
    private readonly struct NumberOrNull(double? real, long? whole) : ISpanFormattable
    {
        public bool TryFormat(Span<char> destination, out int charsWritten, ReadOnlySpan<char> format, IFormatProvider? provider)
        {
            if (real is { } number) return number.TryFormat(destination, out charsWritten, format, provider);
            if (whole is { } count) return count.TryFormat(destination, out charsWritten, format, provider);
            charsWritten = 0;
            return true;
        }

        public string ToString(string? format, IFormatProvider? formatProvider) => real?.ToString(format, formatProvider) ?? whole?.ToString(format, formatProvider) ?? "";
    }
}
