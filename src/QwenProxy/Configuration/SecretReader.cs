using System.Text;
using QwenProxy.Core.Accounts;

namespace QwenProxy.Configuration;

/// <summary>Reads keys: literal, <c>env:NAME</c> or <c>file:PATH</c>. No message it writes ever holds the key itself.</summary>
internal static class SecretReader
{
    /// <summary>More than any key; a larger file is surely the wrong file.</summary>
    private const int LargestFileBytes = 64 * 1024;

    /// <summary>Reads a key from the configuration file and lists it as <c>***</c> under the path given.</summary>
    public static Secret? FromNode(LoadContext context, ConfigNode? node, string path)
    {
        if (context.Expect(node, ConfigNodeKind.Text, path, "a text: the key itself, env:NAME or file:PATH") is not { } text) return null;
        string place = $"{context.File}:{text.Position.Line}:{text.Position.Column}";
        string said = text.Text;
        string source = said.StartsWith("env:", StringComparison.Ordinal) || said.StartsWith("file:", StringComparison.Ordinal) ? $" ({said})" : "";
        context.Value(path, "***", context.LineOf(text) + source);
        return Read(context, place, path, said, context.FileFolder);
    }

    /// <summary>Reads a key that a variable holds; <c>env:</c> and <c>file:</c> work there too.</summary>
    public static Secret? FromVariable(LoadContext context, string variable, string text, string what = "the key") =>
        Read(context, variable, what, text, context.Sources.WorkingFolder);

    /// <summary>The file that a key of the configuration file stands in: the one it names, or the configuration file itself; null for a variable.</summary>
    public static string? FileOfNode(LoadContext context, ConfigNode? node) => node is not { Kind: ConfigNodeKind.Text } ? null
        : node.Text.StartsWith("env:", StringComparison.Ordinal) ? null
        : FileNamedBy(context, node.Text, context.FileFolder) ?? context.File;

    /// <summary>The file that a variable names in place of a key; null when it holds the key itself.</summary>
    public static string? FileOfVariable(LoadContext context, string variable) =>
        FileNamedBy(context, context.Sources.Variable(variable) ?? "", context.Sources.WorkingFolder);

    private static string? FileNamedBy(LoadContext context, string text, string folder) =>
        text.StartsWith("file:", StringComparison.Ordinal) ? context.Sources.FullPath(text[5..], folder) : null;

    private static Secret? Read(LoadContext context, string origin, string what, string text, string folder)
    {
        string? key = text;
        if (text.StartsWith("env:", StringComparison.Ordinal)) key = FromEnvironment(context, origin, what, text[4..]);
        else if (FileNamedBy(context, text, folder) is { } file)
            key = FromFile(context, origin, what, file);
        if (key is null) return null;
        if (key.Length == 0)
            context.Fault(origin, $"{what} is empty");
        else if (key.Any(c => c is <= ' ' or > '~'))
            context.Fault(origin, $"{what} holds a space, a line break or another character that no key has");
        else
            return new Secret(key);
        return null;
    }

    private static string? FromEnvironment(LoadContext context, string origin, string what, string name)
    {
        if (context.Sources.Variable(name) is { } value) return value;
        context.Fault(origin, $"{what} is to come from the environment variable {name}, which is not set");
        return null;
    }

    private static string? FromFile(LoadContext context, string origin, string what, string path)
    {
        try
        {
            byte[] content = ReadStart(path);
            context.Watch(path, content);
            if (content.Length <= LargestFileBytes) return Encoding.UTF8.GetString(content).TrimStart('\uFEFF').TrimEnd('\r', '\n');
            context.Fault(origin, $"{what} is to come from the file {path}, which is too large to be a key");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            context.Watch(path);
            string why = e is FileNotFoundException or DirectoryNotFoundException ? "which does not exist" : "which cannot be read: " + e.Message;
            context.Fault(origin, $"{what} is to come from the file {path}, {why}");
        }

        return null;
    }

    /// <summary>The whole file, or one byte more than is allowed of it. A pipe has no length to ask for, so it is read to its end.</summary>
    private static byte[] ReadStart(string path)
    {
        using FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        byte[] buffer = new byte[LargestFileBytes + 1];
        int length = stream.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false);
        return buffer[..length];
    }
}
