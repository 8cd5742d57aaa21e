#!/bin/sh
# Runs make targets one after the other, all of them whatever fails, and closes with one line a suite and their sum.
# Usage: run-suites.sh TARGET... Exit status: 0 where every suite passed.
set -u
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
failed=
for suite in "$@"; do
  echo "== $suite"
  began=$(date +%s)
  { ${MAKE:-make} --no-print-directory "$suite" 2>&1; echo $? > "$logs/$suite.status"; } | tee "$logs/$suite.log"
  echo $(($(date +%s) - began)) > "$logs/$suite.seconds"
  [ "$(cat "$logs/$suite.status")" -eq 0 ] || failed="$failed $suite"
done

# Node's runner closes with "# pass 12" or "ℹ pass 12"; a target may hold several runs.
count() { sed -n "s/^[#ℹ] $1 \([0-9][0-9]*\)$/\1/p" "$2" | awk '{ sum += $1 } END { print sum + 0 }'; }
passed_sum=0 failed_sum=0 skipped_sum=0
echo
for suite in "$@"; do
  log=$logs/$suite.log
  passed=$(count pass "$log") broken=$(($(count fail "$log") + $(count cancelled "$log"))) skipped=$(count skipped "$log")
  if [ "$(cat "$logs/$suite.status")" -eq 0 ]; then word=passed; else word=FAILED; fi
  # A suite without tests, such as the types, counts as one; so does what failed without saying which test.
  if [ $((passed + broken + skipped)) -eq 0 ]; then
    if [ $word = passed ]; then passed=1; else broken=1; fi
  elif [ $word = FAILED ] && [ "$broken" -eq 0 ]; then broken=1; fi
  printf '%-16s %s in %4s s: %s passed, %s failed, %s skipped\n' "$suite" "$word" "$(cat "$logs/$suite.seconds")" \
    "$passed" "$broken" "$skipped"
  passed_sum=$((passed_sum + passed)) failed_sum=$((failed_sum + broken)) skipped_sum=$((skipped_sum + skipped))
done
for suite in $failed; do
  echo
  echo "== what failed in $suite"
  grep -nE '^ *(not ok|✖) ' "$logs/$suite.log" | sort -u -t: -k2 | head -40 || true
done
[ "$skipped_sum" -eq 0 ] || { echo; echo '== skipped'; cat "$logs"/*.log | grep -E '# SKIP' | sed 's/^ *//' | sort | uniq -c | head -40; }
echo
echo "$passed_sum passed, $failed_sum failed, $skipped_sum skipped"
[ -z "$failed" ]
