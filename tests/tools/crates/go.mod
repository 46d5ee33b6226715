module unsops.dev/tests/tools/crates

go 1.25.7

require github.com/rust-secure-code/go-rustaudit v0.0.0-20250226111315-e20ec32e963c
