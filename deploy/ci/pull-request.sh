#!/usr/bin/env bash
# Materializes the tables that a pull request changes, in a lake of its own over production, and says what
# would change there. Production is only read.
#
#   MODULE=shop.definitions BASE_REF=origin/main deploy/ci/pull-request.sh
#
# MODULE           the module of the definitions, whose DeltaIOManager has a base_uri
# BASE_REF         the Git reference that the pull request is to be merged into
# LAUNCH           "dagster" for `dagster asset materialize`, the default; or "dg" for `dg launch --assets`
# PARTITION        the partition of partitioned tables; by default the newest of each
# GITHUB_STEP_SUMMARY  a file that gets the Markdown summary; by default it is printed
#
# Exits with 0 if all is well, 1 if a run failed, and as practicus-assets does where that is refused.
set -euo pipefail
: "${MODULE:?names the module of the definitions}" "${BASE_REF:?names the reference to compare with}"
here=$(cd "$(dirname "$0")" && pwd)
summary=${GITHUB_STEP_SUMMARY:-/dev/stdout}
if [ -z "${DAGSTER_HOME:-}" ]; then
  DAGSTER_HOME=$(mktemp -d)
  export DAGSTER_HOME
  trap 'rm -rf "$DAGSTER_HOME"' EXIT
fi
mkdir -p "$DAGSTER_HOME"
[ -f "$DAGSTER_HOME/dagster.yaml" ] || echo 'telemetry: {enabled: false}' > "$DAGSTER_HOME/dagster.yaml"

changed=$(python "$here/changed_tables.py" "$MODULE" "$BASE_REF")
if [ -z "$changed" ]; then
  echo "No table is concerned by this change." >> "$summary"
  exit 0
fi
names=()
while IFS=$'\t' read -r name newest; do
  names+=("$name")
  options=()
  [ -z "$newest" ] || options=(--partition "${PARTITION:-$newest}")
  echo "Materializing $name ${PARTITION:-$newest}" >&2
  failed=0
  if [ "${LAUNCH:-dagster}" = dg ]; then
    dg launch --assets "key:\"$name\"" "${options[@]}" -m "$MODULE" >&2 || failed=$?
  else
    dagster asset materialize --select "key:\"$name\"" "${options[@]}" -m "$MODULE" >&2 || failed=$?
  fi
  if [ "$failed" != 0 ]; then
    printf '### Changes against the base\n\n❌ The run of `%s` failed; its log says why.\n' "$name" >> "$summary"
    exit 1
  fi
done <<< "$changed"
practicus-assets diff "${names[@]}" --against base --markdown -m "$MODULE" >> "$summary"
practicus-assets promote "${names[@]}" -m "$MODULE" >&2
