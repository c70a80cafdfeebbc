#!/usr/bin/env bash
# Makes .venv what requirements/lock.txt says, and does nothing when it already is.  Called by `make setup`.
#
#   ACCEL=cpu|cuda   which build of torch (default: the one chosen before, else cpu).  It is asked for, never
#                    guessed: a login node without a GPU must not decide it for the nodes that have some.
#   PYTHON=...       the interpreter to make .venv with (default: the first of 3.11, 3.12, 3.13, 3 that serves)
set -euo pipefail
cd "$(dirname "$0")/.."

TORCH=2.13.0
TORCH_CPU_WHEELS=https://download.pytorch.org/whl/cpu
LOCK=requirements/lock.txt
VENV=.venv
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONNOUSERSITE=1

fail() { printf 'setup: %s\n' "$@" >&2; exit 1; }
say() { printf '\n== %s\n' "$*"; }

accel=${ACCEL:-$(cat "$VENV/.accel" 2>/dev/null || echo cpu)}
case $accel in cpu | cuda) ;; *) fail "ACCEL is '$accel'; allowed: cpu, cuda" ;; esac

# What .venv must have been made from: the lock, this script, the build of torch, and the place (paths are baked in).
wanted=$(cat "$LOCK" requirements/setup.sh <(echo "$accel $PWD") | sha256sum | cut -d' ' -f1)
if [ "$(cat "$VENV/.ready" 2>/dev/null)" = "$wanted" ] && "$VENV/bin/python" -c '' 2>/dev/null; then
    exit 0
fi
rm -f "$VENV/.ready"

serves() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; }

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3}; do
        if serves "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    fail "no Python 3.11, 3.12 or 3.13 found (looked for: ${PYTHON:-python3.11 python3.12 python3.13 python3})" \
        "to do: install one (apt install python3 python3-venv, dnf install python3.11, module load python/3.11," \
        "       conda create -n py311 python=3.11), or name it: make setup PYTHON=/path/to/python3.11"
}

if ! "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
    python=$(find_python)
    "$python" -c 'import venv, ensurepip' 2>/dev/null ||
        fail "$python cannot make virtual environments" \
            "to do: install its venv module (apt install python3-venv), or name another: make setup PYTHON=..."
    say "making $VENV with $("$python" --version) ($python)"
    "$python" -m venv --clear "$VENV"
fi

pip() { "$VENV/bin/python" -m pip "$@"; }
# pip's own progress, less the lines that say nothing to a reader.
install() { pip install "$@" | { grep --line-buffered -vE '^ |^Looking in |^Ignoring |already satisfied|^Building ' || true; }; }

install_torch_cpu() {
    [ "$(uname -s)" = Linux ] || return 1
    # First what this machine's own pip settings offer, then PyTorch's public index of CPU wheels.
    install --no-deps "torch==$TORCH+cpu" 2>/dev/null ||
        install --no-deps --retries 1 --timeout 20 --index-url "$TORCH_CPU_WHEELS" "torch==$TORCH+cpu"
}

say "1/3 packages of $LOCK, exact versions with hashes"
install --require-hashes --no-deps -r "$LOCK"

say "2/3 torch $TORCH, build for: $accel   (the other one: make setup ACCEL=$([ "$accel" = cpu ] && echo cuda || echo cpu))"
build=$("$VENV/bin/python" -c 'from importlib.metadata import version; print(version("torch"))' 2>/dev/null || true)
if [ "$accel" = cuda ]; then
    case $build in *+cpu) pip uninstall --yes torch ;; esac
    install "torch==$TORCH" || fail "torch could not be installed, see above"
elif [ "$build" != "$TORCH+cpu" ]; then
    install_torch_cpu || {
        echo "setup: no CPU-only wheel within reach; taking the default build (on Linux it brings its CUDA packages)"
        install "torch==$TORCH" || fail "torch could not be installed, see above"
    }
fi

say "3/3 starglot itself, editable"
install --no-deps --no-build-isolation --editable .

build=$("$VENV/bin/python" -c 'import torch; print(torch.__version__)') || fail "torch does not import, see above"
case $accel:$build in
cuda:*+cpu) fail "asked for a CUDA build of torch, and pip's settings of this machine gave $build" \
    "to do: see 'pip config list' (find-links, index-url), correct them, and run: make setup ACCEL=cuda" ;;
esac
echo "torch $build in $VENV, for: $accel"
echo "$accel" >"$VENV/.accel"
echo "$wanted" >"$VENV/.ready"
