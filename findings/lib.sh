# Sourced by each finding: a Python of its own in a temporary folder, which is removed at exit.
set -euo pipefail
findings=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

install() {   # install NAME==VERSION ...
    python3 -m venv python
    if ! python/bin/python -m pip install --quiet --no-compile --disable-pip-version-check "$@" > pip.log 2>&1; then
        cat pip.log >&2
        echo "These packages could not be installed, so nothing was shown: $*" >&2
        exit 2
    fi
}

install_runtimes() {   # what runtimes.py needs
    install onnx==1.23.2 onnxruntime==1.32.0 openvino==2026.4.1 opencv-python-headless==5.0.0.93 numpy==2.4.6
}

run() {   # the program comes on standard input; of an error its last line is shown
    if ! PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$findings python/bin/python - 2> python.log; then
        tail -n 1 python.log >&2
        exit 1
    fi
}
