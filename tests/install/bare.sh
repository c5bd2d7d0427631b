#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: tests/install/bare.sh [test|keep]...
# Proves, as root, that a Debian 12 with nothing but make is enough: debootstraps one into a folder,
# puts the committed tree in, runs `make build`, starts the gateway and fetches the page.
# With "test" it also runs `make test` in there. The folder is removed at the end, unless "keep".
# Packages and npm come from where this machine gets them: its apt sources and its npm settings.
set -eu
cd "$(dirname "$0")/../.."
[ "$(id -u)" = 0 ] || { echo "debootstrap and chroot need root"; exit 1; }

suite=bookworm
root=$(mktemp -d)
chmod 755 "$root"
server=
wanted() { case " $options " in *" $1 "*) ;; *) return 1 ;; esac; }
options=$*

leave() {
  if [ -n "$server" ]; then
    kill "$server" || true
    wait "$server" || true
  fi
  for dir in dev/pts dev/shm dev proc sys; do
    if mountpoint -q "$root/$dir"; then umount "$root/$dir"; fi
  done
  if wanted keep; then echo "kept: $root"; else rm -rf --one-file-system "$root"; fi
}
trap leave EXIT
trap 'exit 130' INT TERM

sources() { # the Debian archives of this suite that this machine installs from, one "deb" line each
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ ! -e "$file" ] || sed -nE "s/^deb +(\\[[^]]*\\] +)?([^ ]+ +${suite}[a-z-]*) .*/deb \\2 main/p" "$file"
  done
  for file in /etc/apt/sources.list.d/*.sources; do
    [ ! -e "$file" ] || awk -v suite=$suite '
      function done(n, i, word) {
        n = split(suites, word, " ")
        for (i = 1; i <= n; i++) if (word[i] ~ "^" suite "(-|$)") print "deb", uri, word[i], "main"
        uri = suites = ""
      }
      /^$/ { done() } /^URIs:/ { uri = $2 } /^Suites:/ { sub(/^Suites: */, ""); suites = $0 }
      END { done() }' "$file"
  done
}

# Becomes COMMAND in there, with this machine's certificates and npm registry, as a login would:
# "(enter make)" runs it, and after "enter madang &" $! is madang, which can be stopped.
enter() {
  exec chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
    ${registry:+npm_config_registry="$registry"} NODE_EXTRA_CA_CERTS="$certificates" "$@"
}

# Without npm here, its defaults will have to do.
registry=$(npm config get registry 2>/dev/null || echo)
certificates=/etc/ssl/certs/ca-certificates.crt

from=$(sources | awk -v suite=$suite '$3 == suite { print $2; exit }')
[ -n "$from" ] || { echo "no apt source here has the suite $suite"; exit 1; }
debootstrap --variant=minbase --include=make,ca-certificates "$suite" "$root" "$from" >"$root.log" ||
  { tail "$root.log"; exit 1; }
rm "$root.log"

# The archive may be behind a proxy with a certificate of its own.
cp "$certificates" "$root$certificates"
for dir in proc sys dev dev/pts dev/shm; do mount --bind /$dir "$root/$dir"; done
cp /etc/resolv.conf /etc/hosts "$root/etc/"
sources >"$root/etc/apt/sources.list"
mkdir "$root/src"
git archive HEAD | tar -x -C "$root/src"

(enter make -C /src build)
(enter /src/build/release/madang version)

# Port 0 lets the kernel choose; the gateway prints the address that it got.
enter /src/build/release/madang serve --listen 127.0.0.1:0 >"$root/serve.log" 2>&1 &
server=$!
tries=0
until page=$(grep -om1 'http://[^ ]*' "$root/serve.log"); do
  tries=$((tries + 1))
  [ $tries -lt 100 ] && kill -0 $server || { cat "$root/serve.log"; exit 1; }
  sleep 0.1
done
cat "$root/serve.log"
curl -fsS "$page/" | grep -q '<script' && echo "the page is served at $page/"
kill $server
wait $server
server=

if wanted test; then (enter make -C /src test); fi
