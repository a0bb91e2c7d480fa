# Named steps with a closing summary, for scripts/test.sh and scripts/nightly.sh (sourced, not run).
#
# A step that fails doesn't stop the later ones: one run shows all that is wrong. A step whose tool is missing is skipped and named
# at the end; with CI set, or ZKLOOM_REQUIRE_ALL=1, a skipped step counts as failed, except for optional ones.

passed=0
failed=0
skipped=0
notes=""

note() {
    notes="$notes
  $1"
}

# step NAME COMMAND...: run a command and record how it ended.
step() {
    step_name="$1"
    shift
    printf '\n== %s: %s\n' "$step_name" "$*"
    step_begin=$(date +%s)
    if "$@"; then
        passed=$((passed + 1))
        outcome="passed "
    else
        failed=$((failed + 1))
        outcome="FAILED "
    fi
    note "$outcome $step_name ($(($(date +%s) - step_begin)) s)"
}

# skip NAME REASON: record a step that this machine can't run.
skip() {
    if [ -n "${CI:-}" ] || [ "${ZKLOOM_REQUIRE_ALL:-0}" = 1 ]; then
        failed=$((failed + 1))
        note "FAILED  $1: $2"
    else
        skipped=$((skipped + 1))
        note "skipped $1: $2"
    fi
}

# skip_optional NAME REASON: the same for a step that no machine has to run.
skip_optional() {
    skipped=$((skipped + 1))
    note "skipped $1: $2"
}

# finish: print the summary and exit, 1 if a step failed.
finish() {
    printf '\nSteps:%s\n\n%s passed, %s failed, %s skipped\n' "$notes" "$passed" "$failed" "$skipped"
    [ "$failed" -eq 0 ]
    exit $?
}
