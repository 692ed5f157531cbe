#!/bin/sh
# Installs the pinned packages into .venv: `scripts/setup.sh` what running needs, `scripts/setup.sh dev` also tests;
# nothing where it is up to date, and anew where it was cut off. Reads PYTHON and TORCH_INDEX_URL.
set -eu && cd "$(dirname "$0")/.."
LOG=.venv/install.log UNFINISHED=.venv/.unfinished STAMP=.venv/.installed
CPU_INDEX=https://download.pytorch.org/whl/cpu
SUITABLE='import sys, ensurepip, venv; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))'
REACHABLE="import signal, urllib.request as web; signal.alarm(5); web.urlopen('$CPU_INDEX/torch/')"

fail() { printf 'error: %s\n' "$1" >&2; exit 2; }
explain() { # a failed installation
    # Until pip installs, nothing is there in part; but what lacks pip itself is built anew.
    [ -e .venv/bin/pip ] && ! grep -q 'Installing collected packages' "$LOG" && rm -f "$UNFINISHED"
    reason=$({ grep 'ERROR: ' "$LOG" || tail -n 1 "$LOG"; } | sed 's/.*ERROR: //;q' | cut -c 1-200)
    ! grep -qE 'Retry\(total=0|urllib3\.exceptions\.' "$LOG" ||
        reason='pip cannot reach its package index; check the network, HTTPS_PROXY and PIP_INDEX_URL'
    ! grep -q 'No space left on device' "$LOG" ||
        reason='the disk became full; free some space, or point TMPDIR and PIP_CACHE_DIR to a larger disk'
    fail "the installation failed: $reason (details: $LOG; what is supported: docs/install.md)"
}
pip_install() { # on a terminal with pip's own progress
    set -- .venv/bin/python -m pip install --disable-pip-version-check --log "$LOG" "$@"
    if [ -t 1 ]; then "$@" 2>/dev/null; else "$@" >/dev/null 2>&1; fi
}

kind=${1:-run} wanted=$(cat requirements*.txt constraints.txt | cksum)
case $(uname -s) in *NT*) fail "this is for Linux, macOS and WSL; docs/install.md has the Windows commands" ;; esac
[ "$kind" = run ] || [ "$kind" = dev ] || fail "unknown argument '$kind'; usage: scripts/setup.sh [dev]"
if [ -e "$UNFINISHED" ] || { [ -e .venv/pyvenv.cfg ] && [ ! -x .venv/bin/python ]; }; then
    echo "Building .venv anew: its installation was cut off, or its Python is gone."
    rm -rf .venv
fi
case $(cat "$STAMP" 2>/dev/null || :) in "$wanted dev" | "$wanted $kind") exit 0 ;; esac
if [ ! -e .venv ]; then
    [ -z "${PYTHON:-}" ] && set -- python3 python3.14 python3.13 python3.12 python3.11 python3.10 || set -- "$PYTHON"
    for python in "$@" ''; do if "${python:-true}" -c "$SUITABLE" 2>/dev/null; then break; fi; done
    [ -n "$python" ] || fail "$1 is no Python 3.10 to 3.14 that has its venv module: install one (on Debian and Ubuntu \
sudo apt install python3-venv), or name it with PYTHON=/path/to/python3.12"
    { mkdir .venv && touch "$UNFINISHED"; } 2>/dev/null || fail "cannot write to $PWD; clone it to a folder of yours"
    "$python" -m venv .venv >"$LOG" 2>&1 || explain
fi
[ -e .venv/pyvenv.cfg ] || fail "$PWD/.venv is no virtual environment; move it away and run this again"
touch "$UNFINISHED" && : >"$LOG"
# Without NVIDIA's driver 4 GB of CUDA libraries are of no use. The alarm bounds slow name servers, too.
index=${TORCH_INDEX_URL:-}
if [ -z "$index$(command -v nvidia-smi || :)" ] && [ "$(uname -s)" = Linux ] && [ ! -e /proc/driver/nvidia ]; then
    if (.venv/bin/python -c "$REACHABLE") >/dev/null 2>&1; then index=$CPU_INDEX; fi
fi
echo "Installing into .venv (several minutes, 2 GB; 6 GB with CUDA libraries; log: $LOG) ..."
if [ -n "$index" ] && ! pip_install --no-deps torch torchvision -c constraints.txt --index-url "$index"; then
    [ -z "${TORCH_INDEX_URL:-}" ] || explain
    index='' && : >"$LOG" # PyPI's build of torch does as well
fi
# What is pinned of NVIDIA's packages fits PyPI's build only.
if [ -n "$index" ]; then grep -vE '^(nvidia|cuda|triton)'; else cat; fi <constraints.txt >.venv/constraints.txt
pip_install -r "requirements$([ "$kind" = run ] || echo -dev).txt" -c .venv/constraints.txt || explain
.venv/bin/python -c 'import torch, torchvision, clip, cv2' >>"$LOG" 2>&1 || explain
echo "$wanted $kind" >"$STAMP" && rm -f "$UNFINISHED"
echo "Installed."
