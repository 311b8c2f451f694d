package main

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/daemon"
	"strongroom.example/strongroom/internal/evidence"
)

func organizationCommand() *cobra.Command {
	var p place
	c := &cobra.Command{
		Use:   "organization [ORG NAME]",
		Short: "Say what organizations are called, for people to read",
		Long: `Lists what organizations are called or, with an id and a name, gives one a name;
an empty name ("") takes it away. A running server tells it from then on. Run it
under the server's account, which must be able to read organizations.json.

Staff, survivors and advocates can read all names: who looked is then an
organization that a survivor knows, beside its id. Courts, police and defence see
ids alone. A name is the operator's word. It is in no signature and no court
package, and what anybody may do goes by the id.

The ids are in what strongroom found, actor invite, actor list and history print.`,
		Example: `  strongroomd organization org-olhsfqgm3ms7346q2jyqwph7mm "City Hospital"`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 0 && len(args) != 2 {
				return fmt.Errorf("give an id and a name, or neither")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return listOrganizations(c.OutOrStdout(), p.data)
			}
			id, err := evidence.ParseID[evidence.OrgID](args[0])
			if err != nil {
				return fmt.Errorf("that is not the id of an organization (org-…, 30 characters)")
			}
			return daemon.NameOrganization(p.data, id, args[1])
		},
	}
	c.Flags().StringVar(&p.data, "data", defaultFolder(), "the vault's folder")
	return c
}

func listOrganizations(out io.Writer, data string) error {
	names, err := daemon.OrganizationNames(data)
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(names)) {
		fmt.Fprintf(out, "%s  %s\n", id, names[id])
	}
	return nil
}
