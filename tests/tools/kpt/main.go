// kpt's `fn` commands, as its own main puts them together. The whole of kpt cannot be built through every module
// proxy: its `alpha rollouts` lives in a module that only its repository has.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/kptdev/kpt/commands/fn"
	"github.com/kptdev/kpt/pkg/lib/errors/resolver"
	"github.com/kptdev/kpt/pkg/printer"
	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
)

func main() {
	kpt := &cobra.Command{Use: "kpt", SilenceErrors: true, SilenceUsage: true}
	ctx := printer.WithContext(context.Background(), printer.New(os.Stdout, os.Stderr))
	printer.TruncateOutput = true
	kpt.AddCommand(fn.GetCommand(ctx, "kpt"))
	if err := cli.RunNoErrOutput(kpt); err != nil {
		if resolved, ok := resolver.ResolveError(err); ok {
			if resolved.Message != "" {
				fmt.Fprintln(os.Stderr, resolved.Message)
			}
			os.Exit(resolved.ExitCode)
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
