#!/bin/sh
# System packages that the tests use: a browser for the report. Installed where this user may, named otherwise.
[ -n "$EDGEPROF_CHROMIUM" ] && [ -x "$EDGEPROF_CHROMIUM" ] && exit 0
for browser in chromium chromium-browser google-chrome; do
    command -v "$browser" >/dev/null 2>&1 && exit 0
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing chromium for the report's tests"
    apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y chromium >/dev/null && exit 0
fi
echo "error: the report's tests need a Chromium browser" >&2
echo "  hint: apt-get install chromium, or name one: EDGEPROF_CHROMIUM=/path/to/chrome make test" >&2
exit 1
