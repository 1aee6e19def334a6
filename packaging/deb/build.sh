#!/usr/bin/env bash
# Builds qwen-proxy_VERSION_ARCH.deb from a folder that holds the binary, the man page and the completions.
#   packaging/deb/build.sh VERSION PLATFORM FOLDER OUTPUT        PLATFORM: linux-x64, linux-arm64
# Times come from SOURCE_DATE_EPOCH.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
root="$(cd "$here/../.." && pwd)"
version="$1" platform="$2" folder="$3" output="$4"
case "$platform" in linux-x64) arch=amd64 ;; linux-arm64) arch=arm64 ;; *) echo "no .deb for $platform" >&2; exit 64 ;; esac
# A development version sorts before the release it leads to.
deb_version="${version/-/\~}"
umask 022
tree="$(mktemp -d)"
trap 'rm -rf "$tree"' EXIT
chmod 755 "$tree"

install -d "$tree/usr/bin" "$tree/usr/lib/qwen-proxy" "$tree/usr/share/doc/qwen-proxy" "$tree/usr/share/man/man1" "$tree/usr/share/lintian/overrides" \
  "$tree/usr/share/bash-completion/completions" "$tree/usr/share/zsh/vendor-completions" "$tree/usr/share/fish/vendor_completions.d" \
  "$tree/lib/systemd/system" "$tree/etc/qwen-proxy" "$tree/DEBIAN"
install -m 755 "$folder/qwen-proxy" "$tree/usr/lib/qwen-proxy/"
install -m 644 "$folder/libe_sqlite3.so" "$tree/usr/lib/qwen-proxy/"
strip --strip-unneeded --remove-section=.comment --remove-section=.note "$tree/usr/lib/qwen-proxy/libe_sqlite3.so"
ln -s ../lib/qwen-proxy/qwen-proxy "$tree/usr/bin/qwen-proxy"
install -m 644 "$root/packaging/systemd/qwen-proxy.service" "$tree/lib/systemd/system/"
install -m 644 "$here/config.json" "$here/environment" "$tree/etc/qwen-proxy/"
install -m 644 "$here/copyright" "$tree/usr/share/doc/qwen-proxy/"
install -m 644 "$here/lintian-overrides" "$tree/usr/share/lintian/overrides/qwen-proxy"
install -m 644 "$folder/completions/qwen-proxy.bash" "$tree/usr/share/bash-completion/completions/qwen-proxy"
install -m 644 "$folder/completions/qwen-proxy.zsh" "$tree/usr/share/zsh/vendor-completions/_qwen-proxy"
install -m 644 "$folder/completions/qwen-proxy.fish" "$tree/usr/share/fish/vendor_completions.d/qwen-proxy.fish"
gzip -9 -n < "$folder/qwen-proxy.1" > "$tree/usr/share/man/man1/qwen-proxy.1.gz"
{
  printf 'qwen-proxy (%s) unstable; urgency=medium\n\n  * See the file CHANGELOG.md of the source.\n\n' "$deb_version"
  printf ' -- Qwen Proxy contributors <noreply@users.noreply.github.com>  %s\n' "$(date -u -R -d "@${SOURCE_DATE_EPOCH:-0}")"
} | gzip -9 -n > "$tree/usr/share/doc/qwen-proxy/changelog.gz"

# The oldest C library that has every symbol the binary asks for.
libc="$(objdump -T "$folder/qwen-proxy" "$folder/libe_sqlite3.so" | grep -oE 'GLIBC_[0-9.]+' | sort -Vu | tail -n 1 | cut -d_ -f2)"
size="$(du -sk --apparent-size "$tree" | cut -f1)"
sed -e "s/@VERSION@/$deb_version/; s/@ARCH@/$arch/; s/@LIBC@/$libc/; s/@SIZE@/$size/" "$here/control.in" > "$tree/DEBIAN/control"
install -m 755 "$here/postinst" "$here/prerm" "$here/postrm" "$tree/DEBIAN/"
printf '/etc/qwen-proxy/config.json\n/etc/qwen-proxy/environment\n' > "$tree/DEBIAN/conffiles"
(cd "$tree" && find usr lib etc -type f | sort | grep -v '^etc/' | xargs md5sum > DEBIAN/md5sums)
find "$tree" -exec touch -h -d "@${SOURCE_DATE_EPOCH:-0}" {} +
dpkg-deb --root-owner-group -Zxz --build "$tree" "$output/qwen-proxy_${deb_version}_$arch.deb" > /dev/null
