#!/bin/sh
# Runs make targets, all of them whatever fails, and closes with one line a suite and their sum.
# Usage: run-suites.sh TARGET... -- TARGET...
# What stands before `--` runs first, one after the other: it builds what the rest needs. The rest runs two at a time, or
# SUITES_AT_ONCE, because most suites wait for about half of their time. What a suite prints follows when it has ended.
# Exit status: 0 where every suite passed.
set -u
logs=$(mktemp -d)
lanes=
end() { trap - INT TERM; for lane in $lanes; do kill "$lane" 2>/dev/null; done; wait; exit 130; }
trap 'rm -rf "$logs"' EXIT
trap end INT TERM

run() {
  echo "== $1 begins"
  began=$(date +%s)
  ${MAKE:-make} --no-print-directory "$1" > "$logs/$1.log" 2>&1 &
  child=$!
  trap 'kill "$child" 2>/dev/null; exit 143' TERM
  wait "$child"
  echo $? > "$logs/$1.status"
  trap - TERM
  echo $(($(date +%s) - began)) > "$logs/$1.seconds"
  # One suite's lines at a time.
  until mkdir "$logs/prints" 2>/dev/null; do sleep 1; done
  echo "== $1"
  cat "$logs/$1.log"
  rmdir "$logs/prints"
}

# Takes the next suite that nobody has taken, until there is none.
take() {
  for suite in "$@"; do
    mkdir "$logs/$suite.taken" 2>/dev/null && run "$suite"
  done
}

began_all=$(date +%s)
suites=
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  suites="$suites $1"
  take "$1" & lanes=$!
  wait "$lanes"
  shift
done
[ $# -eq 0 ] || shift
suites="$suites $*"
lanes=
for lane in $(seq "${SUITES_AT_ONCE:-2}"); do
  take "$@" & lanes="$lanes $!"
done
wait

# Node's runner closes with "# pass 12" or "ℹ pass 12"; a target may hold several runs.
count() { sed -n "s/^[#ℹ] $1 \([0-9][0-9]*\)$/\1/p" "$2" | awk '{ sum += $1 } END { print sum + 0 }'; }
# Not those that a sample leaves out: Node 20 says of each that it is skipped.
left_out='# SKIP test name does not match pattern'
failed=
passed_sum=0 failed_sum=0 skipped_sum=0
echo
for suite in $suites; do
  log=$logs/$suite.log
  passed=$(count pass "$log") broken=$(($(count fail "$log") + $(count cancelled "$log")))
  skipped=$(($(count skipped "$log") - $(grep -c "$left_out" "$log")))
  if [ "$(cat "$logs/$suite.status")" -eq 0 ]; then word=passed; else word=FAILED failed="$failed $suite"; fi
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
[ "$skipped_sum" -eq 0 ] || { echo; echo '== skipped'; cat "$logs"/*.log | grep -E '# SKIP' | grep -v "$left_out" | sed 's/^ *//' | sort | uniq -c | head -40; }
echo
echo "all in $(($(date +%s) - began_all)) s"
echo "$passed_sum passed, $failed_sum failed, $skipped_sum skipped${CLOSING:+; $CLOSING}"
[ -z "$failed" ]
