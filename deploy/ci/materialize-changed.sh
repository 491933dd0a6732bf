#!/usr/bin/env bash
# Computes the tables that a change concerns, and no others, in a lake of its own over production's, and says
# what came of it as Markdown. docs/ci.md tells more.
#
#   materialize-changed.sh -m shop     -m, -f and -d tell where the definitions are, as dagster takes them
#
#   SELECT      the assets to look at, as for `dagster asset materialize`; by default all
#   PARTITIONS  a partition, or FIRST...LAST, for tables that have partitions
#   LAUNCH      dagster, for `dagster asset materialize`, or dg, for `dg launch --assets`; by default dagster
#   SAMPLES     how many rows of each table to show that changed; by default 0, for everybody sees a summary
#   SUMMARY     the file that the Markdown is added to; by default $GITHUB_STEP_SUMMARY, else standard output
#
# Exits with 0 if all is well, also if there was nothing to compute; with 1 if a run failed, or the lake lies
# over no base; with 2 for wrong settings.
set -euo pipefail

summary=${SUMMARY:-${GITHUB_STEP_SUMMARY:-/dev/stdout}}
launch=${LAUNCH:-dagster}
keys=()
case ${PARTITIONS:-} in
  *...*) keys=(--partition-range "$PARTITIONS") ;;
  ?*) keys=(--partition "$PARTITIONS") ;;
esac
case $launch in
  dagster) run=(dagster asset materialize --select) ;;
  dg) run=(dg launch --assets) ;;
  *) echo "LAUNCH is '$launch': write dagster or dg." >&2 && exit 2 ;;
esac

# an instance of its own: production's would take these tables for its own
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export DAGSTER_HOME=$work/dagster
mkdir "$DAGSTER_HOME"
echo "telemetry: {enabled: false}" >"$DAGSTER_HOME/dagster.yaml"

# a lake over no base would be written in place, and might be production's: this ends here
practicus-assets diff --against base --all --samples 0 "$@" >/dev/null

plan=(practicus-assets plan ${SELECT:+--select "$SELECT"} ${keys[@]+"${keys[@]}"} "$@")
code=0
"${plan[@]}" --json >"$work/plan.json" || code=$?
case $code in
  0 | 6 | 7) ;; # nothing, something, or not known
  *) cat "$work/plan.json" >&2 && exit "$code" ;;
esac
"${plan[@]}" --markdown >>"$summary" || true

# tables with and without partitions take different options: one run for each stretch of the plan's order
python - "$work/plan.json" >"$work/runs" <<'PYTHON'
import itertools
import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    planned = [table for table in json.load(file)["tables"] if table["planned"]]
for parted, tables in itertools.groupby(planned, key=lambda table: table["has_partitions"]):
    print("parted" if parted else "whole", ",".join(f'key:"{table["table"]}"' for table in tables))
PYTHON
if [ ${#keys[@]} = 0 ] && grep -q "^parted" "$work/runs"; then
  echo "PARTITIONS is not set, and these tables have partitions:$(sed -n 's/^parted//p' "$work/runs")" >&2
  exit 2
fi

result=0
while read -r kind tables <&3; do
  options=()
  if [ "$kind" = parted ]; then options=("${keys[@]}"); fi
  if ! "${run[@]}" "$tables" ${options[@]+"${options[@]}"} "$@"; then
    result=1
    break
  fi
done 3<"$work/runs"

if [ $result != 0 ]; then
  { printf '\n### A run failed: what is left\n\n' && { "${plan[@]}" --markdown || true; }; } >>"$summary"
fi
changes=(practicus-assets diff --against base --all --samples "${SAMPLES:-0}" --markdown "$@")
{ echo && "${changes[@]}"; } >>"$summary"
exit $result
