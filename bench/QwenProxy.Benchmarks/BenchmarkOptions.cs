namespace QwenProxy.Benchmarks;

/// <summary>What the benchmark is asked to do.</summary>
internal sealed record BenchmarkOptions
{
    public const string Usage = """
        dotnet run -c Release --project bench/QwenProxy.Benchmarks -- [--quick] [--only WORD[,WORD]] [--rounds N] [--binary FILE] [--write FILE]

          --quick        one round of short measurements, to see that all runs; its figures mean little
          --only WORDS   only works whose name holds one of the words (e.g. "paced" or "JSON,MiB")
          --rounds N     rounds over all contestants (default 3)
          --binary FILE  the program to measure; without it the native binary is built first, as it is released
          --write FILE   also put the tables between the markers of FILE, e.g. docs/performance.md
        """;

    public int Rounds { get; init; } = 3;

    public IReadOnlyList<string> Only { get; init; } = [];

    public string? WriteTo { get; init; }

    public string? Binary { get; init; }

    public TimeSpan Measure { get; init; } = TimeSpan.FromSeconds(1);

    public TimeSpan Settle { get; init; } = TimeSpan.FromMilliseconds(250);

    public int SlowStreams { get; init; } = 2000;

    /// <summary>For the round that is not counted.</summary>
    public BenchmarkOptions WarmingUp => this with { Measure = Measure / 2 };

    /// <summary>Fresh processes with thousands of streams take long and differ little.</summary>
    public int FreshRounds => Math.Min(Rounds, 2);

    public bool Wants(string work) => Only.Count == 0 || Only.Any(word => work.Contains(word, StringComparison.OrdinalIgnoreCase));

    public static bool TryParse(string[] args, out BenchmarkOptions options, out string fault)
    {
        options = new BenchmarkOptions();
        fault = "";
        for (int i = 0; i < args.Length; i++)
        {
            string? value = i + 1 < args.Length ? args[i + 1] : null;
            switch (args[i])
            {
                case "--quick":
                    options = options with { Rounds = 1, Measure = TimeSpan.FromSeconds(0.5), Settle = TimeSpan.FromMilliseconds(200), SlowStreams = 500 };
                    continue;
                case "--only" when value is not null:
                    options = options with { Only = value.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries) };
                    break;
                case "--rounds" when int.TryParse(value, out int rounds) && rounds > 0:
                    options = options with { Rounds = rounds };
                    break;
                case "--binary" when value is not null:
                    options = options with { Binary = Path.GetFullPath(value) };
                    break;
                case "--write" when value is not null:
                    options = options with { WriteTo = value };
                    break;
                default:
                    fault = $"{args[i]} is not understood here.";
                    return false;
            }

            i++;
        }

        return true;
    }
}
