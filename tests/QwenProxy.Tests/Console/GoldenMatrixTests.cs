using System.Globalization;
using QwenProxy.Console;
using QwenProxy.Testing;
using QwenProxy.Tests.Support;

namespace QwenProxy.Tests.Console;

/// <summary>
/// Case by dialect, as files: what an upstream sent (<c>upstream.sse</c>) and what each dialect's client reads of it, repaired. With
/// <c>QWEN_PROXY_WRITE_GOLDEN=1</c> the files are written instead of compared.
/// </summary>
public sealed class GoldenMatrixTests
{
    private static readonly string Folder = RepositoryFiles.Locate("tests/golden/matrix");

    public static TheoryData<string, string> Matrix
    {
        get
        {
            TheoryData<string, string> matrix = [];
            foreach (string folder in Directory.EnumerateDirectories(Folder).Order(StringComparer.Ordinal))
                foreach (string dialect in (string[])[Dialect.Chat, Dialect.Messages, Dialect.Responses]) matrix.Add(Path.GetFileName(folder), dialect);
            return matrix;
        }
    }

    [Theory]
    [MemberData(nameof(Matrix))]
    public async Task Case_ReadsInTheDialectAsTheFileSays(string name, string dialect)
    {
        string read = await ReplayAsync(name, dialect);
        string file = Path.Combine(Folder, name, dialect + ".sse");
        if (Environment.GetEnvironmentVariable("QWEN_PROXY_WRITE_GOLDEN") == "1") await File.WriteAllTextAsync(file, read, TestContext.Current.CancellationToken);
        Assert.Equal(await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken), read);
    }

    [Theory]
    [MemberData(nameof(Matrix))]
    public async Task Case_SaysTheSameInEveryDialect(string name, string dialect)
    {
        string chat = await ReplayAsync(name, Dialect.Chat);
        string read = await ReplayAsync(name, dialect);
        Assert.Equal(StreamText.Content(chat), StreamText.Content(read));
        Assert.Equal(StreamText.IsComplete(chat), StreamText.IsComplete(read));
        Assert.Equal(StreamText.Error(chat) is null, StreamText.Error(read) is null);
    }

    private static async Task<string> ReplayAsync(string name, string dialect)
    {
        StringWriter output = new(CultureInfo.InvariantCulture);
        ReplayOptions options = new(Path.Combine(Folder, name, "upstream.sse"), "auto", dialect) { Profile = "dashscope", RequestFile = Path.Combine(Folder, "request.json") };
        ReplayCommand command = new(new Terminal(output, new StringWriter(CultureInfo.InvariantCulture)), new FakeClock());
        Assert.Equal(ExitCodes.Done, await command.RunAsync(options, TestContext.Current.CancellationToken));
        return output.ToString();
    }
}
