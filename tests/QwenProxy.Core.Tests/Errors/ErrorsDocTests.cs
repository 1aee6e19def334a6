using QwenProxy.Core.Errors;
using QwenProxy.Core.Resilience;

namespace QwenProxy.Core.Tests.Errors;

/// <summary>docs/errors.md says what the code does.</summary>
public sealed class ErrorsDocTests
{
    [Fact]
    public void PolicyTable_IsTheOneInTheDocument()
    {
        Dictionary<string, string[]> rows = Rows().Where(r => r.Length == 9).ToDictionary(r => r[0]);
        foreach (ErrorRule rule in ErrorPolicy.Table.Where(r => r.Kind < FaultKind.NoAccount))
        {
            Assert.True(rows.TryGetValue(rule.Kind.ToString(), out string[]? row), rule.Kind.ToString());
            Assert.Equal([Word(rule.Here), Word(rule.Elsewhere), Word(rule.OtherModel)], row[2..5]);
            Assert.StartsWith(rule.Scope == CooldownScope.None ? "nothing" : rule.Scope.ToString().ToLowerInvariant(), row[5], StringComparison.Ordinal);
            Assert.Equal(Word(rule.Breaks), row[7]);
        }
    }

    [Fact]
    public void OwnCodes_AreInTheDocumentWithTheirStatus()
    {
        Dictionary<string, string[]> rows = Rows().Where(r => r.Length == 4).ToDictionary(r => r[0].Trim('`'));
        foreach (object?[] own in OwnErrorsTests.All.Select(r => ((ITheoryDataRow)r).GetData()))
        {
            string code = (string)own[0]!;
            if (code != "client_gone") Assert.Equal(own[1]!.ToString(), rows[code][1]);
        }
    }

    private static string Word(bool value) => value ? "yes" : "no";

    private static IEnumerable<string[]> Rows() => File.ReadLines(Path.Combine(Root(), "docs", "errors.md"))
        .Where(l => l.StartsWith('|'))
        .Select(l => l.Trim('|').Split('|').Select(c => c.Trim()).ToArray());

    private static string Root()
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "QwenProxy.slnx"))) folder = folder.Parent;
        return folder?.FullName ?? throw new InvalidOperationException("The tests do not run inside the repository.");
    }
}
