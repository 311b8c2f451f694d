package auth

import (
	"strings"
	"testing"

	"strongroom.example/strongroom/internal/evidence"
)

// decided is the whole table once more, as people agreed on it: a column for each role, in this order, and first nobody.
const decided = `
                    - cli inv cus cou pro pol def sur adv tru aud adm vau
health              x  x   x   x   x   x   x   x   x   x   x   x   x   x
ready               x  x   x   x   x   x   x   x   x   x   x   x   x   x
getVault            x  x   x   x   x   x   x   x   x   x   x   x   x   x
getTrust            x  x   x   x   x   x   x   x   x   x   x   x   x   x
getCheckpoint       x  x   x   x   x   x   x   x   x   x   x   x   x   x
getPublished        x  x   x   x   x   x   x   x   x   x   x   x   x   x
listRevocations     x  x   x   x   x   x   x   x   x   x   x   x   x   x
cosign              x  x   x   x   x   x   x   x   x   x   x   x   x   x
getConsistency      x  x   x   x   x   x   x   x   x   x   x   x   x   x
getInclusion        x  x   x   x   x   x   x   x   x   x   x   x   x   x
getLogLeaves        x  x   x   x   x   x   x   x   x   x   x   x   x   x
createChallenge     x  x   x   x   x   x   x   x   x   x   x   x   x   x
signIn              x  x   x   x   x   x   x   x   x   x   x   x   x   x
getInvitationTerms  x  x   x   x   x   x   x   x   x   x   x   x   x   x
answerInvitation    x  x   x   x   x   x   x   x   x   x   x   x   x   x
getSession          .  x   x   x   x   x   x   x   x   x   x   x   x   .
signOut             .  x   x   x   x   x   x   x   x   x   x   x   x   .
createInvitation    .  .   .   x   .   .   .   .   .   .   x   .   x   .
listInvitations     .  .   .   x   .   .   .   .   .   .   x   .   x   .
submitEvent         .  x   x   x   x   x   x   x   x   x   x   x   x   .
getEvent            .  x   x   x   x   x   x   x   x   x   x   x   x   .
listEvents          .  x   x   x   x   x   x   x   x   x   x   x   x   .
proveComplete       .  x   x   x   x   x   x   x   x   x   x   x   x   .
openItem            .  x   x   x   x   x   x   x   x   x   .   x   .   .
getEvidence         .  x   x   x   x   x   x   x   x   x   .   x   .   .
getAttachment       .  x   x   x   x   x   x   x   x   x   .   x   .   .
listActors          .  x   x   x   .   .   .   .   x   x   .   x   x   .
listOrganizations   .  x   x   x   .   .   .   .   x   x   .   x   x   .
listCases           .  x   x   x   .   .   .   .   x   x   .   x   .   .
listItems           .  x   x   x   .   .   .   .   x   x   .   x   .   .
listConsents        .  x   x   x   .   .   .   .   x   x   .   x   .   .
getLabelKey         .  x   x   x   .   .   .   .   x   x   .   x   .   .
listGrants          .  .   .   .   x   x   x   x   .   .   .   .   .   .
listOwnConsents     .  .   .   .   .   .   .   .   x   x   .   .   .   .
listOwnItems        .  .   .   .   .   .   .   .   x   x   .   .   .   .
listAllItems        .  .   .   .   .   .   .   .   .   .   .   x   .   .
getLogHeads         .  .   .   .   .   .   .   .   .   .   .   x   .   .
getLogStatements    .  .   .   .   .   .   .   .   .   .   .   x   .   .
createUpload        .  x   x   x   .   .   .   .   x   x   .   x   .   .
getUpload           .  x   x   x   .   .   .   .   x   x   .   x   .   .
appendUpload        .  x   x   x   .   .   .   .   x   x   .   x   .   .
dropUpload          .  x   x   x   .   .   .   .   x   x   .   x   .   .
`

func TestTable(t *testing.T) {
	columns := []evidence.Role{
		nobody, evidence.Clinician, evidence.Investigator, evidence.Custodian, evidence.Court, evidence.Prosecutor, evidence.Police,
		evidence.Defence, evidence.Survivor, evidence.Advocate, evidence.Trustee, evidence.Auditor, evidence.Administrator, evidence.Vault,
	}
	rows := strings.Split(strings.TrimSpace(decided), "\n")[1:]
	for _, row := range rows {
		cells := strings.Fields(row)
		action := Action(cells[0])
		if len(cells) != len(columns)+1 || table[action] == nil {
			t.Errorf("%s: %d cells, in the table: %t", action, len(cells), table[action] != nil)
			continue
		}
		for i, role := range columns {
			if Allowed(role, action) != (cells[i+1] == "x") {
				t.Errorf("%s %s: %t", action, role, Allowed(role, action))
			}
		}
	}
	if len(rows) != len(table) {
		t.Errorf("%d rows are decided, %d are in the table", len(rows), len(table))
	}
	for _, role := range columns {
		if Allowed(role, "noSuchAction") {
			t.Errorf("%q may do what is in no row", role)
		}
	}
}
