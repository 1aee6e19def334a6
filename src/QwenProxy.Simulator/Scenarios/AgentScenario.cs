using System.Text.Json;
using QwenProxy.Simulator.Agents;
using QwenProxy.Simulator.Answers;
using QwenProxy.Simulator.Requests;

namespace QwenProxy.Simulator.Scenarios;

/// <summary>A model that works through a script, for real agents that read and write files.</summary>
internal static class AgentScenario
{
    public static IEnumerable<Scenario> All =>
    [
        new("agent", "answers", "plays the turns of `script=FILE`, or of the script given by code; other parameters fill `${name}` in the file")
        {
            Answer = Answer,
        },
    ];

    private static SimulatedAnswer Answer(ScenarioContext context)
    {
        AgentScript script = ScriptOf(context);
        ModelCall call = context.Call;
        if (call.Tools.Count == 0) return new SimulatedAnswer { Text = script.WithoutTools };
        if (script.Turns.Count == 0) throw new ScenarioException("the agent's script has no turns");
        AgentTurn turn = script.Turns[Math.Min(call.ToolRounds, script.Turns.Count - 1)];
        List<SimulatedToolCall> calls = [];
        foreach (AgentCall wanted in turn.Calls)
        {
            if (Choose(wanted, call) is not { } tool) return NoTool(wanted, call);
            calls.Add(new SimulatedToolCall(ToolSamples.CallId(tool.Name, tool.ArgumentsJson, call.ToolRounds, calls.Count), tool.Name,
                tool.ArgumentsJson));
        }

        return new SimulatedAnswer { Reasoning = turn.Reasoning, Text = turn.Text, ToolCalls = calls };
    }

    private static AgentScript ScriptOf(ScenarioContext context)
    {
        if (context.Spec.Get("script") is not { } file) return context.Script ?? throw new ScenarioException("the scenario agent needs script=FILE");
        try
        {
            return AgentScriptReader.Read(File.ReadAllText(file), context.Spec.Parameters);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or JsonException or KeyNotFoundException
            or InvalidOperationException)
        {
            throw new ScenarioException($"the agent's script {file} cannot be used: {fault.Message}");
        }
    }

    private static AgentTool? Choose(AgentCall wanted, ModelCall call) =>
        wanted.Alternatives.FirstOrDefault(a => call.Tools.Any(t => t.Name == a.Name));

    /// <summary>Said as text, so that whoever wrote the script sees at once which name is missing.</summary>
    private static SimulatedAnswer NoTool(AgentCall wanted, ModelCall call) => new()
    {
        Text = $"The script wants one of [{string.Join(", ", wanted.Alternatives.Select(a => a.Name))}] "
            + $"but the request offers [{string.Join(", ", call.Tools.Select(t => t.Name))}].",
    };
}
