#!/usr/bin/env bash
# Installs the kiqdoctor that the action itself is a part of, into an environment of its own.
set -euo pipefail
home="$RUNNER_TEMP/kiqdoctor"
"$INPUT_PYTHON" -m venv "$home"
"$home/bin/python" -m pip install --quiet --disable-pip-version-check "$GITHUB_ACTION_PATH/../../.."
