using QwenProxy.Configuration;
using QwenProxy.Core.Repair.Stutter;

namespace QwenProxy.Proxying.Streaming;

/// <summary>
/// <c>x-qwen-proxy-repair</c>, by which one request chooses its repair: <c>off</c> for none, or a list such as <c>stutter=safe, toolCalls=off</c>.
/// What it does not name stays as configured; words it does not know are passed over, since a header must not make a request fail.
/// </summary>
internal static class RepairHeader
{
    public const string Name = "x-qwen-proxy-repair";

    public static RepairSnapshot Apply(RepairSnapshot configured, string header)
    {
        if (header.Length == 0) return configured;
        RepairSnapshot modes = configured;
        foreach (string item in header.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            int equals = item.IndexOf('=', StringComparison.Ordinal);
            string stage = equals < 0 ? "all" : item[..equals].Trim();
            string mode = item[(equals + 1)..].Trim();
            modes = Set(modes, stage, mode);
        }

        return modes;
    }

    private static RepairSnapshot Set(RepairSnapshot modes, string stage, string mode)
    {
        bool isSwitch = Enum.TryParse(mode, ignoreCase: true, out SwitchMode switched);
        bool isStutter = Enum.TryParse(mode, ignoreCase: true, out StutterMode stutter);
        return stage.ToLowerInvariant() switch
        {
            "all" when isSwitch && switched != SwitchMode.On => modes with
            {
                Stutter = switched == SwitchMode.Off ? StutterMode.Off : StutterMode.Observe,
                ToolCalls = switched,
                ThinkTags = switched,
                LoopGuard = switched == SwitchMode.Off ? SwitchMode.Off : modes.LoopGuard,
            },
            "stutter" when isStutter => modes with { Stutter = stutter },
            "toolcalls" when isSwitch => modes with { ToolCalls = switched },
            "thinktags" when isSwitch => modes with { ThinkTags = switched },
            "loopguard" when isSwitch => modes with { LoopGuard = switched },
            _ => modes,
        };
    }
}
