using Microsoft.Extensions.Logging;

namespace QwenProxy.Observability;

/// <summary>What every request is measured and told with: the clock, the log, the numbers, and ids that do not repeat.</summary>
internal sealed record Instruments(TimeProvider Time, ILogger Logger, ProxyMetrics Metrics, IdSource Ids);
