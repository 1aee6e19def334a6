using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;

namespace QwenProxy.Simulator.Tests;

public sealed class ServerTests
{
    [Theory]
    [InlineData("/v1/models")]
    [InlineData("/compatible-mode/v1/models")]
    public async Task Models_AreListedUnderBothPrefixes(string path)
    {
        await using Upstream upstream = await Upstream.StartAsync(new SimulatorOptions { Models = ["qwen-a", "org/qwen-b"], Scenario = "error-500" });
        JsonElement list = (await upstream.Client.GetStringAsync(path, Upstream.Stop)).Json();
        Assert.Equal(["qwen-a", "org/qwen-b"], list.GetProperty("data").EnumerateArray().Select(m => m.GetProperty("id").GetString()));
        JsonElement one = (await upstream.Client.GetStringAsync(path + "/org%2Fqwen-b", Upstream.Stop)).Json();
        Assert.Equal(("org/qwen-b", "model"), (one.GetProperty("id").GetString(), one.GetProperty("object").GetString()));
        using HttpResponseMessage missing = await upstream.Client.GetAsync(path + "/nope", Upstream.Stop);
        Assert.Equal(HttpStatusCode.NotFound, missing.StatusCode);
    }

    [Fact]
    public async Task UnlistedModel_IsRefusedWhenOnlyListedOnesCount()
    {
        await using Upstream upstream = await Upstream.StartAsync(new SimulatorOptions { Models = ["a"], OnlyListedModels = true });
        using HttpResponseMessage response = await upstream.PostAsync("chat/completions", Ask.Plain);
        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
    }

    [Theory]
    [InlineData("Bearer sk-right", HttpStatusCode.OK)]
    [InlineData("Bearer sk-wrong", HttpStatusCode.Unauthorized)]
    [InlineData(null, HttpStatusCode.Unauthorized)]
    public async Task ApiKey_DecidesAboutEveryRoute(string? authorization, HttpStatusCode expected)
    {
        await using Upstream upstream = await Upstream.StartAsync(new SimulatorOptions { ApiKey = "sk-right" });
        if (authorization is not null) upstream.Client.DefaultRequestHeaders.Add("Authorization", authorization);
        using HttpResponseMessage models = await upstream.Client.GetAsync("models", Upstream.Stop);
        using HttpResponseMessage chat = await upstream.PostAsync("chat/completions", Ask.Plain);
        Assert.Equal((expected, expected), (models.StatusCode, chat.StatusCode));
    }

    [Fact]
    public async Task RefusedToken_GetsThePortals401()
    {
        await using Upstream upstream = await Upstream.StartAsync(new SimulatorOptions { AcceptsToken = token => token == "t1" });
        upstream.Client.DefaultRequestHeaders.Add("Authorization", "Bearer t0");
        JsonElement error = (await upstream.ChatAsync(Ask.Plain)).Json().GetProperty("error");
        Assert.Equal(("invalid_api_key", "invalid access token or token expired"),
            (error.GetProperty("code").GetString(), error.GetProperty("message").GetString()));
    }

    [Theory]
    [InlineData("user", "\"x\"", 400)]
    [InlineData("system", "\"x\"", 200)]
    [InlineData("system", "[{\"type\":\"text\",\"text\":\"x\"}]", 200)]
    public async Task Portal_WantsTheSystemMessageFirst(string role, string content, int expected)
    {
        string body = $$"""{"model":"coder-model","messages":[{"role":"{{role}}","content":{{content}}},{"role":"user","content":"y"}]}""";
        await using Upstream option = await Upstream.StartAsync(new SimulatorOptions { Portal = true });
        await using Upstream scenario = await Upstream.StartAsync(new SimulatorOptions { Scenario = "portal" });
        foreach (Upstream upstream in new[] { option, scenario })
        {
            using HttpResponseMessage response = await upstream.PostAsync("chat/completions", body);
            Assert.Equal(expected, (int)response.StatusCode);
        }
    }

    [Theory]
    [InlineData("""[{"role":"developer","content":"x"},{"role":"user","content":"x"}]""", "developer is not one of")]
    [InlineData("""[{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":"{\"a\""}}]},{"role":"tool","content":"x"}]""",
        "in JSON format")]
    [InlineData("""[{"role":"user","content":"x"},{"role":"tool","content":"x"}]""", "preceeding message")]
    [InlineData("""[{"role":"user","content":"x"}]""", null)]
    public async Task Strict_RefusesWhatTheServiceRefuses(string messages, string? fault)
    {
        await using Upstream upstream = await Upstream.StartAsync(new SimulatorOptions { Strict = true });
        string answer = await upstream.ChatAsync($$"""{"model":"m","messages":{{messages}}}""");
        if (fault is null) Assert.Contains("chat.completion", answer);
        else Assert.Contains(fault, answer.Json().GetProperty("error").GetProperty("message").GetString());
    }

    [Fact]
    public async Task UnknownRoute_EchoesTheRequest()
    {
        await using Upstream upstream = await Upstream.StartAsync();
        using HttpResponseMessage response = await upstream.PostAsync("files/a%2Fb?x=1&y=%20", "{ \"n\": 1.50 }");
        JsonElement echo = (await response.Content.ReadAsStringAsync(Upstream.Stop)).Json();
        Assert.Equal("{ \"n\": 1.50 }", echo.GetProperty("body").GetString());
        Assert.Equal(("POST", "?x=1&y=%20", 13), (echo.GetProperty("method").GetString(), echo.GetProperty("query").GetString(),
            echo.GetProperty("body_bytes").GetInt32()));
        Assert.Equal("/v1/files/a%2Fb?x=1&y=%20", upstream.Server.Requests[0].Target);
    }

    [Theory]
    [InlineData("{\"model\":")]
    [InlineData("[]")]
    [InlineData("")]
    [InlineData("{\"model\":\"m\",\"messages\":[nope]}")]
    public async Task NotJson_IsRefused(string body)
    {
        await using Upstream upstream = await Upstream.StartAsync();
        using HttpResponseMessage response = await upstream.PostAsync("chat/completions", body);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
    }

    [Fact]
    public async Task Requests_AreRecordedWithBodyHeadersAndScenario()
    {
        await using Upstream upstream = await Upstream.StartAsync(new SimulatorOptions { KeepRequests = 2 });
        foreach (string name in new[] { "json", "thinking", "healthy" }) await upstream.ChatAsync(Ask.Plain, name);
        Assert.Equal(["thinking", "healthy"], upstream.Server.Requests.Select(r => r.Scenario));
        RecordedRequest request = upstream.Server.Requests[1];
        Assert.Equal(Ask.Plain, request.BodyText);
        Assert.Equal("healthy", request.Headers["X-Simulator-Scenario"]);
        Assert.Equal("POST", request.Method);
        await request.Ended.WaitAsync(TimeSpan.FromSeconds(60), Upstream.Stop);
        Assert.False(request.ClientAborted);
    }

    [Fact]
    public async Task NothingKept_ServesAllTheSame()
    {
        await using Upstream upstream = await Upstream.StartAsync(new SimulatorOptions { KeepRequests = 0 });
        Assert.True((await upstream.ReadStreamAsync(Ask.Stream)).Done);
        Assert.Empty(upstream.Server.Requests);
    }

    [Fact]
    public async Task Sequence_TakesAStepPerRequestAndStaysOnTheLast()
    {
        await using Upstream upstream = await Upstream.StartAsync(new SimulatorOptions
        {
            Scenario =
            "sequence:status?code=500|error-429-rate|healthy"
        });
        List<int> statuses = [];
        for (int i = 0; i < 4; i++)
        {
            using HttpResponseMessage response = await upstream.PostAsync("chat/completions", Ask.Plain);
            statuses.Add((int)response.StatusCode);
        }

        Assert.Equal([500, 429, 200, 200], statuses);
        using HttpResponseMessage other = await upstream.PostAsync("chat/completions", Ask.Plain, "cycle:error-503|healthy");
        Assert.Equal(503, (int)other.StatusCode);
    }

    [Theory]
    [InlineData("sim-error-503")]
    [InlineData("acme/sim-error-503")]
    [InlineData("sim/error-503")]
    [InlineData("sim-status?code=503")]
    public async Task ModelName_ChoosesTheScenario(string model)
    {
        await using Upstream upstream = await Upstream.StartAsync();
        using HttpResponseMessage response = await upstream.PostAsync("chat/completions", $$"""{"model":"{{model}}","messages":[]}""");
        Assert.Equal(503, (int)response.StatusCode);
    }

    [Fact]
    public async Task ChooseScenario_GoesBeforeHeaderAndModel()
    {
        await using Upstream upstream = await Upstream.StartAsync(new SimulatorOptions
        {
            ChooseScenario = request => request.BodyText.Contains("ferry") ? "error-503" : null,
        });
        using HttpResponseMessage chosen = await upstream.PostAsync("chat/completions", Ask.Plain, "healthy");
        using HttpResponseMessage left = await upstream.PostAsync("chat/completions", """{"model":"m","messages":[]}""", "error-504-html");
        Assert.Equal((503, 504), ((int)chosen.StatusCode, (int)left.StatusCode));
    }

    [Fact]
    public async Task Replay_IsExactToTheByte()
    {
        string file = Path.Combine(Path.GetTempPath(), $"replay-{Environment.ProcessId}-{nameof(Replay_IsExactToTheByte)}.sse");
        byte[] capture = [.. Encoding.UTF8.GetBytes("data: {\"a\":\"海\"}\r\n\r\n: x\ndata:y"), 0xFF, 0xE6, .. new byte[40_000]];
        await File.WriteAllBytesAsync(file, capture, Upstream.Stop);
        try
        {
            await using Upstream upstream = await Upstream.StartAsync(new SimulatorOptions { ReplayFile = file });
            using HttpResponseMessage response = await upstream.PostAsync("chat/completions", Ask.Stream);
            Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.ToString());
            Assert.Equal(capture, await response.Content.ReadAsByteArrayAsync(Upstream.Stop));
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public async Task Http2_WorksWithPriorKnowledge()
    {
        await using SimulatorServer server = await SimulatorServer.StartAsync(new SimulatorOptions { Http2 = true }, Upstream.Stop);
        using HttpClient client = new()
        {
            DefaultRequestVersion = HttpVersion.Version20,
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact
        };
        using HttpResponseMessage response = await client.PostAsync(server.BaseUrl + "/chat/completions", new StringContent(Ask.Stream),
            Upstream.Stop);
        Assert.True(StreamReading.Of(await response.Content.ReadAsByteArrayAsync(Upstream.Stop)).Done);
        Assert.Equal("HTTP/2", server.Requests[0].Protocol);
        HttpRequestMessage cut = new(HttpMethod.Post, server.BaseUrl + "/chat/completions")
        {
            Content = new StringContent(Ask.Stream),
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        cut.Headers.Add("x-simulator-scenario", "cut?events=2&how=rst");
        await Assert.ThrowsAnyAsync<HttpRequestException>(() => client.SendAsync(cut, Upstream.Stop));
        Assert.Equal(1, server.AcceptedConnections);
    }

    [Fact]
    public async Task Tls_SpeaksWithTheGivenCertificate()
    {
        using RSA key = RSA.Create(2048);
        CertificateRequest request = new("CN=localhost", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        DateTimeOffset day = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
        using X509Certificate2 self = request.CreateSelfSigned(day, day.AddYears(20));
        using X509Certificate2 certificate = X509CertificateLoader.LoadPkcs12(self.Export(X509ContentType.Pkcs12), null);
        await using SimulatorServer server = await SimulatorServer.StartAsync(new SimulatorOptions { Certificate = certificate, Http2 = true },
            Upstream.Stop);
        using SocketsHttpHandler handler = new();
        handler.SslOptions.RemoteCertificateValidationCallback = (_, shown, _, _) => shown?.GetCertHashString() == certificate.GetCertHashString();
        using HttpClient client = new(handler);
        using HttpResponseMessage response = await client.PostAsync(server.BaseUrl + "/chat/completions", new StringContent(Ask.Plain),
            Upstream.Stop);
        Assert.True(response.IsSuccessStatusCode);
        Assert.Equal("https", server.BaseUrl.Scheme);
    }

    [Fact]
    public async Task Connections_AreCountedAndCanBeDropped()
    {
        await using Upstream upstream = await Upstream.StartAsync();
        using HttpResponseMessage response = await upstream.PostAsync("chat/completions", Ask.Stream, "stall?events=1");
        Assert.Equal((1, 1), (upstream.Server.OpenConnections, upstream.Server.AcceptedConnections));
        upstream.Server.DropConnections();
        await Assert.ThrowsAnyAsync<HttpRequestException>(() => response.Content.ReadAsByteArrayAsync(Upstream.Stop));
    }

    [Fact]
    public async Task Dispose_EndsHangingStreams()
    {
        Upstream upstream = await Upstream.StartAsync();
        using HttpResponseMessage response = await upstream.PostAsync("chat/completions", Ask.Stream, "stall?events=1");
        await upstream.Server.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(60), Upstream.Stop);
        await Assert.ThrowsAnyAsync<HttpRequestException>(() => response.Content.ReadAsByteArrayAsync(Upstream.Stop));
    }
}
