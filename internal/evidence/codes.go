package evidence

import "slices"

// Codes are closed lists (FORMATS §3, RULES). A value outside its list is of a newer version or wrong: the server refuses it.

// Role is what an actor is, once and for all: one actor, one role (RULES §3.2).
type Role string

const (
	Clinician     Role = "clinician"
	Investigator  Role = "investigator"
	Custodian     Role = "custodian"
	Court         Role = "court"
	Prosecutor    Role = "prosecutor"
	Police        Role = "police"
	Defence       Role = "defence"
	Survivor      Role = "survivor"
	Advocate      Role = "advocate"
	Trustee       Role = "trustee"
	Auditor       Role = "auditor"
	Administrator Role = "administrator"
	Vault         Role = "vault"
)

var roles = []Role{Clinician, Investigator, Custodian, Court, Prosecutor, Police, Defence, Survivor, Advocate, Trustee, Auditor, Administrator, Vault}

// External reports whether the role receives grants from outside: RULES §3 calls these CO.
func (r Role) External() bool { return r == Court || r == Prosecutor || r == Police || r == Defence }

// Staff reports whether an administrator enrols the role; everybody else is enrolled by a custodian (RULES §3.3).
func (r Role) Staff() bool {
	return r == Clinician || r == Investigator || r == Custodian || r == Auditor || r == Administrator
}

// Keyless roles never hold an envelope and have no age recipient (RULES §3.2, rule 7).
func (r Role) Keyless() bool { return r == Administrator || r == Vault }

// Right is what a member may do in a case.
type Right string

const (
	MayDeposit Right = "deposit"
	MayOpen    Right = "open"
	MayApprove Right = "approve"
	MayManage  Right = "manage"
	OnDuty     Right = "duty"
)

var rights = []Right{MayDeposit, MayOpen, MayApprove, MayManage, OnDuty}

// Class is what an item is in relation to others.
type Class string

const (
	Original        Class = "original"
	Working         Class = "working"
	Derived         Class = "derived"
	Identity        Class = "identity"
	ConsentForm     Class = "consent_form"
	DescriptionOnly Class = "description_only" // no evidence file: a sealed description stands alone
)

var classes = []Class{Original, Working, Derived, Identity, ConsentForm, DescriptionOnly}

// Content is the kind of thing an item shows; it decides which answer of a consent gates it (RULES §4).
type Content string

const (
	Clinical        Content = "clinical"
	Testimony       Content = "testimony"
	Digital         Content = "digital"
	Photograph      Content = "photograph"
	Physical        Content = "physical"
	IdentityContent Content = "identity"
)

var contents = []Content{Clinical, Testimony, Digital, Photograph, Physical, IdentityContent}

// Basis is the lawful ground of an item or an act.
type Basis string

const (
	ByConsent     Basis = "consent"
	CourtOrder    Basis = "court_order"
	StatutoryDuty Basis = "statutory_duty"
	LegalClaims   Basis = "legal_claims"
	Care          Basis = "care"
	VitalInterest Basis = "vital_interest"
	PublicSource  Basis = "public_source"
)

var bases = []Basis{ByConsent, CourtOrder, StatutoryDuty, LegalClaims, Care, VitalInterest, PublicSource}

// Action is what a grant lets its recipient do.
type Action string

const (
	View     Action = "view"
	Download Action = "download"
)

var actions = []Action{View, Download}

// Purpose is why an act is done.
type Purpose string

const (
	ForCare          Purpose = "care"
	ForDocumentation Purpose = "documentation"
	ForInvestigation Purpose = "investigation"
	ForProsecution   Purpose = "prosecution"
	ForDefence       Purpose = "defence"
	ForAdjudication  Purpose = "adjudication"
	ForVerification  Purpose = "verification"
	ForAudit         Purpose = "audit"
	ForSubjectAccess Purpose = "subject_access"
	ForRecovery      Purpose = "recovery"
	ForEmergency     Purpose = "emergency"
)

var purposes = []Purpose{ForCare, ForDocumentation, ForInvestigation, ForProsecution, ForDefence, ForAdjudication, ForVerification, ForAudit, ForSubjectAccess, ForRecovery, ForEmergency}

// Cause says why a state was changed.
type Cause string

const (
	CauseLoss        Cause = "loss"
	CauseCompromise  Cause = "compromise"
	CauseReplacement Cause = "replacement"
	CauseUpgrade     Cause = "upgrade"
	CauseDeparture   Cause = "departure"
	CauseMisconduct  Cause = "misconduct"
	CauseOverdue     Cause = "overdue"
	CauseError       Cause = "error"
	CauseRequest     Cause = "request"
	CauseWithdrawal  Cause = "withdrawal"
	CauseDue         Cause = "due"
	CauseOrder       Cause = "order"
	CauseDraft       Cause = "draft"
	CauseGrant       Cause = "grant"
	CauseRewrap      Cause = "rewrap"
	CauseCopy        Cause = "copy" // a survivor's own copy
	CauseExpiry      Cause = "expiry"
	CauseClosed      Cause = "closed"
	CauseNewFacts    Cause = "new_facts"
)

var causes = []Cause{CauseLoss, CauseCompromise, CauseReplacement, CauseUpgrade, CauseDeparture, CauseMisconduct, CauseOverdue, CauseError,
	CauseRequest, CauseWithdrawal, CauseDue, CauseOrder, CauseDraft, CauseGrant, CauseRewrap, CauseCopy, CauseExpiry, CauseClosed, CauseNewFacts}

// Method is how a fingerprint was compared over a second channel.
type Method string

const (
	ByPhone  Method = "phone"
	ByVideo  Method = "video"
	InPerson Method = "in_person"
	ByLetter Method = "letter"
)

var methods = []Method{ByPhone, ByVideo, InPerson, ByLetter}

// Answer is one answer of a consent; what was not asked reads as no (RULES §4).
type Answer string

const (
	Yes      Answer = "yes"
	No       Answer = "no"
	NotAsked Answer = "not_asked"
)

var answers = []Answer{Yes, No, NotAsked}

// Audience says who can open a note (FORMATS §3).
type Audience string

const (
	ToItem      Audience = "item"      // the item key: travels in packages
	ToInternal  Audience = "internal"  // the case label key: never packaged
	ToRecipient Audience = "recipient" // a grant's recipient and the keyholders
)

var audiences = []Audience{ToItem, ToInternal, ToRecipient}

// Outcome is the result of an act.
type Outcome string

const (
	Success Outcome = "success"
	Failure Outcome = "failure"
)

var outcomes = []Outcome{Success, Failure}

func known[T comparable](list []T, v T) bool { return slices.Contains(list, v) }

// unique reports whether list has neither an unknown code nor a repetition.
func unique[T comparable](known []T, list []T) bool {
	for i, v := range list {
		if !slices.Contains(known, v) || slices.Contains(list[:i], v) {
			return false
		}
	}
	return true
}

// Withheld stands for a country or jurisdiction that is not said.
const Withheld = "withheld"

// validCountry accepts an ISO 3166-1 alpha-2 code in capitals, or Withheld.
func validCountry(s string) bool {
	return s == Withheld || len(s) == 2 && s[0] >= 'A' && s[0] <= 'Z' && s[1] >= 'A' && s[1] <= 'Z'
}
