package client

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/wire"
)

// The bounds of the contract.
const (
	maxOrganizations = 1000
	maxOrganization  = 80 // characters of a name
)

// Organizations are what the vault's operator calls organizations: the operator's word, for reading alone. Signatures and rules go by the
// id, so a name stands beside it and never for it. Each can be shown as it is.
func (c *Client) Organizations(ctx context.Context) (map[evidence.OrgID]string, error) {
	req, err := wire.NewListOrganizationsRequest(c.address)
	list, err := ask[wire.OrganizationList](ctx, c, req, err, http.StatusOK)
	if err != nil {
		return nil, err
	}
	names := make(map[evidence.OrgID]string)
	for _, o := range list.Organizations {
		id := evidence.OrgID(o.ID)
		if !evidence.ValidID(id) || names[id] != "" || !isName(o.Name) || len(names) == maxOrganizations {
			return nil, alarm(Malformed, evidence.Stream{}, errors.New("the names of organizations are not of the contract"))
		}
		names[id] = o.Name
	}
	return names, nil
}

// isName demands a beginning that no spreadsheet takes for a formula, and nothing that cannot be seen.
func isName(name string) bool {
	first, _ := utf8.DecodeRuneInString(name)
	return isText(name) && (unicode.IsLetter(first) || unicode.IsNumber(first)) && !strings.HasSuffix(name, " ") &&
		utf8.RuneCountInString(name) <= maxOrganization && !strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) })
}
