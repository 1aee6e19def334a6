using System.Text;
using System.Text.Json;
using QwenProxy.Core.Repair.ToolCalls;
using QwenProxy.Core.Tests.Repair.Tags;
using QwenProxy.Wire;

namespace QwenProxy.Core.Tests.Repair.ToolCalls;

/// <summary>Files about calls, written by calls: which closing tag is the call's own; the forms with attributes; values that are no JSON.</summary>
public sealed class QuotedEndTests
{
    private const string Quoted = "<tool_call>\n<function=read_file>\n<parameter=path>\na\n</parameter>\n</function>\n</tool_call>";
    private const string Invoked = "<function_calls>\n<invoke name=\"read_file\">\n<parameter name=\"path\">a</parameter>\n</invoke>\n</function_calls>";

    public static TheoryData<string> Files => new()
    {
        "one\n</parameter>\n</function>\ntwo",
        "</parameter>\n</function>\n",
        "a </parameter></function> b",
        $"The form is:\n{Quoted}\nand no other.",
        $"First:\n{Quoted}\nthen:\n{Quoted}\nend",
        $"{Invoked} is another form",
        "<function=read_file>\n<parameter=path>\nb\n</parameter>\n</function>\ntext",
        "x\n</parameter>\n<parameter=content>\ny",
        "<think>\nnot a thought\n</think>\n```\n</function>\n",
        "<tool_call> and </tool_call> alone",
        "`</parameter>` closes it,\n</parameter>\nlike that",
    };

    [Theory]
    [MemberData(nameof(Files))]
    public void ClosingTagsInAParameter_CutAnywhere_AreTextWhenTheCallGoesOn(string file)
    {
        string text = $"<tool_call>\n<function=write_file>\n<parameter=path>\nf\n</parameter>\n<parameter=content>\n{file}\n</parameter>\n</function>\n</tool_call>";
        string attributes = $"<function_calls>\n<invoke name=\"write_file\">\n<parameter name=\"path\">f</parameter>\n<parameter name=\"content\">\n{file}\n</parameter>\n</invoke>\n</function_calls>";
        foreach (string call in (string[])[text, attributes])
        {
            foreach (string[] pieces in Sse.Cuts(call).Concat([Sse.Every("Look:\n" + call + "\n", 5)]))
            {
                RepairRun run = LeakedCallTests.Run(Sse.Stream(pieces));
                Assert.Equal("tool_calls", run.FinishReason);
                JsonElement arguments = JsonDocument.Parse(run.Message.GetProperty("tool_calls")[0].GetProperty("function").GetProperty("arguments").GetString()!).RootElement;
                Assert.Equal(file, arguments.GetProperty("content").GetString());
                Assert.Equal("f", arguments.GetProperty("path").GetString());
                Assert.Single(run.Calls);
                Assert.Contains(run.Content, (string[])["", "\n", "Look:\n", "Look:\n\n"]);
            }
        }
    }

    public static TheoryData<string, string> Ends => new()
    {
        { "<tool_call>\n<function=read_file>\n<parameter=path>\na\n</parameter>\n</function>\n\nThe wrapper's end is missing.", "read_file({\"path\":\"a\"})" },
        { $"<tool_call>\n<function=read_file>\n<parameter=path>\na\n</parameter>\n</function>\n\nAnother:\n{Quoted}", "read_file({\"path\":\"a\"})+read_file({\"path\":\"a\"})" },
        { $"<tool_call>\n<function=read_file>\n<parameter=path>\na\n</parameter>\n</function>\n{Quoted}", "read_file({\"path\":\"a\"})+read_file({\"path\":\"a\"})" },
        { "<tool_call>\n<function=write_file>\n<parameter=content>\n<function=read_file>\n<parameter=path>\n</parameter>\n</function>\n</tool_call>",
            "write_file({\"content\":\"<function=read_file>\\n<parameter=path>\"})" },
    };

    [Theory]
    [MemberData(nameof(Ends))]
    public void EndWithoutALaterOne_IsTheEnd(string text, string calls)
    {
        foreach (string[] pieces in Sse.Cuts(text))
        {
            RepairRun run = LeakedCallTests.Run(Sse.Stream(pieces));
            Assert.Equal(calls, string.Join('+', run.Calls));
        }
    }

    public static TheoryData<string, string> Attributes => new()
    {
        { Invoked, "read_file({\"path\":\"a\"})" },
        { "<invoke name=\"read_file\">\n<parameter name=\"path\">a</parameter>\n<parameter name=\"limit\">3</parameter>\n</invoke>", "read_file({\"path\":\"a\",\"limit\":3})" },
        { "<tool_call><invoke name='read_file'><parameter name='path'>a</parameter></invoke></tool_call>", "read_file({\"path\":\"a\"})" },
        { "<function_calls><invoke name=\"read_file\"><parameter name=\"path\" string=\"true\">a</parameter></invoke></function_calls>", "read_file({\"path\":\"a\"})" },
        { "<function_calls>\n<invoke name=\"read_file\">\n<parameter name=\"path\">a</parameter>\n</invoke>\n<invoke name=\"list_all\">\n</invoke>\n</function_calls>",
            "read_file({\"path\":\"a\"})+list_all({})" },
        { "<invoke name=\"read_file\">{\"path\": \"a\"}</invoke>", "read_file({\"path\": \"a\"})" },
        { "<invoke name=\"read_file\">\n<parameter name=\"path\">a</parameter>", "read_file({\"path\":\"a\"})" },
    };

    [Theory]
    [MemberData(nameof(Attributes))]
    public void FormWithAttributes_CutAnywhere_IsACall(string text, string calls)
    {
        const string space = "antml" + ":";
        string named = text.Replace("<f", "<" + space + "f", StringComparison.Ordinal).Replace("<i", "<" + space + "i", StringComparison.Ordinal)
            .Replace("<p", "<" + space + "p", StringComparison.Ordinal).Replace("</", "</" + space, StringComparison.Ordinal);
        foreach (string spelled in text.Contains("<tool_call", StringComparison.Ordinal) ? (string[])[text] : [text, named])
        {
            foreach (string[] pieces in Sse.Cuts(spelled))
            {
                Assert.Equal($"||{calls}|tool_calls", LeakedCallTests.Run(Sse.Stream(pieces)).Seen);
                Assert.Equal($"||{calls}|tool_calls", LeakedCallTests.Run(Sse.Stream(pieces, "reasoning_content")).Seen);
            }
        }
    }

    [Theory]
    [InlineData("<invoke name=\"unknown\"><parameter name=\"path\">a</parameter></invoke>")]
    [InlineData("<invoke name=\"read_file\"> reads, <invoke> alone does not, <invoked name=\"read_file\">")]
    [InlineData("`<invoke name=\"read_file\"><parameter name=\"path\">a</parameter></invoke>`")]
    [InlineData("<function_calls> and <invoke name=\"read_f")]
    [InlineData("<invoke name=read_file>\n<invoke id=\"read_file\">\n</invoke>")]
    public void MentionOfTheFormWithAttributes_PassesByteForByte(string text)
    {
        foreach (string[] pieces in Sse.Cuts(text)) Assert.Equal(Sse.Stream(pieces), LeakedCallTests.Run(Sse.Stream(pieces)).Stream);
    }

    [Theory]
    [InlineData("['a', 'b']", "[\"a\",\"b\"]")]
    [InlineData("[\"it's\", 'say \"hi\"', 'it\\'s',]", "[\"it's\",\"say \\\"hi\\\"\",\"it's\"]")]
    [InlineData("['C:\\\\x', '\\x41\\u00e9\\n', '\\d']", "[\"C:\\\\x\",\"\\u0041\\u00e9\\n\",\"\\\\d\"]")]
    [InlineData("[('a', 1), (2.5, -3e2)]", "[[\"a\",1],[2.5,-3e2]]")]
    [InlineData("[True, False, None, [], {}]", "[true,false,null,[],{}]")]
    [InlineData("[\n  '汉字 😀',\n]", "[\"汉字 😀\"]")]
    public void PythonList_BecomesTheList(string raw, string json) => Assert.Equal(json, Written(raw, JsonTypes.Array));

    [Fact]
    public void PythonDict_BecomesTheObject() =>
        Assert.Equal("{\"k\":true,\"z\":null,\"n\":{\"a\":[1]}}", Written("{'k': True, 'z': None, 'n': {'a': [1]}}", JsonTypes.Object));

    [Theory]
    [InlineData("['a', 'b'")]
    [InlineData("['a' 'b']")]
    [InlineData("['a'] + ['b']")]
    [InlineData("[a, b]")]
    [InlineData("['a\\")]
    [InlineData("['\\xZZ']")]
    [InlineData("[01x]")]
    public void WhatIsNoLiteral_StaysText(string raw) => Assert.Equal(JsonSerializer.Serialize(raw), JsonSerializer.Serialize(JsonDocument.Parse(Written(raw, JsonTypes.Array)).RootElement.GetString()));

    [Fact]
    public void PythonLiteralWhereAStringIsAllowed_StaysJson()
    {
        Assert.Equal("\"['a']\"", Written("['a']", JsonTypes.String));
        Assert.Equal("\"{'a': 1}\"", Written("{'a': 1}", JsonTypes.Array));
    }

    [Theory]
    [InlineData(10)]
    [InlineData(5000)]
    public void LongLists_AreListsUpToTheLimit_AndJsonBeyondIt(int items)
    {
        string json = "[" + string.Join(", ", Enumerable.Range(0, items).Select(i => $"\"{i}\"")) + "]";
        string python = json.Replace('"', '\'');
        foreach (string list in (string[])[json, python])
        {
            RepairRun run = LeakedCallTests.Run(Sse.Stream(Sse.Every($"<function=read_file>\n<parameter=tags>\n{list}\n</parameter>\n</function>", 50)));
            JsonElement tags = JsonDocument.Parse(run.Message.GetProperty("tool_calls")[0].GetProperty("function").GetProperty("arguments").GetString()!).RootElement.GetProperty("tags");
            bool isText = list == python && items > 1000;
            Assert.Equal(isText ? JsonValueKind.String : JsonValueKind.Array, tags.ValueKind);
            if (!isText) Assert.Equal(items, tags.GetArrayLength());
        }
    }

    private static string Written(string raw, JsonTypes types)
    {
        using PooledBytes output = new();
        ValueCoercion.Write(Encoding.UTF8.GetBytes(raw), types, output);
        return Encoding.UTF8.GetString(output.Span);
    }
}
