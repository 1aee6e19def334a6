using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.Data.Sqlite;
using QwenProxy.Configuration;
using QwenProxy.Core.Ledger;
using QwenProxy.Credentials;
using QwenProxy.Ledger;

namespace QwenProxy.Console;

/// <summary><c>qwen-proxy ledger export</c> and <c>ledger backup FILE</c>: the ledger for other programs, whether a proxy writes to it meanwhile or not.</summary>
internal sealed class LedgerCommand(Terminal terminal, Func<ConfigurationFlags, ConfigurationSources> sourcesOf, TimeProvider time)
{
    private const int ChunkLength = 32 * 1024;

    public Task<int> ExportAsync(LedgerExportOptions options, CancellationToken stop) => OnLedgerAsync(options.Flags, ledger =>
    {
        if (!TryReadSince(terminal, options.Since, time, out DateTimeOffset? since)) return ExitCodes.BadUsage;
        bool isCsv = options.Format == "csv";
        StringBuilder lines = new();
        if (isCsv) lines.Append(LedgerCsv.Header).Append("\r\n");
        foreach (LedgerEntry entry in ledger.Read(since))
        {
            stop.ThrowIfCancellationRequested();
            if (isCsv) lines.Append(LedgerCsv.Line(entry)).Append("\r\n");
            else lines.Append(JsonLine(entry)).Append('\n');
            // The console passes each write on at once; line by line a year takes minutes.
            if (lines.Length < ChunkLength) continue;
            terminal.Out.Write(lines);
            lines.Clear();
        }

        terminal.Out.Write(lines);
        terminal.Out.Flush();
        return ExitCodes.Done;
    });

    public Task<int> BackupAsync(LedgerBackupOptions options, CancellationToken stop) => OnLedgerAsync(options.Flags, ledger =>
    {
        if (ledger is not FileLedger)
        {
            terminal.Error.WriteLine($"The ledger is in {ledger.Place}. `pg_dump --schema qwen_proxy` backs that up, sign-ins and client keys included.");
            return ExitCodes.Failed;
        }

        if (File.Exists(options.File) && !options.Force)
        {
            terminal.Error.WriteLine($"{options.File} exists already. Name another file, or add --force to replace it.");
            return ExitCodes.Failed;
        }

        DurableFiles disk = new();
        string temporary = options.File + ".tmp";
        File.Delete(temporary);
        disk.WriteNew(temporary, default);
        try
        {
            using (SqliteConnection connection = LedgerFile.Open(ledger.Place))
            using (SqliteCommand copy = connection.CreateCommand())
            {
                // One moment's state, without the free pages; writers are not held up, since they append to the log meanwhile.
                copy.CommandText = "VACUUM INTO $file";
                copy.Parameters.AddWithValue("$file", temporary);
                copy.ExecuteNonQuery();
            }

            disk.Replace(temporary, options.File);
        }
        finally
        {
            File.Delete(temporary);
        }

        terminal.Error.WriteLine($"The ledger as of now is in {options.File} ({new FileInfo(options.File).Length / 1024} KiB).");
        return ExitCodes.Done;
    });

    /// <summary>What <c>--since</c> says; false when it cannot be understood, which was told.</summary>
    internal static bool TryReadSince(Terminal terminal, string? text, TimeProvider time, out DateTimeOffset? since)
    {
        since = null;
        if (text is null) return true;
        if (SinceText.TryRead(text, time.GetUtcNow(), time.LocalTimeZone, out DateTimeOffset from))
        {
            since = from;
            return true;
        }

        terminal.Error.WriteLine($"--since is \"{text}\"; it must be {SinceText.Allowed}.");
        return false;
    }

    private async Task<int> OnLedgerAsync(ConfigurationFlags flags, Func<ILedger, int> run)
    {
        ConfigurationResult loaded = ConfigurationLoader.Load(sourcesOf(flags));
        if (loaded.Snapshot is not { } snapshot)
        {
            ConfigCommand.TellFaults(terminal, loaded);
            return ExitCodes.BadUsage;
        }

        return await LedgerAccess.RunAsync(terminal, snapshot.Storage, time, ledger =>
        {
            if (ledger.Exists) return run(ledger);
            terminal.Error.WriteLine($"There is no ledger at {ledger.Place} yet: no request has been served.");
            return ExitCodes.NotFound;
        });
    }

    private static string JsonLine(LedgerEntry entry)
    {
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            LedgerJson.WriteMembers(json, entry);
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(bytes.GetBuffer().AsSpan(0, (int)bytes.Length));
    }
}
