using System.Buffers;
using System.IO.Pipelines;
using Microsoft.AspNetCore.Http;

namespace QwenProxy.Simulator.Replies;

/// <summary>Carries out a plan on a connection.</summary>
internal sealed class ReplyRunner(TimeProvider time)
{
    private const int FlushAtBytes = 16 * 1024;
    private static readonly TimeSpan ClientMayCloseFor = TimeSpan.FromSeconds(5);

    /// <param name="http">The request to answer.</param>
    /// <param name="plan">What to answer.</param>
    /// <param name="leaving">Called just before this side breaks the connection, so that the break is not put down to the client.</param>
    /// <returns>False when a write found the client gone, which may be known before the request's token says so.</returns>
    public async Task<bool> RunAsync(HttpContext http, ReplyPlan plan, Action leaving)
    {
        CancellationToken gone = http.RequestAborted;
        using PacedTimer? timer = NeedsTimer(plan) ? new PacedTimer(time, gone) : null;
        if (plan.DelayBeforeHeaders > TimeSpan.Zero) await timer!.WaitAsync(plan.DelayBeforeHeaders);
        if (gone.IsCancellationRequested) return false;
        bool silent = plan is { Pieces.Count: 0, Ending: not ReplyEnding.Complete, SendsHeaders: false };
        if (!silent)
        {
            SetHeaders(http.Response, plan);
            if (!await WritePiecesAsync(http.Response.BodyWriter, plan, timer, gone)) return false;
            // With a piece the headers have gone; without one they need a flush of their own.
            if (plan is { Pieces.Count: 0, SendsHeaders: true }) await http.Response.BodyWriter.FlushAsync(CancellationToken.None);
        }

        await EndAsync(http, plan, timer, leaving);
        return true;
    }

    private static bool NeedsTimer(ReplyPlan plan) =>
        plan.Gap > TimeSpan.Zero || plan.DelayBeforeHeaders > TimeSpan.Zero || plan.Ending is ReplyEnding.Hang or ReplyEnding.Fin;

    private static void SetHeaders(HttpResponse response, ReplyPlan plan)
    {
        response.StatusCode = plan.Status;
        if (plan.ContentType is { } type) response.ContentType = type;
        if (plan.ContentLength is { } length) response.ContentLength = length;
        foreach ((string name, string value) in plan.Headers) response.Headers.Append(name, value);
    }

    private static async ValueTask<bool> WritePiecesAsync(PipeWriter body, ReplyPlan plan, PacedTimer? timer, CancellationToken gone)
    {
        int pending = 0;
        bool paced = plan.Gap > TimeSpan.Zero;
        IReadOnlyList<ReadOnlyMemory<byte>> pieces = plan.Pieces;
        for (int i = 0; i < pieces.Count && !gone.IsCancellationRequested; i++)
        {
            if (paced && i > 0) await timer!.WaitAsync(plan.Gap);
            body.Write(pieces[i].Span);
            pending += pieces[i].Length;
            if (!paced && !plan.FlushEachPiece && pending < FlushAtBytes) continue;
            pending = 0;
            if ((await body.FlushAsync(CancellationToken.None)).IsCompleted) return false;
        }

        return pending == 0 || !(await body.FlushAsync(CancellationToken.None)).IsCompleted;
    }

    private static async ValueTask EndAsync(HttpContext http, ReplyPlan plan, PacedTimer? timer, Action leaving)
    {
        CancellationToken gone = http.RequestAborted;
        switch (plan.Ending)
        {
            case ReplyEnding.Hang:
                await HangAsync(http.Response.BodyWriter, plan, timer!, gone);
                break;
            case ReplyEnding.Reset:
                leaving();
                ConnectionEnding.Reset(http);
                break;
            case ReplyEnding.Fin:
                leaving();
                ConnectionEnding.Finish(http);
                if (!gone.IsCancellationRequested) await timer!.WaitAsync(ClientMayCloseFor);
                http.Abort();
                break;
        }
    }

    private static async ValueTask HangAsync(PipeWriter body, ReplyPlan plan, PacedTimer timer, CancellationToken gone)
    {
        TimeSpan every = plan.WhileHanging.IsEmpty ? TimeSpan.FromHours(1) : plan.WhileHangingEvery;
        while (!gone.IsCancellationRequested)
        {
            await timer.WaitAsync(every);
            if (gone.IsCancellationRequested || plan.WhileHanging.IsEmpty) continue;
            body.Write(plan.WhileHanging.Span);
            await body.FlushAsync(CancellationToken.None);
        }
    }
}
