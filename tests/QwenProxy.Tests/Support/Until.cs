namespace QwenProxy.Tests.Support;

/// <summary>Waits for something that happens on its own; the bound is for the case that it never does.</summary>
internal static class Until
{
    public static Task TrueAsync(Func<bool> condition, TimeSpan bound) => TrueAsync(() => Task.FromResult(condition()), bound);

    public static async Task TrueAsync(Func<Task<bool>> condition, TimeSpan bound)
    {
        long begin = TimeProvider.System.GetTimestamp();
        while (!await condition())
        {
            if (TimeProvider.System.GetElapsedTime(begin) > bound) Assert.Fail($"It did not come true within {bound}.");
            await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System);
        }
    }
}
