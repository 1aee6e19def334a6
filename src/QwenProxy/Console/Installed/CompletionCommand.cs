namespace QwenProxy.Console.Installed;

internal sealed record CompletionOptions(string Shell);

/// <summary>
/// <c>qwen-proxy completion SHELL</c>: a small script for that shell which asks the program itself what could come next
/// (<c>qwen-proxy "[suggest:POSITION]" "LINE"</c>), so that it never falls behind the commands.
/// </summary>
internal sealed class CompletionCommand(Terminal terminal)
{
    public static readonly string[] Shells = ["bash", "zsh", "fish", "pwsh"];

    private const string Bash = """
        # qwen-proxy: completion for bash.  source <(qwen-proxy completion bash)
        _qwen_proxy() {
          local IFS=$'\n' current="${COMP_WORDS[COMP_CWORD]}" line="${COMP_LINE:0:COMP_POINT}"
          COMPREPLY=($(compgen -W "$("${COMP_WORDS[0]}" "[suggest:${#line}]" "$line" 2>/dev/null)" -- "$current"))
        }
        complete -o bashdefault -o default -F _qwen_proxy qwen-proxy

        """;

    private const string Zsh = """
        #compdef qwen-proxy
        # qwen-proxy: completion for zsh.  source <(qwen-proxy completion zsh)
        _qwen_proxy() {
          local -a found
          found=("${(@f)$("${words[1]}" "[suggest:${#BUFFER[1,$CURSOR]}]" "${BUFFER[1,$CURSOR]}" 2>/dev/null)}")
          if (( ${#found[@]} )) && [[ -n "${found[1]}" ]]; then compadd -- "${found[@]}"; else _files; fi
        }
        if [[ "${funcstack[1]}" == "_qwen-proxy" ]]; then _qwen_proxy "$@"; else compdef _qwen_proxy qwen-proxy; fi

        """;

    private const string Fish = """
        # qwen-proxy: completion for fish.  qwen-proxy completion fish | source
        function __qwen_proxy_suggest
            set -l line (commandline --cut-at-cursor)
            qwen-proxy "[suggest:"(string length -- "$line")"]" "$line" 2>/dev/null
        end
        complete --command qwen-proxy --arguments '(__qwen_proxy_suggest)'

        """;

    private const string PowerShell = """
        # qwen-proxy: completion for PowerShell.  qwen-proxy completion pwsh | Out-String | Invoke-Expression
        Register-ArgumentCompleter -Native -CommandName qwen-proxy -ScriptBlock {
            param($word, $line, $position)
            qwen-proxy "[suggest:$position]" "$line" 2>$null | Where-Object { $_ -like "$word*" } | ForEach-Object {
                [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
            }
        }

        """;

    public Task<int> RunAsync(CompletionOptions options, CancellationToken stop)
    {
        terminal.Out.Write(options.Shell switch
        {
            "bash" => Bash,
            "zsh" => Zsh,
            "fish" => Fish,
            _ => PowerShell,
        });
        return Task.FromResult(ExitCodes.Done);
    }
}
