package auth

import (
	"slices"

	"strongroom.example/strongroom/internal/evidence"
)

// Action is one operation of api/openapi.yaml, named by its operationId.
type Action string

// nobody is the role of who is not signed in.
const nobody evidence.Role = ""

// Sets of roles, as package evidence's rules use them.
var (
	people = []evidence.Role{
		evidence.Clinician, evidence.Investigator, evidence.Custodian, evidence.Court, evidence.Prosecutor, evidence.Police, evidence.Defence,
		evidence.Survivor, evidence.Advocate, evidence.Trustee, evidence.Auditor, evidence.Administrator,
	}
	anyone     = append([]evidence.Role{nobody, evidence.Vault}, people...)
	staff      = []evidence.Role{evidence.Clinician, evidence.Investigator, evidence.Custodian, evidence.Auditor, evidence.Administrator}
	members    = []evidence.Role{evidence.Clinician, evidence.Investigator, evidence.Custodian, evidence.Auditor, evidence.Survivor, evidence.Advocate}
	speakers   = []evidence.Role{evidence.Survivor, evidence.Advocate}
	recipients = []evidence.Role{evidence.Court, evidence.Prosecutor, evidence.Police, evidence.Defence}
	readers    = slices.Concat(members, recipients) // may hold an envelope or see a label
	inviters   = []evidence.Role{evidence.Administrator, evidence.Custodian, evidence.Trustee}
)

// table says which roles may ask for which operation; what stands with nobody needs no session. An operation that is not here is for no
// one. It decides on roles alone: cases, rights, grants and consents are asked behind it.
var table = map[Action][]evidence.Role{
	"health":             anyone,
	"ready":              anyone,
	"getVault":           anyone,
	"getTrust":           anyone,
	"getCheckpoint":      anyone,
	"getPublished":       anyone,
	"listRevocations":    anyone,
	"cosign":             anyone,
	"getConsistency":     anyone,
	"getInclusion":       anyone,
	"getLogLeaves":       anyone,
	"createChallenge":    anyone,
	"signIn":             anyone,
	"getInvitationTerms": anyone,
	"answerInvitation":   anyone,

	"getSession": people,
	"signOut":    people,

	"createInvitation": inviters,
	"listInvitations":  inviters,

	"submitEvent":   people,
	"getEvent":      people,
	"listEvents":    people,
	"proveComplete": people,

	"openItem":      readers,
	"getEvidence":   readers,
	"getAttachment": readers,

	"listOrganizations": slices.Concat(staff, speakers), // who receives a share learns of no partner but by its id
	"listActors":        slices.Concat(staff, speakers), // speakers see the auditors; others read the streams of the actors they have to do with
	"listCases":         members,
	"listItems":         members,
	"listConsents":      members,
	"getLabelKey":       members,
	"listGrants":        recipients,

	"listOwnConsents":  speakers,
	"listOwnItems":     speakers,
	"listAllItems":     {evidence.Auditor},
	"getLogHeads":      {evidence.Auditor},
	"getLogStatements": {evidence.Auditor},

	"createUpload": members,
	"getUpload":    members,
	"appendUpload": members,
	"dropUpload":   members,
}

// Allowed reports whether the role may ask for the action. The empty role is nobody.
func Allowed(role evidence.Role, action Action) bool { return slices.Contains(table[action], role) }

// Public reports whether the action needs no session.
func Public(action Action) bool { return Allowed(nobody, action) }

// Actions lists the table's rows, sorted.
func Actions() []Action {
	actions := make([]Action, 0, len(table))
	for a := range table {
		actions = append(actions, a)
	}
	slices.Sort(actions)
	return actions
}
