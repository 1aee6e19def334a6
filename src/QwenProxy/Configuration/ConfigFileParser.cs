using System.Text;
using System.Text.Json;

namespace QwenProxy.Configuration;

/// <summary>
/// Reads JSON with comments and trailing commas into nodes that know their place. JsonDocument would do the same without places,
/// and a fault without a line number sends people searching.
/// </summary>
internal ref struct ConfigFileParser
{
    private readonly ReadOnlySpan<byte> _bytes;
    private readonly LoadContext _context;
    private readonly string _file;
    private Utf8JsonReader _reader;

    private ConfigFileParser(string file, ReadOnlySpan<byte> bytes, LoadContext context)
    {
        _bytes = bytes.StartsWith("\uFEFF"u8) ? bytes[3..] : bytes;
        _context = context;
        _file = file;
        _reader = new Utf8JsonReader(_bytes, new JsonReaderOptions { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip });
    }

    /// <summary>The file's root object; null, with a fault, when the text is not JSON or not an object.</summary>
    public static ConfigNode? Parse(string file, ReadOnlySpan<byte> bytes, LoadContext context)
    {
        ConfigFileParser parser = new(file, bytes, context);
        try
        {
            if (!parser._reader.Read()) return null;
            ConfigNode root = parser.Value();

            // Anything but white space and comments after the root is a syntax error, which only reading on tells.
            parser._reader.Read();
            if (root.Kind == ConfigNodeKind.Object) return root;
            context.Fault(file, root.Position, "the configuration must be one JSON object, { … }");
        }
        catch (JsonException e)
        {
            JsonFault fault = JsonFault.Of(parser._bytes, e);
            context.Fault(file, fault.Place, fault.Words);
        }

        return null;
    }

    private ConfigNode Value()
    {
        ConfigPosition place = Place();
        switch (_reader.TokenType)
        {
            case JsonTokenType.StartObject:
                return Object(place);
            case JsonTokenType.StartArray:
                ConfigNode array = new(ConfigNodeKind.Array, "", place);
                while (_reader.Read() && _reader.TokenType != JsonTokenType.EndArray) array.Items.Add(Value());
                return array;
            case JsonTokenType.String:
                return new ConfigNode(ConfigNodeKind.Text, _reader.GetString()!, place);
            case JsonTokenType.Number:
                return new ConfigNode(ConfigNodeKind.Number, Encoding.UTF8.GetString(_reader.ValueSpan), place);
            case JsonTokenType.True or JsonTokenType.False:
                return new ConfigNode(ConfigNodeKind.Boolean, _reader.GetBoolean() ? "true" : "false", place);
            default:
                return new ConfigNode(ConfigNodeKind.Null, "null", place);
        }
    }

    private ConfigNode Object(ConfigPosition place)
    {
        ConfigNode node = new(ConfigNodeKind.Object, "", place);
        while (_reader.Read() && _reader.TokenType != JsonTokenType.EndObject)
        {
            ConfigPosition keyPlace = Place();
            string key = _reader.GetString()!;
            _reader.Read();
            ConfigNode value = Value();
            if (node.Members.Find(m => m.Key == key) is { } first)
                _context.Fault(_file, keyPlace, $"\"{key}\" is written twice; the first is in line {first.Position.Line}");
            else
                node.Members.Add(new ConfigMember(key, keyPlace, value));
        }

        return node;
    }

    private readonly ConfigPosition Place()
    {
        ReadOnlySpan<byte> before = _bytes[..(int)_reader.TokenStartIndex];
        int lineStart = before.LastIndexOf((byte)'\n') + 1;
        return new ConfigPosition(before.Count((byte)'\n') + 1, Encoding.UTF8.GetCharCount(before[lineStart..]) + 1);
    }
}
