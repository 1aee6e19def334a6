using System.CommandLine;
using QwenProxy.Configuration;

namespace QwenProxy.Console;

/// <summary>
/// The options that decide the configuration. Their values stay words here: the loader judges them together with file and environment, so that a
/// person reads of all faults at once.
/// </summary>
internal sealed class ConfigurationOptionGroup
{
    private readonly Option<string?> _config = new("--config") { Description = "Configuration file", HelpName = "FILE" };
    private readonly Option<string?> _host = new("--host") { Description = "Address of the proxy", HelpName = "ADDRESS" };
    private readonly Option<string?> _port = new("--port") { Description = "Port of the proxy", HelpName = "N" };
    private readonly Option<bool> _debug = new("--debug", "-debug") { Description = "Log decisions and state changes" };

    public ConfigurationOptionGroup AddTo(Command command)
    {
        command.Add(_config);
        command.Add(_host);
        command.Add(_port);
        command.Add(_debug);
        return this;
    }

    /// <summary>What was written behind the command, else what was written before it.</summary>
    public ConfigurationFlags Read(ParseResult result, ConfigurationOptionGroup before) => new()
    {
        ConfigFile = result.GetValue(_config) ?? result.GetValue(before._config),
        Host = result.GetValue(_host) ?? result.GetValue(before._host),
        Port = result.GetValue(_port) ?? result.GetValue(before._port),
        Debug = result.GetValue(_debug) || result.GetValue(before._debug),
    };
}
