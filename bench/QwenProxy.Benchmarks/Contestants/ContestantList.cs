namespace QwenProxy.Benchmarks.Contestants;

/// <summary>Something that stands between a client and an upstream.</summary>
/// <param name="Name">As it stands in the tables.</param>
/// <param name="Start">Starts one on a port in front of an upstream's port. Its folder is its own.</param>
internal sealed record Contestant(string Name, Func<int, int, string, Child> Start);

/// <summary>Who takes part, each set up as somebody who cares for streams would.</summary>
internal static class ContestantList
{
    public const string Baseline = "nginx";
    public const string Raw = "raw copy";
    public const string Proxy = "qwen-proxy";
    public const string Jit = "qwen-proxy, JIT";

    /// <summary>The proxy's account that is asked in chat only, so that other dialects are translated.</summary>
    public const string ChatOnlyAccount = "chat-only";

    /// <summary>The program as it is released; set before anybody starts.</summary>
    public static string ProxyBinary { get; set; } = "";

    public static IReadOnlyList<Contestant> All { get; } =
    [
        new(Baseline, StartNginx),
        new("haproxy", StartHaproxy),
        new(Raw, (port, upstream, _) => Child.Start(port, $"'{OwnBinary()}' raw {port} {upstream}")),
        new(Proxy, (port, upstream, folder) => StartProxy(ProxyBinary, port, upstream, folder)),
        new(Jit, (port, upstream, folder) => StartProxy(Path.Combine(AppContext.BaseDirectory, "qwen-proxy"), port, upstream, folder)),
    ];

    /// <summary>How to install what the benchmark needs; null when all is there.</summary>
    public static string? WhatIsMissing()
    {
        string[] missing = [.. new[] { "nginx", "haproxy" }.Where(name => Find(name) is null)];
        return missing.Length == 0 ? null : $"The benchmark needs {string.Join(" and ", missing)}. Install with: apt-get install -y --no-install-recommends {string.Join(' ', missing)}";
    }

    public static string OwnBinary() => Path.Combine(AppContext.BaseDirectory, "QwenProxy.Benchmarks");

    private static string? Find(string name) =>
        $"{Environment.GetEnvironmentVariable("PATH")}:/usr/sbin:/usr/local/sbin".Split(':').Select(folder => Path.Combine(folder, name)).FirstOrDefault(File.Exists);

    private static Child StartNginx(int port, int upstream, string folder)
    {
        string file = Path.Combine(folder, "nginx.conf");
        File.WriteAllText(file, $$"""
            worker_processes auto;
            worker_rlimit_nofile 16384;
            pid {{folder}}/nginx.pid;
            error_log /dev/null crit;
            daemon off;
            events { worker_connections 8192; }
            http {
                access_log off;
                client_body_temp_path {{folder}}/body;
                proxy_temp_path {{folder}}/proxy;
                fastcgi_temp_path {{folder}}/fastcgi;
                uwsgi_temp_path {{folder}}/uwsgi;
                scgi_temp_path {{folder}}/scgi;
                client_max_body_size 64m;
                upstream qwen { server 127.0.0.1:{{upstream}}; keepalive 512; keepalive_requests 100000000; }
                server {
                    listen 127.0.0.1:{{port}} backlog=4096;
                    keepalive_requests 100000000;
                    location / {
                        proxy_pass http://qwen;
                        proxy_http_version 1.1;
                        proxy_set_header Connection "";
                        proxy_buffering off;
                        proxy_request_buffering off;
                        proxy_read_timeout 600s;
                    }
                }
            }
            """);
        return Child.Start(port, $"'{Find("nginx")}' -p '{folder}' -c '{file}'");
    }

    private static Child StartHaproxy(int port, int upstream, string folder)
    {
        string file = Path.Combine(folder, "haproxy.cfg");
        File.WriteAllText(file, $"""
            global
                maxconn 8000
            defaults
                mode http
                timeout connect 5s
                timeout client 600s
                timeout server 600s
                http-reuse always
                option http-no-delay
            frontend in
                bind 127.0.0.1:{port} backlog 4096
                default_backend qwen
            backend qwen
                server one 127.0.0.1:{upstream}

            """);
        return Child.Start(port, $"'{Find("haproxy")}' -db -q -f '{file}'");
    }

    /// <summary>The program as it is built, with its log line per request and every repair stage on, also the loop guard that is off by default.</summary>
    private static Child StartProxy(string binary, int port, int upstream, string folder)
    {
        string file = Path.Combine(folder, "qwen-proxy.json");
        File.WriteAllText(file, $$"""
            {
              "port": {{port}},
              "repair": { "loopGuard": "on" },
              "pool": { "maxIdleConnections": 512, "maxIdleConnectionsPerHost": 512 },
              "limits": { "concurrentRequests": 8000 },
              "accounts": [ { "name": "sim", "baseUrl": "http://127.0.0.1:{{upstream}}/v1", "apiKey": "sk-benchmark", "profile": "generic", "native": true, "models": ["sim-*"] },
                { "name": "{{ChatOnlyAccount}}", "baseUrl": "http://127.0.0.1:{{upstream}}/v1", "apiKey": "sk-benchmark", "profile": "generic", "native": false } ]
            }
            """);
        Dictionary<string, string> environment = new() { ["HOME"] = folder, ["QWEN_HOME"] = folder };
        return Child.Start(port, $"'{binary}' serve --config '{file}'", environment);
    }
}
