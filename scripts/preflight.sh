#!/bin/sh
# Makes the virtual environment, or says in one line what is missing.
python=$1
venv=$2
need_kb=4000000

say() { echo "atelier: $1" >&2; exit 2; }

command -v "$python" >/dev/null 2>&1 ||
    say "no '$python' found: install Python 3.11 or newer, or name one with PYTHON=/path/to/python3"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    say "$("$python" --version 2>&1) is too old: Python 3.11 or newer is needed (name one with PYTHON=...)"
"$python" -c 'import venv, ensurepip' 2>/dev/null ||
    say "Python's venv module is missing: install it (Debian and Ubuntu: apt install python3-venv)"
free_kb=$(df -Pk . | awk 'NR==2 {print $4}')
[ "$free_kb" -ge "$need_kb" ] ||
    say "$((free_kb / 1000)) MB free on this disk; the packages need about $((need_kb / 1000)) MB: make room"
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv" || say "could not create $venv with $python"
