package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/config"
	"strongroom.example/strongroom/internal/wire"
)

func readyCommand() *cobra.Command {
	var address string
	c := &cobra.Command{
		Use:   "ready",
		Short: "Ask a running server on this machine whether it is ready",
		Long: `Asks where metrics are told (metrics.listen in the configuration), and prints what
the server says of what it stands on. For containers, in which there is no other
program that could ask. Without its log or its objects a server is ready, for what
needs neither.

Exit code: 0 ready, 1 not ready, 2 nobody answers.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			client := &http.Client{Timeout: 4 * time.Second}
			response, err := client.Get("http://" + address + "/readyz")
			if err != nil {
				return errors.New("nobody answers there: no server runs, or its configuration has no metrics")
			}
			defer response.Body.Close()
			var says wire.Health
			if err := json.NewDecoder(io.LimitReader(response.Body, 64<<10)).Decode(&says); err != nil {
				return errors.New("what answers there is not strongroomd")
			}
			out := c.OutOrStdout()
			if on := says.Dependencies; on != nil {
				fmt.Fprintf(out, "records %s, log %s, objects %s\n", on.Records, on.Log, on.Objects)
			}
			if response.StatusCode != http.StatusOK {
				return notReady{}
			}
			return nil
		},
	}
	c.Flags().StringVar(&address, "address", config.DefaultMetrics, "where the server tells metrics")
	return c
}

// notReady ends ready with exit code 1.
type notReady struct{}

func (notReady) Error() string { return "the server is not ready" }
func (notReady) ExitCode() int { return 1 }
