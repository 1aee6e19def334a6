using System.Buffers.Text;
using System.Text.Json;
using QwenProxy.Wire;

namespace QwenProxy.Core.Repair.ToolCalls;

/// <summary>Turns a parameter's raw text into the JSON value its schema asks for.</summary>
internal static class ValueCoercion
{
    /// <summary>
    /// A text that reads as one of the allowed types other than string takes that type, since the model writes <c>5</c> for a number and for a
    /// string alike and a schema that allows a number was written to get one. What fits no allowed type stays the string it is: an
    /// agent's own check then tells the model what was wrong, which a guess here would hide.
    /// </summary>
    public static void Write(ReadOnlySpan<byte> raw, JsonTypes types, PooledBytes output)
    {
        ReadOnlySpan<byte> text = raw.Trim(" \t\r\n"u8);
        if ((types & JsonTypes.Null) != 0 && (Same(text, "null"u8) || Same(text, "none"u8)))
        {
            output.Write("null"u8);
            return;
        }

        if ((types & JsonTypes.Boolean) != 0 && (Same(text, "true"u8) || Same(text, "false"u8)))
        {
            output.Write(Same(text, "true"u8) ? "true"u8 : "false"u8);
            return;
        }

        if ((types & (JsonTypes.Integer | JsonTypes.Number)) != 0 && WriteNumber(text, types, output)) return;
        if ((types & (JsonTypes.Object | JsonTypes.Array)) != 0 && WriteContainer(text, types, output)) return;
        JsonText.WriteString(raw, output);
    }

    private static bool Same(ReadOnlySpan<byte> text, ReadOnlySpan<byte> lower) => System.Text.Ascii.EqualsIgnoreCase(text, lower);

    private static bool WriteNumber(ReadOnlySpan<byte> text, JsonTypes types, PooledBytes output)
    {
        if (text.IsEmpty || text[0] is (byte)'{' or (byte)'[' or (byte)'"' || JsonScanner.SkipValue(text, 0) != text.Length) return false;
        if (text[0] != '-' && !char.IsAsciiDigit((char)text[0])) return false;
        if ((types & JsonTypes.Number) != 0 || text.IndexOfAny((byte)'.', (byte)'e', (byte)'E') < 0)
        {
            output.Write(text);
            return true;
        }

        // An integer written as 5.0.
        if (!Utf8Parser.TryParse(text, out decimal value, out int used) || used != text.Length || value != decimal.Truncate(value)) return false;
        Span<byte> digits = output.GetSpan(40);
        Utf8Formatter.TryFormat(decimal.Truncate(value), digits, out int written, new System.Buffers.StandardFormat('F', 0));
        output.Advance(written);
        return true;
    }

    private static bool WriteContainer(ReadOnlySpan<byte> text, JsonTypes types, PooledBytes output)
    {
        if (text.Length < 2) return false;
        bool wanted = text[0] switch
        {
            (byte)'{' => (types & JsonTypes.Object) != 0,
            (byte)'[' => (types & JsonTypes.Array) != 0,
            _ => false,
        };
        if (!wanted) return false;
        if (IsJson(text))
        {
            output.Write(text);
            return true;
        }

        int before = output.Length;
        if (PythonLiteral.TryWriteJson(text, output)) return true;
        output.Truncate(before);
        return false;
    }

    /// <summary>False when a text that goes on can be no JSON whatever comes.</summary>
    public static bool BeginsAsJson(ReadOnlySpan<byte> text)
    {
        try
        {
            Utf8JsonReader reader = new(text, isFinalBlock: false, default);
            while (reader.Read())
            {
            }

            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    public static bool IsJson(ReadOnlySpan<byte> text)
    {
        try
        {
            Utf8JsonReader reader = new(text);
            while (reader.Read())
            {
            }

            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
