#!/bin/sh
# Creates build/oldest, an environment with the oldest torch and torchvision that requirements.txt allows, and all else as
# pinned in constraints.txt but for what the newest torch brings along. `make oldest` runs the tests in it; `make test`
# does so with the newest.
set -eu

cd "$(dirname "$0")/.."
mkdir -p build
{
    grep -v -E '^(torch|torchvision|triton|sympy|nvidia-[a-z0-9-]*|cuda-[a-z-]*)==' constraints.txt
    sed -n -E 's/^(torch|torchvision)>=([0-9.]+),.*/\1==\2.0/p' requirements.txt
} > build/oldest-constraints.txt
"${PYTHON:-python3}" -m venv build/oldest
build/oldest/bin/pip install --quiet -r requirements-dev.txt -c build/oldest-constraints.txt
