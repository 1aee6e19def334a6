using System.Text;
using QwenProxy.Core.Dialects.OpenAIChat;
using QwenProxy.Core.Events;
using QwenProxy.Wire;

namespace QwenProxy.Core.Tests.Events;

/// <summary>An event that is used again has nothing of its earlier life, and is nobody's twice.</summary>
public sealed class ChatEventSparesTests
{
    [Fact]
    public void DisposedEvent_SaysNothingAndComesBackEmpty()
    {
        ChatEvent first = Read("secret");
        first.SetText(0, "other"u8);
        using ChatEvent copy = ChatEvent.Rent();
        copy.CopyFrom(first);
        first.Dispose();
        Assert.True(first.Raw.IsEmpty && first.Data.IsEmpty && first.Parts.IsEmpty);
        Assert.Equal("other", Encoding.UTF8.GetString(copy.Text(copy.Parts[0])));

        using ChatEvent again = ChatEvent.Rent();
        Assert.Same(first, again);
        Assert.True(again is { Kind: EventKind.Silent, Edited: false, EndsStream: false } && again.Parts.IsEmpty && again.UsageJson.IsEmpty);
    }

    [Fact]
    public void EventDisposedTwice_IsGivenToOneOwner()
    {
        ChatEvent twice = ChatEvent.Rent();
        twice.Dispose();
        twice.Dispose();
        using ChatEvent one = ChatEvent.Rent();
        using ChatEvent other = ChatEvent.Rent();
        Assert.NotSame(one, other);
    }

    private static ChatEvent Read(string text)
    {
        using SseFrameReader reader = new(4096);
        int length = Encoding.UTF8.GetBytes($"data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n", reader.GetMemory().Span);
        reader.Advance(length);
        Assert.True(reader.TryRead(out SseFrame frame));
        using ChatEvent borrowed = ChatEvent.Rent();
        ChatEventDecoder.Shared.Read(frame, borrowed);
        ChatEvent own = ChatEvent.Rent();
        own.CopyFrom(borrowed);
        return own;
    }
}
