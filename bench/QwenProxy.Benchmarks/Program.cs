using QwenProxy.Benchmarks;
using QwenProxy.Benchmarks.Contestants;
using QwenProxy.Benchmarks.Work;

// Read by the sockets of every process of the benchmark, so it comes first.
Environment.SetEnvironmentVariable("DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS", "1");
switch (args)
{
    // The processes that the benchmark starts of itself.
    case ["upstream", var port, var stampedPort]:
        return await Upstream.RunAsync(int.Parse(port), int.Parse(stampedPort));
    case ["raw", var port, var upstreamPort]:
        return await RawForwarder.RunAsync(int.Parse(port), int.Parse(upstreamPort));
    // For a profiler: the load alone, against something that was started by hand.
    case ["load", var port, var work, var seconds]:
        return await LoadWork.RunAloneAsync(int.Parse(port), work, TimeSpan.FromSeconds(int.Parse(seconds)));
}

if (!BenchmarkOptions.TryParse(args, out BenchmarkOptions options, out string fault))
{
    Console.Error.WriteLine(fault);
    Console.Error.WriteLine(BenchmarkOptions.Usage);
    return 64;
}

if (ContestantList.WhatIsMissing() is { } missing)
{
    Console.Error.WriteLine(missing);
    return 69;
}

ContestantList.ProxyBinary = options.Binary ?? await NativeBuild.MakeAsync();
return await new Benchmark(options).RunAsync();
