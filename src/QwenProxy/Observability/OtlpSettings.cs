using OpenTelemetry.Exporter;

namespace QwenProxy.Observability;

/// <summary>Where one signal goes. Headers are in the form of the variable, <c>name=value,name=value</c>.</summary>
internal sealed record OtlpTarget(Uri Endpoint, OtlpExportProtocol Protocol, string? Headers, int? TimeoutMilliseconds);

/// <summary>
/// What OpenTelemetry's standard variables ask for; a signal that is null is not exported. The library reads some of them itself, but not those
/// for one signal, and it takes a value it does not understand for none.
/// </summary>
internal sealed record OtlpSettings(OtlpTarget? Metrics, OtlpTarget? Traces)
{
    private const string Prefix = "OTEL_EXPORTER_OTLP_";
    private const int GrpcPort = 4317;

    public bool IsOff => Metrics is null && Traces is null;

    /// <summary>Reads the variables; every value that cannot be understood becomes a fault.</summary>
    public static OtlpSettings Read(Func<string, string?> variable, ICollection<string> faults)
    {
        if (string.Equals(variable("OTEL_SDK_DISABLED"), "true", StringComparison.OrdinalIgnoreCase)) return new OtlpSettings(null, null);
        return new OtlpSettings(TargetOf("METRICS", "v1/metrics", variable, faults), TargetOf("TRACES", "v1/traces", variable, faults));
    }

    private static OtlpTarget? TargetOf(string signal, string path, Func<string, string?> variable, ICollection<string> faults)
    {
        string? exporter = variable($"OTEL_{signal}_EXPORTER");
        if (exporter is not null and not "otlp")
        {
            if (exporter != "none") faults.Add($"OTEL_{signal}_EXPORTER is \"{exporter}\"; it must be otlp or none");
            return null;
        }

        string own = $"{Prefix}{signal}_ENDPOINT";
        string? written = variable(own);
        string name = written is null ? Prefix + "ENDPOINT" : own;
        if ((written ?? variable(name)) is not { } text) return null;
        if (!Uri.TryCreate(text, UriKind.Absolute, out Uri? endpoint) || endpoint.Scheme is not ("http" or "https"))
        {
            faults.Add($"{name} is \"{text}\"; it must be an http or https URL, such as http://localhost:4318");
            return null;
        }

        if (ProtocolOf(signal, endpoint, variable, faults) is not { } protocol) return null;
        // The common endpoint is a base; a signal's own is taken as it is.
        if (written is null && protocol == OtlpExportProtocol.HttpProtobuf) endpoint = new Uri(endpoint.AbsoluteUri.TrimEnd('/') + "/" + path);
        return new OtlpTarget(endpoint, protocol, Of(signal, "HEADERS", variable).Value, TimeoutOf(signal, variable, faults));
    }

    private static OtlpExportProtocol? ProtocolOf(string signal, Uri endpoint, Func<string, string?> variable, ICollection<string> faults)
    {
        (string name, string? text) = Of(signal, "PROTOCOL", variable);
        switch (text)
        {
            // The specification prefers HTTP; who names gRPC's own port means gRPC.
            case null: return endpoint.Port == GrpcPort ? OtlpExportProtocol.Grpc : OtlpExportProtocol.HttpProtobuf;
            case "grpc": return OtlpExportProtocol.Grpc;
            case "http/protobuf": return OtlpExportProtocol.HttpProtobuf;
            default:
                faults.Add($"{name} is \"{text}\"; it must be http/protobuf or grpc");
                return null;
        }
    }

    private static int? TimeoutOf(string signal, Func<string, string?> variable, ICollection<string> faults)
    {
        (string name, string? text) = Of(signal, "TIMEOUT", variable);
        if (text is null) return null;
        if (int.TryParse(text, out int milliseconds) && milliseconds > 0) return milliseconds;
        faults.Add($"{name} is \"{text}\"; it must be a number of milliseconds above 0");
        return null;
    }

    /// <summary>A signal's own variable wins over the common one.</summary>
    private static (string Name, string? Value) Of(string signal, string what, Func<string, string?> variable)
    {
        string own = $"{Prefix}{signal}_{what}";
        return variable(own) is { } value ? (own, value) : (Prefix + what, variable(Prefix + what));
    }
}
