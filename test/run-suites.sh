#!/bin/sh
# Runs make targets, all of them whatever fails, and closes with one line a suite and their sum.
# Usage: run-suites.sh TARGET... -- TARGET...
# What stands before `--` runs first, one after the other: it builds what the rest needs. The rest runs two at a time, or
# SUITES_AT_ONCE, because most suites wait for about half of their time. What a suite prints follows when it has ended.
# All of it has SUITES_SECONDS (18 minutes) on a machine that is however slow: a suite that did not begin before is left
# out, and says so; one that is under way then is ended, and has failed.
# Exit status: 0 where every suite that began passed.
set -u
logs=$(mktemp -d)
lanes=
limit=${SUITES_SECONDS:-1080}
end() {
  trap - INT TERM
  for lane in $lanes; do kill "$lane" 2>/dev/null; done
  wait
  echo "ended by a signal after $(($(date +%s) - began_all)) s"
  for log in "$logs"/*.log; do [ -e "${log%.log}.status" ] || { echo "under way: $(basename "$log" .log)"; tail -n 5 "$log"; }; done
  exit 130
}
trap 'rm -rf "$logs"' EXIT
trap end INT TERM

run() {
  began=$(date +%s)
  left=$((limit - began + began_all))
  if [ "$left" -le 0 ]; then
    echo 0 > "$logs/$1.status"; echo 0 > "$logs/$1.seconds"
    echo "ok - $1 # SKIP no time left: the suites before it took $limit s" > "$logs/$1.log"
    return
  fi
  echo "== $1 begins"
  within=
  ! command -v timeout >/dev/null || within="timeout --kill-after=20 $left"
  $within ${MAKE:-make} --no-print-directory "$1" > "$logs/$1.log" 2>&1 &
  child=$!
  trap 'kill "$child" 2>/dev/null; wait "$child"; exit 143' TERM
  wait "$child"
  status=$?
  [ "$status" -ne 124 ] || echo "not ok - $1 was ended: all suites together have $limit s" >> "$logs/$1.log"
  echo "$status" > "$logs/$1.status"
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
    if grep -q '# SKIP no time left' "$log"; then word='left out' skipped=1
    elif [ $word = passed ]; then passed=1; else broken=1; fi
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
