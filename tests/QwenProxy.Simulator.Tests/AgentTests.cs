using QwenProxy.Simulator.Agents;

namespace QwenProxy.Simulator.Tests;

public sealed class AgentTests
{
    private const string Script = """
        {
          "withoutTools": "Title",
          "turns": [
            { "reasoning": "look first", "text": "I read it.",
              "calls": [ { "read_file": { "path": "${dir}/a.txt" }, "Read": { "file_path": "${dir}/a.txt" } } ] },
            { "calls": [ { "Write": { "file_path": "${dir}/b.txt", "content": "x\n海" } }, { "Read": { "file_path": "b" } } ] },
            { "text": "Done." },
          ]
        }
        """;

    private const string First =
        """{"model":"m","stream":true,"messages":[{"role":"user","content":"go"}],"tools":[{"type":"function","function":{"name":"Read"}},"""
        + """{"type":"function","function":{"name":"Write"}}]}""";

    [Fact]
    public async Task Turns_FollowTheToolRoundsOfTheHistory()
    {
        string file = Path.Combine(Path.GetTempPath(), $"agent-{Environment.ProcessId}.json");
        await File.WriteAllTextAsync(file, Script, Upstream.Stop);
        try
        {
            await using Upstream upstream = await Upstream.StartAsync(new SimulatorOptions
            {
                Scenario =
                $"agent?script={Uri.EscapeDataString(file)}&dir=/tmp/w"
            });
            StreamReading one = await upstream.ReadStreamAsync(First);
            Assert.Equal(("look first", "I read it.", "tool_calls"), (one.Reasoning, one.Content, one.Finish));
            Assert.Equal(("Read", """{"file_path":"/tmp/w/a.txt"}"""), (one.Calls[0].Name, one.Calls[0].Arguments));
            StreamReading two = await upstream.ReadStreamAsync(After(1));
            Assert.Equal(["Write", "Read"], two.Calls.OrderBy(c => c.Key).Select(c => c.Value.Name));
            Assert.Equal("""{"file_path":"/tmp/w/b.txt","content":"x\n海"}""", two.Calls[0].Arguments);
            Assert.Equal("Done.", (await upstream.ReadStreamAsync(After(2))).Content);
            Assert.Equal("Done.", (await upstream.ReadStreamAsync(After(5))).Content);
            Assert.Equal("Title", (await upstream.ReadStreamAsync("""{"model":"m","stream":true,"messages":[]}""")).Content);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public async Task ScriptByCode_CanBeSpoiled()
    {
        AgentScript script = new([new AgentTurn("", "", [new AgentCall([new AgentTool("Read", """{"file_path":"a"}""")])])]);
        await using Upstream upstream = await Upstream.StartAsync(new SimulatorOptions { Script = script, Scenario = "agent?defect=leaked-hermes" });
        StreamReading stream = await upstream.ReadStreamAsync(First);
        Assert.Equal("<tool_call>\n{\"name\": \"Read\", \"arguments\": {\"file_path\":\"a\"}}\n</tool_call>\n", stream.Content);
        Assert.Empty(stream.Calls);
    }

    [Fact]
    public async Task ToolThatNobodyOffers_IsSaid()
    {
        AgentScript script = new([new AgentTurn("", "", [new AgentCall([new AgentTool("Fly", "{}"), new AgentTool("Swim", "{}")])])]);
        await using Upstream upstream = await Upstream.StartAsync(new SimulatorOptions { Script = script, Scenario = "agent" });
        Assert.Equal("The script wants one of [Fly, Swim] but the request offers [Read, Write].", (await upstream.ReadStreamAsync(First)).Content);
    }

    private static string After(int rounds)
    {
        string round =
            """,{"role":"assistant","content":"","tool_calls":[{"id":"c","function":{"name":"Read","arguments":"{}"}}]},"""
            + "{\"role\":\"tool\",\"content\":\"ok\"}";
        return First.Replace("\"go\"}", "\"go\"}" + string.Concat(Enumerable.Repeat(round, rounds)));
    }
}
