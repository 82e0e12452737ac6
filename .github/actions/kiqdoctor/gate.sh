#!/usr/bin/env bash
# Runs the gate. Inputs come as variables and never become code; the Redis URL stays out of the list of processes.
set -euo pipefail
words=(gate "$INPUT_PATH" --fail-on "$INPUT_FAIL_ON")
if [ -n "$INPUT_REDIS" ]; then
  export KIQDOCTOR_REDIS_URL="$INPUT_REDIS"
elif [ -z "${KIQDOCTOR_REDIS_URL:-}" ]; then
  words+=(--static)
fi
if [ -n "$INPUT_SARIF" ]; then words+=(--report "sarif=$INPUT_SARIF"); fi
if [ -n "$INPUT_OPTIONS" ]; then
  read -r -d '' -a further < <(printf '%s\0' "$INPUT_OPTIONS")
  words+=("${further[@]}")
fi

status=0
"${INPUT_KIQDOCTOR:-$RUNNER_TEMP/kiqdoctor/bin/kiqdoctor}" "${words[@]}" || status=$?
{
  echo "status=$status"
  if [ -n "$INPUT_SARIF" ] && [ -f "$INPUT_SARIF" ]; then echo "sarif=$INPUT_SARIF"; else echo "sarif="; fi
} >> "$GITHUB_OUTPUT"
exit "$status"
