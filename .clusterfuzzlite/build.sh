#!/bin/bash -eu
# Builds every target of fuzz/Cargo.toml for ClusterFuzzLite or OSS-Fuzz, with its seeds and dictionary beside it.
cd "$SRC/cowproof"
cargo fuzz build -O --debug-assertions
for source in fuzz/fuzz_targets/*.rs; do
    target=$(basename "$source" .rs)
    cp "fuzz/target/x86_64-unknown-linux-gnu/release/$target" "$OUT/"
    if [ -n "$(ls -A "fuzz/seeds/$target" 2>/dev/null)" ]; then
        (cd "fuzz/seeds/$target" && zip -q -r "$OUT/${target}_seed_corpus.zip" .)
    fi
    dictionary=fuzz/dictionaries/qcow.dict
    case $target in
    luks*) dictionary=fuzz/dictionaries/luks.dict ;;
    option_tree) dictionary=fuzz/dictionaries/options.dict ;;
    esac
    cp "$dictionary" "$OUT/$target.dict"
done
