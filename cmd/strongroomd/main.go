// Command strongroomd is the vault's server. It holds ciphertext, signed events and the transparency log, and can open nothing.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := root().ExecuteContext(ctx)
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "strongroomd:", err)
	code := 2
	if c, ok := err.(interface{ ExitCode() int }); ok {
		code = c.ExitCode()
	}
	os.Exit(code)
}

func root() *cobra.Command {
	c := &cobra.Command{
		Use:   "strongroomd",
		Short: "The vault's server",
		Long: `strongroomd keeps encrypted evidence, logs every custody event in a transparency
log, and serves the people who hold the keys. It holds no key that opens anything.

A new vault in three steps:

  strongroomd init --data ./vault
      makes the folder and says the vault's name (its origin)
  strongroom found --vault NAME --role administrator --out admin.founder
  strongroom found --vault NAME --role custodian --out custodian.founder
      each founder makes own keys on an own machine
  strongroomd init --data ./vault --founder admin.founder \
      --founder custodian.founder --recovery age1pq1…
      founds the vault and prints the number of its trust file

Then: strongroomd serve --data ./vault`,
		SilenceErrors: true, SilenceUsage: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	c.AddCommand(initCommand(), serveCommand(), backupCommand(), restoreCommand(), fsckCommand(), scrubCommand(), rebuildCommand(), organizationCommand(), rotateCommand(),
		migrateCommand(), logCommand(), configCommand(), readyCommand())
	return c
}
