using System.Diagnostics;
using System.Runtime.CompilerServices;
using QwenProxy.Benchmarks.Load;
using QwenProxy.Benchmarks.Work;

namespace QwenProxy.Benchmarks.Contestants;

/// <summary>A gateway from npm: how it is started, and what it is asked.</summary>
/// <param name="Contestant">Its name and start.</param>
/// <param name="Works">What it can do of <see cref="GatewayWork"/>.</param>
/// <param name="Headers">What a request needs beside the usual ones, by the upstream's port; lines with their ends.</param>
internal sealed record NpmGateway(Contestant Contestant, IReadOnlyList<LoadWork> Works, Func<int, string> Headers);

/// <summary>Gateways that run where Node does, in the versions named here, in front of the same upstream. Without npm or its registry they are left out.</summary>
internal static class NpmGateways
{
    private const string Portkey = "@portkey-ai/gateway";
    private const string PortkeyVersion = "1.15.2";
    private const string Router = "@musistudio/claude-code-router";
    private const string RouterVersion = "2.0.0";
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(2);

    /// <summary>Installs them below the build's folder, once. Empty where that cannot be done.</summary>
    public static async Task<IReadOnlyList<NpmGateway>> InstallAsync([CallerFilePath] string here = "")
    {
        string folder = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", "..", "..", "artifacts", "bench-npm"));
        string modules = Path.Combine(folder, "node_modules");
        string portkey = Path.Combine(modules, Portkey, "build", "start-server.js"), router = Path.Combine(modules, Router, "dist", "cli.js");
        if (!File.Exists(portkey) || !File.Exists(router)) await RunNpmAsync(folder);
        List<NpmGateway> there = [];
        if (File.Exists(portkey)) there.Add(new(new Contestant($"Portkey {PortkeyVersion}", (port, _, home) => Start(port, home, $"node '{portkey}' --port={port} --headless")), GatewayWork.Chat, PortkeyHeaders));
        if (File.Exists(router)) there.Add(new(new Contestant($"claude-code-router {RouterVersion}", (port, upstream, home) => StartRouter(router, port, upstream, home)), GatewayWork.Messages, _ => ""));
        return there;
    }

    private static async Task RunNpmAsync(string folder)
    {
        Directory.CreateDirectory(folder);
        System.Console.Error.WriteLine("installing gateways from npm");
        ProcessStartInfo start = new("npm", ["install", "--no-audit", "--no-fund", "--prefix", folder, $"{Portkey}@{PortkeyVersion}", $"{Router}@{RouterVersion}"]) { RedirectStandardOutput = true, RedirectStandardError = true };
        try
        {
            using Process npm = Process.Start(start)!;
            using CancellationTokenSource limit = new(s_patience);
            Task<string> output = npm.StandardOutput.ReadToEndAsync(limit.Token), errors = npm.StandardError.ReadToEndAsync(limit.Token);
            try
            {
                await npm.WaitForExitAsync(limit.Token);
            }
            catch (OperationCanceledException)
            {
                npm.Kill(entireProcessTree: true);
                System.Console.Error.WriteLine("npm took too long; its gateways are left out");
                return;
            }

            await output;
            if (npm.ExitCode != 0) System.Console.Error.WriteLine($"npm failed; its gateways are left out: {await errors}");
        }
        catch (System.ComponentModel.Win32Exception missing)
        {
            System.Console.Error.WriteLine($"npm cannot be run, its gateways are left out: {missing.Message}");
        }
    }

    private static string PortkeyHeaders(int upstream) => $"x-portkey-provider: openai\r\nx-portkey-custom-host: http://127.0.0.1:{upstream}/v1\r\n";

    private static Child StartRouter(string script, int port, int upstream, string home)
    {
        string settings = Directory.CreateDirectory(Path.Combine(home, ".claude-code-router")).FullName;
        string models = string.Join(", ", GatewayWork.Messages.Select(w => $"\"sim-{w.Scenario}\""));
        File.WriteAllText(Path.Combine(settings, "config.json"), $$"""
            {
              "PORT": {{port}}, "HOST": "127.0.0.1", "LOG": false,
              "Providers": [ { "name": "sim", "api_base_url": "http://127.0.0.1:{{upstream}}/v1/chat/completions", "api_key": "sk-benchmark", "models": [{{models}}] } ],
              "Router": { "default": "sim,sim-{{GatewayWork.Messages[0].Scenario}}" }
            }
            """);
        return Start(port, home, $"node '{script}' start");
    }

    private static Child Start(int port, string home, string command) => Child.Start(port, command, new Dictionary<string, string> { ["HOME"] = home, ["NODE_ENV"] = "production" });
}
