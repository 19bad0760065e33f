# Speed beside other tools, in one table. Times are printed and never judged;
# a wrong byte fails.
# shellcheck shell=bash

# speed ARGS... runs the suite on the first user's images and store.
speed() {
  [ -d "$ROOT/../shared/alpine" ] || {
    echo "no ../shared/alpine: a recipe's lock needs it"
    return 1
  }
  go build -o "$BIN/bench" ./layers/bench
  "$BIN/bench" --command "$BIN/shudl-assemble" --alpine "$ROOT/../shared/alpine" --recipes "$ROOT/recipes" \
    --images "$IMAGES_A" --store "$WORK/homes/10101/.cache/shudl-assemble" --work "$WORK" "$@" >"$WORK/speed" || {
    cat "$WORK/speed"
    return 1
  }
  while read -r line; do figure "$line"; done <"$WORK/speed"
}

# speed_short is one round of each row that is quick.
speed_short() {
  speed --rounds 1 --rows tree,alpine,again
}

speed_suite() {
  speed --rounds 5
}
