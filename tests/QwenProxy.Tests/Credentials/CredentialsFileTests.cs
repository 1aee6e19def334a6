using QwenProxy.Core.Accounts;
using QwenProxy.Core.Credentials;
using QwenProxy.Credentials;
using QwenProxy.Simulator.OAuth;

namespace QwenProxy.Tests.Credentials;

/// <summary>The file: whole or untouched, private, shared with another program, never deleted.</summary>
public sealed class CredentialsFileTests : IDisposable
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly SignInWorld _world = new();

    private static QwenCredentials Fresh => new()
    {
        AccessToken = new Secret("fresh"),
        RefreshToken = new Secret("fresh-r"),
        ExpiresAt = DateTimeOffset.UnixEpoch,
    };

    public void Dispose() => _world.Dispose();

    [Fact]
    public void Refresh_SavesBeforeUseWithModesAndUnknownFields() => _world.Run(async () =>
    {
        _world.SignIn(-10, more: "\"note\":\"caf\\u00e9\",");
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(_world.Path, (UnixFileMode)0b110_100_100);
        string token = await SignInWorld.TokenAsync(_world.Broker());
        Assert.Equal(token, _world.OnDisk().AccessToken.Reveal());
        Assert.StartsWith("{\"note\":\"caf\\u00e9\",", File.ReadAllText(_world.Path));
        Assert.Equal([_world.Path], Directory.GetFiles(_world.Folder));
        if (!OperatingSystem.IsWindows()) Assert.Equal(OwnerOnly, File.GetUnixFileMode(_world.Path));
    });

    [Fact]
    public void Rotation_ReplacesTheRefreshTokenAndItsAbsenceKeepsIt() => _world.Run(async () =>
    {
        _world.Server.Options.Rotates = false;
        _world.Server.Options.ResourceUrlOnRefresh = false;
        _world.SignIn(-10);
        QwenCredentials before = _world.OnDisk();
        TokenBroker broker = _world.Broker();
        await SignInWorld.TokenAsync(broker);
        Assert.Equal(before.RefreshToken, _world.OnDisk().RefreshToken);
        Assert.Equal("portal.qwen.ai", _world.OnDisk().ResourceUrl);
        _world.Server.Options.Rotates = true;
        await _world.PassAsync(3601);
        await SignInWorld.TokenAsync(broker);
        Assert.NotEqual(before.RefreshToken, _world.OnDisk().RefreshToken);
        await _world.PassAsync(3601);
        await SignInWorld.TokenAsync(broker);
        Assert.Equal((3, 3), (_world.Server.RefreshesGranted, _world.Server.RefreshCalls));
    });

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void DiskThatCannotBeWritten_KeepsTheTokensInMemoryAndSavesThemLater(bool full) => _world.Run(async () =>
    {
        FailingFiles files = new();
        _world.SignIn(-10);
        byte[] before = File.ReadAllBytes(_world.Path);
        TokenBroker broker = _world.Broker(o => o with { Files = files });
        broker.Start();
        (files.IsFull, files.IsReadOnly) = (full, !full);
        string token = await SignInWorld.TokenAsync(broker);
        Assert.Equal(before, File.ReadAllBytes(_world.Path));
        Assert.Contains("could NOT be saved", _world.Log.Text);
        Assert.True(broker.State.IsUnsaved);

        // The refresh token on the disk is used up: the next refresh must take the one in memory.
        await _world.PassAsync(3700);
        string second = await SignInWorld.TokenAsync(broker);
        Assert.True(_world.Server.Accepts(second));
        Assert.NotEqual(token, second);
        Assert.Equal(0, _world.Server.RefreshTokensReused);

        File.SetLastWriteTimeUtc(_world.Path, DateTime.UnixEpoch);
        (files.IsFull, files.IsReadOnly) = (false, false);
        await _world.PassAsync(10);
        Assert.Equal(second, _world.OnDisk().AccessToken.Reveal());
        Assert.False(broker.State.IsUnsaved);
        Assert.Equal([_world.Path], Directory.GetFiles(_world.Folder));
        await broker.DisposeAsync();
    });

    [Fact]
    public void WriteThatFailsHalfWay_LeavesTheOldFileAndNoOther()
    {
        _world.SignIn();
        byte[] before = File.ReadAllBytes(_world.Path);
        CredentialsFile file = NewFile(new FailingFiles { IsFull = true });
        Assert.Throws<IOException>(() => file.Save(Fresh));
        Assert.Equal(before, File.ReadAllBytes(_world.Path));
        Assert.Equal([_world.Path], Directory.GetFiles(_world.Folder));
    }

    [Fact]
    public void BrokenFile_IsKeptAsideWhenItIsReplaced()
    {
        File.WriteAllText(_world.Path, "{\"access_token\": \"half");
        NewFile().Save(Fresh);
        Assert.Equal("fresh", _world.OnDisk().AccessToken.Reveal());
        Assert.Equal("{\"access_token\": \"half", File.ReadAllText(_world.Path + ".bak"));
    }

    [Fact]
    public void LinkedFile_StaysALink()
    {
        string target = Path.Combine(_world.Folder, "real.json");
        File.WriteAllText(target, "{\"access_token\":\"old\"}");
        File.CreateSymbolicLink(_world.Path, target);
        CredentialsFile file = NewFile();
        FileStamp? before = file.Stamp();
        Assert.NotEqual(before, file.Save(Fresh));
        Assert.Equal(target, new FileInfo(_world.Path).LinkTarget);
        Assert.Equal("fresh", _world.OnDisk().AccessToken.Reveal());
    }

    [Fact]
    public void NewFolder_IsForItsOwnerAlone_AndAnOpenOneIsNarrowedOnlyWhenOurs()
    {
        if (OperatingSystem.IsWindows()) return;
        string folder = Path.Combine(_world.Folder, "home", ".qwen");
        CredentialsFile file = new(Path.Combine(folder, "a.json"), null, folderIsOurs: false, new DurableFiles(), _world.NewId);
        file.Save(Fresh);
        const UnixFileMode Private = OwnerOnly | UnixFileMode.UserExecute;
        Assert.Equal(Private, File.GetUnixFileMode(folder));
        File.SetUnixFileMode(folder, (UnixFileMode)0b111_101_101);
        file.Save(Fresh);
        Assert.Equal((UnixFileMode)0b111_101_101, File.GetUnixFileMode(folder));
        new CredentialsFile(Path.Combine(folder, "a.json"), null, folderIsOurs: true, new DurableFiles(), _world.NewId).Save(Fresh);
        Assert.Equal(Private, File.GetUnixFileMode(folder));
    }

    [Fact]
    public void LinkOutOfTheFolder_LeavesTheFolderItLeadsToAsItIs()
    {
        if (OperatingSystem.IsWindows()) return;
        const UnixFileMode Open = (UnixFileMode)0b111_101_101;
        string shared = Path.Combine(_world.Folder, "shared");
        string home = Path.Combine(_world.Folder, "home", ".qwen");
        Directory.CreateDirectory(shared);
        Directory.CreateDirectory(home);
        File.SetUnixFileMode(shared, Open);
        File.WriteAllText(Path.Combine(shared, "real.json"), "{\"access_token\":\"old\"}");
        File.CreateSymbolicLink(Path.Combine(home, "a.json"), Path.Combine(shared, "real.json"));
        new CredentialsFile(Path.Combine(home, "a.json"), null, folderIsOurs: true, new DurableFiles(), _world.NewId).Save(Fresh);
        Assert.Equal(Open, File.GetUnixFileMode(shared));
        // The folder itself may be a link to one that others use as well.
        string link = Path.Combine(_world.Folder, "link");
        Directory.CreateSymbolicLink(link, shared);
        new CredentialsFile(Path.Combine(link, "b.json"), null, folderIsOurs: true, new DurableFiles(), _world.NewId).Save(Fresh);
        Assert.Equal(Open, File.GetUnixFileMode(shared));
    }

    [Fact]
    public void LeftoversOfAKilledProcess_AreRemovedAndYoungOnesSpared()
    {
        _world.SignIn();
        string old = _world.Path + ".dead.qwen-proxy-tmp";
        string young = _world.Path + ".busy.qwen-proxy-tmp";
        File.WriteAllText(old, "x");
        File.WriteAllText(young, "x");
        File.SetLastWriteTimeUtc(old, File.GetLastWriteTimeUtc(_world.Path).AddHours(-1));
        NewFile().Save(Fresh);
        Assert.False(File.Exists(old));
        Assert.True(File.Exists(young));
    }

    [Fact]
    public void FileChangedByAnotherProgram_IsUsedWithinFiveSecondsOfTheNextRequest() => _world.Run(async () =>
    {
        string first = _world.SignIn();
        TokenBroker broker = _world.Broker();
        Assert.Equal(first, await SignInWorld.TokenAsync(broker));
        string second = _world.SignIn();
        await _world.PassAsync(5);
        Assert.Equal(second, await SignInWorld.TokenAsync(broker));
        Assert.Equal(0, _world.Server.RefreshCalls);
    });

    [Fact]
    public void AnotherProgramsRefresh_IsAdoptedAfterARefusalInsteadOfRefreshing() => _world.Run(async () =>
    {
        string first = _world.SignIn();
        TokenBroker broker = _world.Broker();
        await SignInWorld.TokenAsync(broker);
        string second = _world.SignIn();
        Assert.True(await broker.RecoverAsync(first, AuthFailure.Refused, CancellationToken.None));
        Assert.Equal(second, await SignInWorld.TokenAsync(broker));
        Assert.Equal(0, _world.Server.RefreshCalls);
    });

    [Fact]
    public void DeadAccount_ComesBackWithANewFileWithinTenSeconds() => _world.Run(async () =>
    {
        _world.SignIn(-10);
        _world.Server.RevokeRefresh();
        TokenBroker broker = _world.Broker();
        broker.Start();
        Assert.True((await broker.GetValidAccessTokenAsync(CancellationToken.None)).IsSignedOut);
        string renewed = _world.SignIn();
        await _world.PassAsync(10);
        Assert.Equal(CredentialStateKind.Ready, broker.State.Kind);
        Assert.Equal(renewed, await SignInWorld.TokenAsync(broker));
        await broker.DisposeAsync();
    });

    [Fact]
    public void DeadAccount_GetsOneMoreTryWhenItsFileIsTouched() => _world.Run(async () =>
    {
        _world.SignIn(-10);
        _world.Server.Plan(OAuthCall.Refresh, OAuthFault.RefusedRequest);
        TokenBroker broker = _world.Broker();
        broker.Start();
        Assert.True((await broker.GetValidAccessTokenAsync(CancellationToken.None)).IsSignedOut);
        File.SetLastWriteTimeUtc(_world.Path, DateTime.UnixEpoch);
        await _world.PassAsync(10);
        Assert.True(_world.Server.Accepts(await SignInWorld.TokenAsync(broker)));
        Assert.Equal(2, _world.Server.RefreshCalls);
        await broker.DisposeAsync();
    });

    [Fact]
    public void LoginDuringAHungRefresh_ServesWaitersAtOnce() => _world.Run(async () =>
    {
        _world.SignIn(-10);
        _world.Server.Stand(OAuthCall.Refresh, OAuthFault.Hung);
        TokenBroker broker = _world.Broker();
        broker.Start();
        Task<string> waiter = SignInWorld.TokenAsync(broker);
        await _world.PassAsync(3);
        string renewed = _world.SignIn();
        DateTimeOffset began = _world.Clock.GetUtcNow();
        Assert.Equal(renewed, await waiter);
        Assert.InRange((_world.Clock.GetUtcNow() - began).TotalSeconds, 0, 5);
        await _world.PassAsync(40);
        Assert.Equal(renewed, await SignInWorld.TokenAsync(broker));
        Assert.Equal(CredentialStateKind.Ready, broker.State.Kind);
        await broker.DisposeAsync();
    });

    [Fact]
    public void FirstFile_IsAdoptedInPlaceUntilAnOwnOneAppears() => _world.Run(async () =>
    {
        string shared = _world.SignIn();
        string own = Path.Combine(_world.Folder, "qwenproxy_creds.json");
        TokenBroker broker = _world.Broker(o => o with { CredentialsPath = own, FallbackPath = _world.Path });
        broker.Start();
        Assert.Equal(shared, await SignInWorld.TokenAsync(broker));
        Assert.Equal(_world.Path, broker.State.FilePath);
        (string access, _) = _world.Server.Issue();
        File.WriteAllText(own, $"{{\"access_token\":\"{access}\",\"expiry_date\":{_world.Clock.GetUtcNow().AddHours(1).ToUnixTimeMilliseconds()}}}");
        await _world.PassAsync(10);
        Assert.Equal(access, await SignInWorld.TokenAsync(broker));
        Assert.Equal(own, broker.State.FilePath);
        await broker.DisposeAsync();
    });

    [Fact]
    public void MissingOrBrokenFile_LeavesTheTokenInMemoryServing() => _world.Run(async () =>
    {
        string token = _world.SignIn();
        TokenBroker broker = _world.Broker();
        Assert.Equal(token, await SignInWorld.TokenAsync(broker));
        File.WriteAllText(_world.Path, "{\"acc");
        await _world.PassAsync(6);
        Assert.Equal(token, await SignInWorld.TokenAsync(broker));
        File.Delete(_world.Path);
        await _world.PassAsync(6);
        Assert.Equal(token, await SignInWorld.TokenAsync(broker));
        await _world.PassAsync(3600);
        Assert.Equal(await SignInWorld.TokenAsync(broker), _world.OnDisk().AccessToken.Reveal());
    });

    private CredentialsFile NewFile(DurableFiles? files = null) =>
        new(_world.Path, null, folderIsOurs: false, files ?? new DurableFiles(), _world.NewId);
}
