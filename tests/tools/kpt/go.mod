module unsops.dev/tests/tools/kpt

go 1.25.7
