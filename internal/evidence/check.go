package evidence

import (
	"cmp"
	"encoding/base64"
	"slices"
	"strings"
	"time"
)

// Clock is how far a statement's time may be from the vault's clock (FORMATS §3).
const Clock = 2 * time.Minute

// CheckClock compares an event's time with the clock of the server that is asked to accept it. A verifier, who comes later, bounds
// the time by witnesses and time stamps instead.
func CheckClock(e *Event, now time.Time) error {
	if d := e.Time.Sub(At(now)); d > Clock || d < -Clock {
		return Refuse(Invalid, ReasonClock)
	}
	return nil
}

// Check looks at everything that can be judged from the event alone: codes, identifiers, bounds, order of lists, which fields and
// notes the kind has. Subjects are left to Apply, which knows the item.
func (e *Event) Check() error {
	k, ok := kinds[e.Kind]
	if !ok {
		return Refuse(Unknown, ReasonKind)
	}
	if e.Details == nil || !k.holds(e.Details) {
		return Refuse(Invalid, ReasonDetails)
	}
	for _, err := range []error{e.checkPosition(k), e.checkSigner(), e.checkFields(k), e.checkReliedOn(), e.checkNotes(k)} {
		if err != nil {
			return err
		}
	}
	if err := e.Details.Check(); err != nil {
		return err
	}
	return e.checkKind()
}

func (e *Event) checkPosition(k kind) error {
	switch p := e.Stream; {
	case !ValidOrigin(e.Vault):
		return Refuse(Invalid, ReasonVault)
	case p.Type != k.stream || !p.Stream().valid(e.Vault):
		return Refuse(Invalid, ReasonStream)
	case !count(p.Seq) || p.Prev.IsZero() != (p.Seq == 0):
		return Refuse(Invalid, ReasonPosition)
	case k.place == opens && p.Seq != 0, k.place == follows && p.Seq == 0:
		return Refuse(Invalid, ReasonFirst)
	case !moment(e.Time):
		return Refuse(Invalid, ReasonTime)
	}
	return nil
}

func (e *Event) checkSigner() error {
	switch a, t := e.Actor, e.Tool; {
	case !known(roles, a.Role):
		return Refuse(Unknown, ReasonCode)
	case !ValidID(a.ID), a.OnBehalfOf != "" && !ValidID(a.OnBehalfOf), a.OnBehalfOf == a.ID:
		return Refuse(Invalid, ReasonIdentifier)
	case !validOrganization(a.Role, a.Organization):
		return Refuse(Invalid, ReasonOrganization)
	case !printable(t.Name, 1, 64), !printable(t.Version, 1, 64), t.Build != "" && !validHex(t.Build):
		return Refuse(Invalid, ReasonText)
	}
	return nil
}

// checkFields looks at the common fields. Case names the case of consent and item streams; only item streams have consents, an
// object, digests and a counterparty.
func (e *Event) checkFields(k kind) error {
	item := k.stream == ItemStream
	switch {
	case (item || k.stream == ConsentStream) && e.Case == "":
		return Refuse(Invalid, ReasonFieldMissing)
	case !item && k.stream != ConsentStream && e.Case != "",
		!item && (len(e.Consent) > 0 || e.Object != nil || e.Digests != nil || e.Counterparty != nil):
		return Refuse(Invalid, ReasonFieldExcess)
	case e.Case != "" && !ValidID(e.Case):
		return Refuse(Invalid, ReasonIdentifier)
	case e.Purpose != "" && !known(purposes, e.Purpose), e.Change != "" && !known(causes, e.Change):
		return Refuse(Unknown, ReasonCode)
	case e.Place != "" && !validCountry(e.Place):
		return Refuse(Invalid, ReasonCountry)
	}
	for _, err := range []error{checkConsents(e.Consent), e.Authority.check(), e.Object.check(), e.Digests.check(), e.Result.check(), e.Counterparty.check()} {
		if err != nil {
			return err
		}
	}
	return nil
}

func checkConsents(refs []ConsentRef) error {
	if !ascending(refs, func(a, b ConsentRef) int { return cmp.Compare(a.ID, b.ID) }) {
		return Refuse(Invalid, ReasonOrder)
	}
	for _, r := range refs {
		if !ValidID(r.ID) || !count(r.Version-1) {
			return Refuse(Invalid, ReasonIdentifier)
		}
	}
	return nil
}

func (a *Authority) check() error {
	switch {
	case a == nil:
		return nil
	case !known(bases, a.Basis):
		return Refuse(Unknown, ReasonCode)
	case a.Hold != "" && !ValidID(a.Hold), a.Grant != "" && !ValidID(a.Grant):
		return Refuse(Invalid, ReasonIdentifier)
	}
	return nil
}

func (o *Object) check() error {
	switch {
	case o == nil:
		return nil
	case !known(classes, o.Class), !known(contents, o.Content):
		return Refuse(Unknown, ReasonCode)
	case !token(o.Form, 0, 64), !count(o.Exhibit):
		return Refuse(Invalid, ReasonText)
	}
	return nil
}

func (d *Digests) check() error {
	if d != nil && (d.After.IsZero() || !count(d.Size) || d.Size > MaxEvidence) {
		return Refuse(Invalid, ReasonDigest)
	}
	return nil
}

func (r *Result) check() error {
	switch {
	case r == nil:
		return nil
	case !known(outcomes, r.Outcome):
		return Refuse(Unknown, ReasonCode)
	case !token(r.Code, 0, 32):
		return Refuse(Invalid, ReasonText)
	}
	return nil
}

func (c *Counterparty) check() error {
	switch {
	case c == nil:
		return nil
	case c.Class != "" && !known(roles, c.Class):
		return Refuse(Unknown, ReasonCode)
	case c.Actor == "" && c.Fingerprint.IsZero(), c.Actor != "" && !ValidID(c.Actor):
		return Refuse(Invalid, ReasonIdentifier)
	}
	return nil
}

func (e *Event) checkReliedOn() error {
	if !ascending(e.ReliedOn, func(a, b Head) int { return a.Stream().Compare(b.Stream()) }) {
		return Refuse(Invalid, ReasonOrder)
	}
	for _, h := range e.ReliedOn {
		switch {
		case !h.Stream().valid(e.Vault) || h.Stream() == e.Stream.Stream():
			return Refuse(Invalid, ReasonStream)
		case !count(h.Seq):
			return Refuse(Invalid, ReasonSize)
		case h.Head.IsZero():
			return Refuse(Invalid, ReasonDigest)
		}
	}
	return nil
}

func (e *Event) checkNotes(k kind) error {
	if !ascending(e.Notes, func(a, b Note) int { return cmp.Compare(a.Name, b.Name) }) {
		return Refuse(Invalid, ReasonOrder)
	}
	for _, n := range e.Notes {
		switch {
		case !noteName(n.Name):
			return Refuse(Invalid, ReasonNoteName)
		case !known(audiences, n.Audience):
			return Refuse(Unknown, ReasonCode)
		case !slices.Contains(k.audiences, n.Audience):
			return Refuse(Invalid, ReasonNoteAudience)
		case n.Size <= 0 || n.Size%512 != 0 || n.Size > MaxNote:
			return Refuse(Invalid, ReasonNoteSize)
		case n.SHA256.IsZero():
			return Refuse(Invalid, ReasonDigest)
		}
	}
	return nil
}

// checkKind is what single kinds demand of the common fields.
func (e *Event) checkKind() error {
	switch d := e.Details.(type) {
	case *ItemDepositedDetails:
		switch {
		case d.Basis == ByConsent:
			if e.Authority != nil && e.Authority.Basis != ByConsent {
				return Refuse(Invalid, ReasonAuthority)
			}
		case e.Authority == nil || e.Authority.Basis != d.Basis:
			return Refuse(Invalid, ReasonAuthority)
		case !e.noted("authority"):
			return Refuse(Invalid, ReasonNoteMissing)
		}
		switch named := len(e.Consent) > 0; {
		case named && (d.Basis != ByConsent || d.Class == ConsentForm):
			return Refuse(Invalid, ReasonConsentExcess)
		case !named && d.Basis == ByConsent && d.Class != ConsentForm:
			return Refuse(Invalid, ReasonConsentMissing)
		}
	case *ItemOpenedDetails:
		if e.Purpose == "" {
			return Refuse(Invalid, ReasonFieldMissing)
		}
	case *ItemVerifiedDetails:
		if e.Result == nil {
			return Refuse(Invalid, ReasonFieldMissing)
		}
	case *ItemShredProposedDetails:
		if d.Cause == CauseOrder && !e.noted("authority") {
			return Refuse(Invalid, ReasonNoteMissing)
		}
	case *GrantProposedDetails:
		switch {
		case d.Item != ItemID(e.Stream.ID):
			return Refuse(Invalid, ReasonTerms)
		case d.Expires <= e.Time:
			return Refuse(Invalid, ReasonWindow)
		}
	}
	if name := requiredNotes[e.Kind]; name != "" && !e.noted(name) {
		return Refuse(Invalid, ReasonNoteMissing)
	}
	return nil
}

// requiredNotes are what a person must have written for the act to be understood later. What it says is for those to read who can open it.
var requiredNotes = map[Kind]string{
	GrantRefused:           "reason",
	HoldPlaced:             "order",
	ItemBreakGlass:         "reason",
	ItemBreakGlassReviewed: "measures",
	ItemReceived:           "condition",
	ItemTransferred:        "transfer",
}

func (e *Event) noted(name string) bool {
	return slices.ContainsFunc(e.Notes, func(n Note) bool { return n.Name == name })
}

// ascending reports whether list is strictly ascending, so without repetition, and not too long.
func ascending[T any](list []T, compare func(a, b T) int) bool {
	for i := 1; i < len(list); i++ {
		if compare(list[i-1], list[i]) >= 0 {
			return false
		}
	}
	return len(list) <= maxList
}

var lastMoment = At(time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC))

// moment reports whether t can be written (FORMATS §1).
func moment(t Time) bool { return t > 0 && t <= lastMoment }

// count reports whether n is a whole number that every JSON reader holds exactly.
func count(n int64) bool { return n >= 0 && n < 1<<53 }

// token reports whether s holds only lower-case letters, digits and _ - . /.
func token(s string, shortest, longest int) bool {
	return len(s) >= shortest && len(s) <= longest && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' && r != '-' && r != '.' && r != '/'
	})
}

// printable reports whether s is printable ASCII.
func printable(s string, shortest, longest int) bool {
	return len(s) >= shortest && len(s) <= longest && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

func noteName(s string) bool {
	return len(s) >= 1 && len(s) <= 32 && !strings.ContainsFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && r != '_' })
}

func validHex(s string) bool { _, err := ParseHash(s); return err == nil }

// validOrganization: the vault belongs to none, survivors and those who act for them may belong to none, everybody else has one.
func validOrganization(r Role, o OrgID) bool {
	switch r {
	case Vault:
		return o == ""
	case Survivor, Advocate, Trustee:
		return o == "" || ValidID(o)
	}
	return ValidID(o)
}

const (
	recipientPrefix = "age1pq1"
	recipientLength = 1959 // 7 characters, 1216 bytes in groups of five bits, six of checksum
	bech32          = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
)

// validRecipient looks at the outside of an age hybrid recipient. Whether it is a usable key shows when someone encrypts to it: the
// server cannot (ARCHITECTURE §5).
func validRecipient(s string) bool {
	code, ok := strings.CutPrefix(s, recipientPrefix)
	return ok && len(s) == recipientLength && strings.Trim(code, bech32) == ""
}

// spkiP256 is how every P-256 SubjectPublicKeyInfo with an uncompressed point begins.
const spkiP256 = "\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04"

func validSPKI(s string) bool {
	der, ok := decodeBase64(s)
	return ok && len(der) == len(spkiP256)+64 && strings.HasPrefix(string(der), spkiP256)
}

// decodeBase64 accepts standard base64 in its only spelling.
func decodeBase64(s string) ([]byte, bool) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	return b, err == nil && !strings.ContainsAny(s, "\r\n")
}
