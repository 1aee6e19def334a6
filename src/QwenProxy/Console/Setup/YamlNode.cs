using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace QwenProxy.Console.Setup;

/// <summary>A YAML value with its place in the text. The library's own tree has no places to edit at.</summary>
internal sealed class YamlNode
{
    /// <summary>Null when it is a map or a list, or bound to other nodes by an anchor or an alias.</summary>
    public string? Scalar { get; private init; }

    public bool IsScalar => Scalar is not null;

    /// <summary>A scalar that is over where its line is.</summary>
    public bool IsOneLine { get; private init; }

    public bool IsMap { get; init; }

    /// <summary>Written with brackets.</summary>
    public bool IsFlow { get; private init; }

    /// <summary>Counted from 0, in characters.</summary>
    public int Start { get; init; }

    public int End { get; private set; }

    /// <summary>Counted from 1.</summary>
    public int Line { get; private init; }

    /// <summary>Counted from 0; of a map, that of its keys.</summary>
    public int Column { get; private init; }

    public List<(string Key, YamlNode Value)> Members { get; } = [];

    public List<YamlNode> Items { get; } = [];

    public YamlNode? Find(string key) => Members.Find(m => m.Key == key).Value;

    /// <summary>The root of the only document; null when the text has nothing but comments.</summary>
    public static YamlNode? Read(string text)
    {
        try
        {
            Parser parser = new(new StringReader(text));
            parser.Consume<StreamStart>();
            if (parser.Accept<StreamEnd>(out _)) return null;
            parser.Consume<DocumentStart>();
            YamlNode root = ReadNode(parser);
            DocumentEnd end = parser.Consume<DocumentEnd>();
            if (!end.IsImplicit || !parser.Accept<StreamEnd>(out _)) throw new SettingsFault($"line {end.Start.Line}: only a file with one YAML document can be edited");
            return root;
        }
        catch (YamlException broken)
        {
            throw new SettingsFault($"line {broken.Start.Line}: not YAML: {broken.Message}");
        }
    }

    private static YamlNode ReadNode(Parser parser)
    {
        switch (parser.Consume<ParsingEvent>())
        {
            case Scalar scalar:
                return new YamlNode
                {
                    Scalar = scalar.Anchor.IsEmpty ? scalar.Value : null,
                    IsOneLine = scalar.Style is not (ScalarStyle.Literal or ScalarStyle.Folded),
                    Start = (int)scalar.Start.Index,
                    End = (int)scalar.End.Index,
                    Line = (int)scalar.Start.Line,
                };
            case SequenceStart list:
                return ReadList(parser, list);
            case MappingStart map:
                return ReadMap(parser, map);
            case var alias:
                return new YamlNode { Start = (int)alias.Start.Index, End = (int)alias.End.Index, Line = (int)alias.Start.Line };
        }
    }

    private static YamlNode ReadList(Parser parser, SequenceStart start)
    {
        YamlNode node = new() { IsFlow = start.Style == SequenceStyle.Flow, Start = (int)start.Start.Index, Line = (int)start.Start.Line };
        while (!parser.Accept<SequenceEnd>(out _)) node.Items.Add(ReadNode(parser));

        // The library gives the place before a closing bracket.
        node.End = (int)parser.Consume<SequenceEnd>().Start.Index + (node.IsFlow ? 1 : 0);
        return node;
    }

    private static YamlNode ReadMap(Parser parser, MappingStart start)
    {
        YamlNode node = new()
        {
            IsMap = true,
            IsFlow = start.Style == MappingStyle.Flow,
            Start = (int)start.Start.Index,
            Line = (int)start.Start.Line,
            Column = (int)start.Start.Column - 1,
        };
        while (!parser.Accept<MappingEnd>(out _))
        {
            YamlNode key = ReadNode(parser);
            YamlNode value = ReadNode(parser);

            // A key that is itself a map or a list is none that is looked for.
            node.Members.Add((key.Scalar ?? "", value));
        }

        node.End = (int)parser.Consume<MappingEnd>().End.Index;
        return node;
    }
}
