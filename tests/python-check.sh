#!/bin/sh
# Is there a Python that can make the environment? Install what is missing where this user may, else say what to install.
python=$1
if ! command -v "$python" >/dev/null 2>&1; then
    echo "error: $python was not found" >&2
    echo "  hint: apt-get install python3 python3-venv, or make PYTHON=/path/to/python3.11" >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "error: edgeprof needs Python 3.11 or newer; $python is $("$python" --version 2>&1)" >&2
    echo "  hint: make PYTHON=/path/to/python3.11" >&2
    exit 1
fi
"$python" -c 'import venv, ensurepip' 2>/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y python3-venv >/dev/null && exit 0
fi
echo "error: this Python cannot make virtual environments" >&2
echo "  hint: apt-get install python3-venv" >&2
exit 1
