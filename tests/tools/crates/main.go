// Prints the crates that a binary says it is made of, one a line: name, version, kind. It reads them with the library that
// trivy and syft read them with.
package main

import (
	"fmt"
	"os"

	"github.com/rust-secure-code/go-rustaudit"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: crates BINARY")
		os.Exit(2)
	}
	file, err := os.Open(os.Args[1])
	if err == nil {
		defer file.Close()
		var found rustaudit.VersionInfo
		if found, err = rustaudit.GetDependencyInfo(file); err == nil {
			for _, crate := range found.Packages {
				fmt.Println(crate.Name, crate.Version, crate.Kind)
			}
			return
		}
	}
	fmt.Fprintln(os.Stderr, "crates:", err)
	os.Exit(1)
}
