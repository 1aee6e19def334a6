using System.Globalization;
using System.Text;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Observability;

/// <summary>A span as it came to a collector, with the resource it belongs to: field numbers are those of OpenTelemetry's trace.proto.</summary>
internal sealed record ExportedSpan(string Name, int Kind, string TraceId, string Id, string Parent, bool Failed, ulong Start, ulong End)
{
    public required SortedDictionary<string, string> Resource { get; init; }

    public required SortedDictionary<string, string> Attributes { get; init; }

    public required (string Name, SortedDictionary<string, string> Attributes)[] Events { get; init; }

    public static IEnumerable<ExportedSpan> ReadAll(byte[] request) => new ProtoReader(request).Messages(1)
        .SelectMany(resourceSpans => resourceSpans.Messages(2).SelectMany(scope => scope.Messages(2)).Select(span => Read(span, AttributesOf(resourceSpans.Messages(1).Single(), 1))));

    /// <summary>A trace as a viewer shows it: one line a span, below its parent, in the order of time.</summary>
    public static string Tree(IEnumerable<ExportedSpan> spans, params string[] attributes)
    {
        ExportedSpan[] all = [.. spans.OrderBy(s => s.Start)];
        StringBuilder text = new();
        foreach (ExportedSpan root in all.Where(s => all.All(o => o.Id != s.Parent))) Write(text, root, all, attributes, "");
        return text.ToString();
    }

    private static void Write(StringBuilder text, ExportedSpan span, ExportedSpan[] all, string[] attributes, string indent)
    {
        text.Append(indent).Append(span.Name);
        foreach (string name in attributes.Where(span.Attributes.ContainsKey)) text.Append(' ').Append(name.Split('.')[^1]).Append('=').Append(span.Attributes[name]);
        text.Append(span.Failed ? " FAILED\n" : "\n");
        foreach ((string name, SortedDictionary<string, string> what) in span.Events) text.Append(indent).Append("  * ").Append(name).Append(' ').AppendJoin(' ', what.Select(a => $"{a.Key.Split('.')[^1]}={a.Value}")).Append('\n');
        foreach (ExportedSpan child in all.Where(s => s.Parent == span.Id)) Write(text, child, all, attributes, indent + "  ");
    }

    private static ExportedSpan Read(ProtoReader span, SortedDictionary<string, string> resource) =>
        new(span.Text(5), (int)span.Number(6), span.Hex(1), span.Hex(2), span.Hex(4), span.Messages(15).Any(s => s.Number(3) == 2), span.Number(7), span.Number(8))
        {
            Resource = resource,
            Attributes = AttributesOf(span, 9),
            Events = [.. span.Messages(11).Select(e => (e.Text(2), AttributesOf(e, 3)))],
        };

    private static SortedDictionary<string, string> AttributesOf(ProtoReader message, int field) =>
        new(message.Messages(field).ToDictionary(a => a.Text(1), a => ValueOf(a.Messages(2).Single())), StringComparer.Ordinal);

    private static string ValueOf(ProtoReader value) =>
        value.Has(2) ? (value.Number(2) == 1 ? "true" : "false")
        : value.Has(3) ? ((long)value.Number(3)).ToString(CultureInfo.InvariantCulture)
        : value.Has(4) ? BitConverter.UInt64BitsToDouble(value.Number(4)).ToString("0.###", CultureInfo.InvariantCulture)
        : value.Has(5) ? $"[{string.Join(',', value.Messages(5).Single().Messages(1).Select(ValueOf))}]"
        : value.Text(1);
}
