#!/bin/sh
# Creates .venv in the project folder and installs the pinned packages into it.
#
#   scripts/setup.sh        what the project needs to run (requirements.txt)
#   scripts/setup.sh dev    the same and the tools for tests and lint (requirements-dev.txt)
#
# Environment:
#   PYTHON            the interpreter to build .venv from (else the first suitable one on PATH)
#   TORCH_INDEX_URL   package index to take torch and torchvision from, for example PyTorch's own
#                     https://download.pytorch.org/whl/cpu for a small install without CUDA;
#                     .venv remembers it, so it has to be given once
#
# Does nothing when .venv is up to date, and repairs one whose installation was cut off.
# A failure is one sentence on stderr and exit status 2; all that pip says is in .venv/install.log.
set -eu

OLDEST_MINOR=10 # of Python 3; constraints.txt is made for these
NEWEST_MINOR=14
SUPPORTED="Python 3.$OLDEST_MINOR to 3.$NEWEST_MINOR"

cd "$(dirname "$0")/.."
VENV_PYTHON=.venv/bin/python
LOG=.venv/install.log
UNFINISHED=.venv/.unfinished       # there while an installation is under way, and left by one that was cut off
TORCH_INDEX=.venv/.torch-index     # the TORCH_INDEX_URL that .venv was made with

fail() {
    printf 'error: %s\n' "$1" >&2
    exit 2
}

# Sets PY to the first interpreter that is new enough and able to create environments.
find_python() {
    if [ -n "${PYTHON:-}" ]; then
        set -- "$PYTHON"
    else
        set -- python3 python3.14 python3.13 python3.12 python3.11 python3.10 python
    fi
    wrong_version='' without_venv=''
    for candidate in "$@"; do
        # Python 2 has to be able to run this line too.
        minor=$("$candidate" -c 'import sys; print(sys.version_info[1] if sys.version_info[0] == 3 else 0)' \
            2>/dev/null) || continue
        case $minor in '' | *[!0-9]*) continue ;; esac
        if [ "$minor" -lt "$OLDEST_MINOR" ] || [ "$minor" -gt "$NEWEST_MINOR" ]; then
            version="3.$minor"
            [ "$minor" -gt 0 ] || version="2"
            wrong_version=${wrong_version:-"$candidate is Python $version"}
        elif ! "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
            without_venv=${without_venv:-"$minor"}
        else
            PY=$candidate
            return
        fi
    done
    if [ -n "$without_venv" ]; then
        fail "this Python 3.$without_venv cannot create virtual environments because its venv or ensurepip module is missing; on Debian and Ubuntu: sudo apt install python3.$without_venv-venv"
    elif [ -n "$wrong_version" ]; then
        fail "$wrong_version and this project needs $SUPPORTED; install one of these, or name it with PYTHON=/path/to/python3.12"
    elif [ -n "${PYTHON:-}" ]; then
        fail "PYTHON=$PYTHON does not run; set it to an interpreter of $SUPPORTED, or unset it"
    fi
    fail "there is no python3 on PATH; install $SUPPORTED from your package manager or python.org, or name it with PYTHON=/path/to/python3.12"
}

free_mb() {
    "$PY" -c 'import shutil; print(shutil.disk_usage(".").free // 1000000)'
}

# Sets extent, what the user is told, and refuses to start what cannot end.
check_disk() {
    case $(uname -s),$index in
    Linux,*/cpu*) size='about 2 GB' need_mb=3000 hint='' ;;
    Linux,*)
        size='about 6 GB, half of it CUDA libraries'
        need_mb=9000 # 5.6 GB installed; 1.5 GB of wheels, once in pip's cache and once in its temporary folder
        hint=', or set TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu to install 2 GB without CUDA'
        ;;
    *) size='about 2 GB' need_mb=3000 hint='' ;;
    esac
    extent="several minutes, $size"
    # The large part is there already when only a few versions changed.
    for torch in .venv/lib/python3*/site-packages/torch; do
        if [ -d "$torch" ]; then
            extent='what changed'
            need_mb=1000
        fi
    done
    available_mb=$(free_mb)
    [ "$available_mb" -ge "$need_mb" ] ||
        fail "only $available_mb MB are free in $PWD and the installation needs $need_mb MB; free some space$hint"
}

# On a terminal, shows the log's last line while pip works (pip itself writes to the log only).
start_progress() {
    progress=''
    [ -t 1 ] || return 0
    while kill -0 $$ 2>/dev/null; do
        printf '\r\033[K  %s' "$(tail -n 1 "$LOG" | cut -c 1-76)"
        sleep 1
    done &
    progress=$!
}

stop_progress() {
    [ -n "$progress" ] || return 0
    { kill "$progress" && wait "$progress"; } 2>/dev/null || true
    printf '\r\033[K'
}

pip_install() {
    "$VENV_PYTHON" -m pip install --disable-pip-version-check --progress-bar off "$@" >>"$LOG" 2>&1
}

install_packages() {
    if [ -z "$index" ]; then
        pip_install -r "$requirements" -c constraints.txt
        return
    fi
    # Other builds of torch need other CUDA libraries than the ones pinned for PyPI's build.
    grep -vE '^(nvidia|cuda|triton)-?' constraints.txt >.venv/constraints.txt
    pip_install torch torchvision -c .venv/constraints.txt --no-deps --index-url "$index" &&
        pip_install -r "$requirements" -c .venv/constraints.txt --extra-index-url "$index"
}

# One package for development asks for others that would write over what is installed.
install_without_dependencies() {
    [ "$requirements" != requirements-dev.txt ] || pip_install --no-deps -r requirements-no-deps.txt
}

# Says in one sentence why the installation failed. A lost connection is looked for in the last lines only:
# further up it may be one that pip got over.
explain_failure() {
    last=$(tail -n 40 "$LOG")
    error=$(grep -E '^ERROR:|Error: ' "$LOG" | tail -n 1 | cut -c 1-200)
    if grep -qE 'No space left on device|Errno 28|not enough space' "$LOG"; then
        fail "the disk became full during the installation (.venv, pip's cache or the temporary folder); free some space, or point TMPDIR and PIP_CACHE_DIR to a larger disk, and run this again"
    elif printf '%s\n' "$last" | grep -qE 'Failed to establish a new connection|Failed to resolve|Temporary failure in name resolution|Name or service not known|nodename nor servname|Network is unreachable|Max retries exceeded|Read timed out|timed out\.|ConnectTimeout|NewConnectionError|ProxyError|Cannot connect to proxy|CERTIFICATE_VERIFY_FAILED|Connection (refused|reset|aborted)'; then
        fail "pip cannot reach its package index${index:+ ($index)}; check the network, or set HTTPS_PROXY or PIP_INDEX_URL if this network needs them, and run this again (details: $LOG)"
    elif printf '%s\n' "$last" | grep -qE 'No matching distribution found for torch|Cannot install torch[^-]'; then
        fail "pip finds no torch that fits constraints.txt for this system ($(uname -s) $(uname -m), $("$VENV_PYTHON" --version 2>&1)); docs/install.md lists the supported ones (details: $LOG)"
    fi
    fail "the installation failed: ${error:-no message from pip}; see $LOG, and run this again when its cause is gone"
}

case $(uname -s) in
MINGW* | MSYS* | CYGWIN*) fail "this script is for Linux, macOS and WSL; docs/install.md has the Windows commands" ;;
esac

fingerprint() {
    cat "$@" | cksum
}

# A stamp holds the fingerprint of the files that .venv was installed from.
RUN_STAMP=.venv/.installed
DEV_STAMP=.venv/.installed-dev
wanted_run=$(fingerprint requirements.txt constraints.txt)
wanted_dev=$(fingerprint requirements*.txt constraints.txt)
case ${1:-run} in
run) requirements=requirements.txt stamp=$RUN_STAMP wanted=$wanted_run ;;
dev) requirements=requirements-dev.txt stamp=$DEV_STAMP wanted=$wanted_dev ;;
*) fail "unknown argument '$1'; usage: scripts/setup.sh [dev]" ;;
esac

recorded_index=''
[ ! -f "$TORCH_INDEX" ] || recorded_index=$(cat "$TORCH_INDEX")
index=${TORCH_INDEX_URL:-$recorded_index}

# Decides whether what is there can be kept.
rebuild=''
if [ -e .venv ]; then
    if [ -e "$UNFINISHED" ]; then
        rebuild='its installation was cut off'
    elif [ ! -e .venv/pyvenv.cfg ]; then
        fail "$PWD/.venv is not a virtual environment and this script will not overwrite it; move it away and run this again"
    elif ! "$VENV_PYTHON" -c "import sys, pip; sys.exit(not (3, $OLDEST_MINOR) <= sys.version_info[:2] <= (3, $NEWEST_MINOR))" 2>/dev/null; then
        rebuild='its Python or pip is missing or unsuitable'
    elif [ "$index" != "$recorded_index" ]; then
        rebuild='TORCH_INDEX_URL changed'
    elif [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
        exit 0
    fi
fi

find_python
if [ -n "$rebuild" ]; then
    echo "Building .venv anew: $rebuild."
    rm -rf .venv || fail "cannot remove $PWD/.venv; remove it by hand and run this again"
fi
check_disk
if ! mkdir -p .venv 2>/dev/null || ! touch "$UNFINISHED" "$LOG" 2>/dev/null; then
    fail "cannot write to $PWD; check its permissions, or clone the project to a folder of yours"
fi
: >"$LOG"
rm -f "$stamp"

echo "Installing into .venv ($extent; log: $LOG) ..."
if [ ! -e .venv/pyvenv.cfg ]; then
    # venv keeps to itself why its own call of ensurepip failed, so this can only name the usual causes.
    "$PY" -m venv .venv >>"$LOG" 2>&1 ||
        fail "$PY -m venv failed; check that the disk and the temporary folder have space, and on Debian and Ubuntu: sudo apt install python3-venv (details: $LOG)"
    [ -z "$index" ] || echo "$index" >"$TORCH_INDEX"
fi
start_progress
if ! { install_packages && install_without_dependencies; }; then
    stop_progress
    # Before this line pip only looks and downloads; after it, packages may be there in part.
    grep -q '^Installing collected packages' "$LOG" || rm -f "$UNFINISHED"
    explain_failure
fi
"$VENV_PYTHON" -c 'import torch, torchvision, clip, cv2' >>"$LOG" 2>&1 || {
    stop_progress
    rm -f "$UNFINISHED"
    fail "the packages are installed but do not import ($(tail -n 1 "$LOG" | cut -c 1-200)); see $LOG"
}
stop_progress
echo "$wanted" >"$stamp"
[ "$stamp" = "$RUN_STAMP" ] || echo "$wanted_run" >"$RUN_STAMP"
rm -f "$UNFINISHED"
echo "Installed."
