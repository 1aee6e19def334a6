namespace QwenProxy.Tidy.Tests;

public sealed class SizeTests
{
    private const int MaxFileLines = 300;
    private const int MaxFunctionLines = 70;

    [Fact]
    public void EveryFile_HasAtMost300Lines()
    {
        Assert.NotEmpty(Repository.CSharpFiles);
        string[] tooLong = [.. Repository.CSharpFiles.Select(f => (File: f, Lines: Repository.Read(f).Count(c => c == '\n'))).Where(f => f.Lines > MaxFileLines).Select(f => $"{f.File}: {f.Lines}")];
        Assert.True(tooLong.Length == 0, "Files over 300 lines:\n" + string.Join('\n', tooLong));
    }

    [Fact]
    public void EveryFunction_HasAtMost70Lines()
    {
        List<string> tooLong = [];
        int seen = 0;
        foreach (string file in Repository.CSharpFiles)
        {
            foreach (CSharpText.Function function in CSharpText.Functions(Repository.Read(file)))
            {
                seen++;
                if (function.Lines > MaxFunctionLines) tooLong.Add($"{file}:{function.Line}: {function.Lines} lines");
            }
        }

        Assert.True(seen > 100, "The measure finds hardly any function: it is broken.");
        Assert.True(tooLong.Count == 0, "Functions over 70 lines:\n" + string.Join('\n', tooLong));
    }

    [Fact]
    public void TheMeasure_SeesLengthAndSkipsText()
    {
        string body = string.Concat(Enumerable.Repeat("        Call(\"{\"); // {\n", 75));
        string source = "class A\n{\n    void B(int x)\n    {\n" + body + "    }\n\n    int C => 1;\n}\n";
        CSharpText.Function function = Assert.Single(CSharpText.Functions(source));
        Assert.Equal(77, function.Lines);
        Assert.Equal(4, function.Line);
    }
}
