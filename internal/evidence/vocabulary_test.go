package evidence

import (
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestIdentifiers(t *testing.T) {
	for range 100 {
		id := NewID[CaseID]()
		if !ValidID(id) {
			t.Fatalf("%s is not valid", id)
		}
		if back, err := ParseID[CaseID](string(id)); err != nil || back != id {
			t.Fatalf("%s became %s (%v)", id, back, err)
		}
		if ValidID(ActorID(id)) {
			t.Fatal("a case stands where an actor belongs")
		}
	}
	for _, bad := range []string{"", "act", "act-", "act-" + strings.Repeat("a", 25), "act-" + strings.Repeat("a", 27), "act-" + strings.Repeat("A", 26),
		"act-" + strings.Repeat("a", 25) + "b", "act-" + strings.Repeat("a", 12) + "1" + strings.Repeat("a", 13), "act-" + strings.Repeat("a", 25) + "="} {
		_, err := ParseID[ActorID](bad)
		refused(t, err, Invalid, ReasonIdentifier)
	}
	// Every other identifier has its own prefix.
	for _, valid := range []bool{ValidID(NewID[OrgID]()), ValidID(NewID[ItemID]()), ValidID(NewID[ConsentID]()), ValidID(NewID[GrantID]()), ValidID(NewID[HoldID]()), ValidID(NewID[UploadID]())} {
		if !valid {
			t.Error("a new identifier is not valid")
		}
	}
}

func TestTimes(t *testing.T) {
	for _, s := range []string{"1970-01-01T00:00:00.001Z", "2027-03-01T09:00:00.000Z", "9999-12-31T23:59:59.999Z"} {
		if got, err := ParseTime(s); err != nil || got.String() != s || !moment(got) {
			t.Errorf("%s became %s (%v)", s, got, err)
		}
	}
	for _, s := range []string{"", "1970-01-01T00:00:00.000Z", "1969-12-31T23:59:59.999Z", "2027-03-01T09:00:00Z", "2027-03-01T09:00:00.0000Z",
		"2027-03-01T09:00:00.000+00:00", "2027-03-01 09:00:00.000Z", "2027-02-30T09:00:00.000Z", "2027-03-01T24:00:00.000Z", "2027-03-01T09:00:60.000Z", "2027-03-01T09:00:00,000Z"} {
		_, err := ParseTime(s)
		refused(t, err, Invalid, ReasonTime)
	}
	var at Time
	refused(t, json.Unmarshal([]byte("5"), &at), Invalid, ReasonTime)
	if d := Time(5000).Sub(Time(2000)); d != 3*time.Second || Time(2000).Add(d) != 5000 {
		t.Error(d)
	}
}

func TestHashes(t *testing.T) {
	h := SHA256([]byte("x"))
	if back, err := ParseHash(h.String()); err != nil || back != h {
		t.Error(err)
	}
	for _, bad := range []string{"", "00", strings.ToUpper(h.String()), h.String() + "00", h.String()[:63] + "g"} {
		_, err := ParseHash(bad)
		refused(t, err, Invalid, ReasonDigest)
	}
	m := map[Hash]int{h: 1}
	b, _ := json.Marshal(m)
	var back map[Hash]int
	if err := json.Unmarshal(b, &back); err != nil || back[h] != 1 {
		t.Error(err)
	}
	refused(t, json.Unmarshal([]byte("5"), &h), Invalid, ReasonDigest)
	if (Hash{}).Compare(h) >= 0 || h.Compare(h) != 0 || (h.Compare(SHA256(nil)) < 0) != (h.String() < SHA256(nil).String()) {
		t.Error("digests are not ordered as their text is")
	}
}

// FORMATS §9: the missing part of a fingerprint is empty, and the parts cannot be shifted.
func TestFingerprint(t *testing.T) {
	if Fingerprint([]byte("a"), "bc") == Fingerprint([]byte("ab"), "c") {
		t.Error("two pairs of keys have one fingerprint")
	}
	if Fingerprint(nil, "r") != SHA256([]byte("strongroom/actor/v1\x00\x00r")) {
		t.Error("the fingerprint of recovery is not as FORMATS §9 says")
	}
}

func TestStreams(t *testing.T) {
	for _, s := range []Stream{ActorOf(NewID[ActorID]()), CaseOf(NewID[CaseID]()), ConsentOf(NewID[ConsentID]()), ItemOf(NewID[ItemID]()), PolicyOf(origin), VaultOf(origin)} {
		if got, err := ParseStream(origin, string(s.Type), s.ID); err != nil || got != s {
			t.Errorf("%v: %v", s, err)
		}
		if _, err := NewState(s.Type); err != nil {
			t.Error(err)
		}
		_, err := ParseStream(origin, "actor", "x"+s.ID)
		refused(t, err, Invalid, ReasonStream)
	}
	for _, s := range [][2]string{{"", ""}, {"policy", "other.example"}, {"vault", ""}, {"grant", string(NewID[GrantID]())}} {
		_, err := ParseStream(origin, s[0], s[1])
		refused(t, err, Invalid, ReasonStream)
	}
	_, err := NewState("grant")
	refused(t, err, Unknown, ReasonStream)
	if PolicyOf(origin).Tag(origin) == VaultOf(origin).Tag(origin) || PolicyOf(origin).Tag(origin) == PolicyOf(origin).Tag("other.example") {
		t.Error("two streams have one tag")
	}
	for _, bad := range []string{"", "vault", "Vault.example", "vault.example.", ".example", "vault_1.example", "vault.example:443", "vault.example/x", "-a.example", "a-.example", strings.Repeat("a", 64) + ".example"} {
		if ValidOrigin(bad) {
			t.Errorf("%q is an origin", bad)
		}
	}
}

func TestErrors(t *testing.T) {
	inner := Refuse(Held, ReasonFrozen)
	outer := Fail(Internal, "records", errors.Join(io.EOF, inner))
	if outer != inner {
		t.Error("an error was wrapped twice")
	}
	e := Fail(Internal, "records", io.EOF)
	if !errors.Is(e, io.EOF) || e.Error() != "internal: records: EOF" || inner.Error() != "held: frozen" {
		t.Error(e)
	}
	for _, c := range []struct {
		err    error
		kind   ErrorKind
		reason string
	}{{nil, "", "internal"}, {io.EOF, Internal, "internal"}, {inner, Held, "frozen"}, {errors.Join(inner), Held, "frozen"}} {
		if KindOf(c.err) != c.kind || ReasonOf(c.err) != c.reason {
			t.Errorf("%v is %s: %s", c.err, KindOf(c.err), ReasonOf(c.err))
		}
	}
}

// RULES §3, ‡.
func TestBarriers(t *testing.T) {
	barriers := []Kind{ActorKeyRotated, ActorSuspended, ActorRevoked, CaseMemberRemoved, CaseKeyringChanged, ConsentGiven, ConsentNarrowed,
		ConsentWithdrawn, ConsentDelegationEnded, GrantRevoked, VaultConfirmed, VaultRecovered}
	for k := range kinds {
		if k.Barrier() != slices.Contains(barriers, k) {
			t.Errorf("%s: barrier is %v", k, k.Barrier())
		}
	}
}

// FORMATS §3: who can open the notes of a kind.
func TestAudiences(t *testing.T) {
	for k, about := range kinds {
		var want []Audience
		switch name := string(k); {
		case k == GrantRefused, k == ItemOpened, k == ItemBreakGlass, strings.HasPrefix(name, "hold."), strings.HasPrefix(name, "case."), strings.HasPrefix(name, "consent."):
			want = []Audience{ToInternal}
		case strings.HasPrefix(name, "grant."):
			want = []Audience{ToRecipient}
		case strings.HasPrefix(name, "item."), k == RetentionSet:
			want = []Audience{ToItem, ToInternal}
		}
		if !slices.Equal(about.audiences, want) {
			t.Errorf("%s: notes to %v, want %v", k, about.audiences, want)
		}
	}
}

// The fields of the rarer kinds: what is right passes, one wrong field does not.
func TestDetailsOfRareKinds(t *testing.T) {
	h, at, item, hold, advocate := SHA256(nil), Time(1000), NewID[ItemID](), NewID[HoldID](), NewID[ActorID]()
	answers := everyAnswer
	for name, c := range map[string]struct {
		good, bad Details
		reason    string
	}{
		"closed":            {&CaseClosedDetails{"decided"}, &CaseClosedDetails{"won"}, ReasonCode},
		"reopened":          {&CaseReopenedDetails{CauseNewFacts}, &CaseReopenedDetails{}, ReasonCode},
		"narrowed":          {&ConsentNarrowedDetails{2, answers, at}, &ConsentNarrowedDetails{2, answers, 0}, ReasonTime},
		"narrowed to 0":     {&ConsentNarrowedDetails{1, answers, at}, &ConsentNarrowedDetails{0, answers, at}, ReasonSize},
		"delegated":         {&ConsentDelegatedDetails{advocate, []string{"read"}, at}, &ConsentDelegatedDetails{advocate, []string{"sell"}, at}, ReasonCode},
		"delegated to":      {&ConsentDelegatedDetails{advocate, []string{"approve", "narrow"}, at}, &ConsentDelegatedDetails{"", []string{"read"}, at}, ReasonIdentifier},
		"delegated nothing": {&ConsentDelegatedDetails{advocate, []string{"withdraw"}, at}, &ConsentDelegatedDetails{advocate, nil, at}, ReasonCode},
		"ended":             {&ConsentDelegationEndedDetails{advocate, CauseRequest}, &ConsentDelegationEndedDetails{"", CauseRequest}, ReasonIdentifier},
		"derived":           {&ItemDerivedDetails{item, Derived, Tool{"t", "1", ""}}, &ItemDerivedDetails{item, Original, Tool{"t", "1", ""}}, ReasonCode},
		"derived item":      {&ItemDerivedDetails{item, Working, Tool{"t", "1", ""}}, &ItemDerivedDetails{"", Working, Tool{"t", "1", ""}}, ReasonIdentifier},
		"derived by":        {&ItemDerivedDetails{item, Working, Tool{"t", "1", h.String()}}, &ItemDerivedDetails{item, Working, Tool{"", "1", ""}}, ReasonText},
		"amended":           {&ItemAmendedDetails{File{h, 1}, CauseError}, &ItemAmendedDetails{File{h, 0}, CauseError}, ReasonSize},
		"transferred":       {&ItemTransferredDetails{Police}, &ItemTransferredDetails{"king"}, ReasonCode},
		"received":          {&ItemReceivedDetails{true}, nil, ""},
		"copied":            {&ItemEnvelopeAddedDetails{EnvelopeRef{h, h}, CauseCopy, ""}, &ItemEnvelopeAddedDetails{EnvelopeRef{h, h}, CauseCopy, NewID[GrantID]()}, ReasonIdentifier},
		"break glass":       {&ItemBreakGlassDetails{"life", h}, &ItemBreakGlassDetails{"life", Hash{}}, ReasonDigest},
		"reviewed":          {&ItemBreakGlassReviewedDetails{h, true}, &ItemBreakGlassReviewedDetails{}, ReasonDigest},
		"shred proposed":    {&ItemShredProposedDetails{CauseDue, h}, &ItemShredProposedDetails{CauseDue, Hash{}}, ReasonDigest},
		"shred cancelled":   {&ItemShredCancelledDetails{CauseError}, &ItemShredCancelledDetails{}, ReasonCode},
		"shredded":          {&ItemShreddedDetails{[]Hash{h}, []string{"records"}, at}, &ItemShreddedDetails{[]Hash{h, h}, nil, at}, ReasonOrder},
		"shredded nothing":  {&ItemShreddedDetails{nil, nil, at}, &ItemShreddedDetails{[]Hash{{}}, nil, at}, ReasonDigest},
		"shredded where":    {&ItemShreddedDetails{nil, []string{"cold", "backups"}, at}, &ItemShreddedDetails{nil, []string{"cellar"}, at}, ReasonCode},
		"retention":         {&RetentionSetDetails{"medical_record", at}, &RetentionSetDetails{"Medical Record", at}, ReasonText},
		"hold placed":       {&HoldPlacedDetails{hold, CourtOrder, at, at, 0}, &HoldPlacedDetails{hold, CourtOrder, at, 0, 0}, ReasonTime},
		"hold":              {&HoldPlacedDetails{hold, CourtOrder, at, at, at}, &HoldPlacedDetails{"", CourtOrder, at, at, 0}, ReasonIdentifier},
		"secret hold":       {&HoldPlacedDetails{hold, CourtOrder, at, at, at}, &HoldPlacedDetails{hold, CourtOrder, at, at, -1}, ReasonTime},
		"hold basis":        {&HoldPlacedDetails{hold, Care, at, at, 0}, &HoldPlacedDetails{hold, "", at, at, 0}, ReasonCode},
		"hold confirmed":    {&HoldConfirmedDetails{hold}, &HoldConfirmedDetails{}, ReasonIdentifier},
		"hold lifted":       {&HoldLiftedDetails{hold, CauseExpiry}, &HoldLiftedDetails{hold, ""}, ReasonCode},
		"recovered":         {&VaultRecoveredDetails{h, []ItemID{item}, CauseLoss}, &VaultRecoveredDetails{h, []ItemID{item, item}, CauseLoss}, ReasonOrder},
		"recovered items":   {&VaultRecoveredDetails{h, []ItemID{item}, CauseLoss}, &VaultRecoveredDetails{h, []ItemID{""}, CauseLoss}, ReasonIdentifier},
		"recovered nothing": {&VaultRecoveredDetails{h, nil, CauseLoss}, &VaultRecoveredDetails{h, nil, ""}, ReasonCode},
		"restored":          {&VaultRestoredDetails{at, 1, 2}, &VaultRestoredDetails{at, -1, 2}, ReasonSize},
		"restored from":     {&VaultRestoredDetails{at, 0, 0}, &VaultRestoredDetails{0, 1, 2}, ReasonTime},
		"incident":          {&VaultIncidentDetails{"breach", at, at, "vault"}, &VaultIncidentDetails{"breach", at, at - 1, "vault"}, ReasonWindow},
		"incident scope":    {&VaultIncidentDetails{"outage", at, 0, "case"}, &VaultIncidentDetails{"outage", at, 0, "world"}, ReasonCode},
		"incident until":    {&VaultIncidentDetails{"outage", at, 0, "case"}, &VaultIncidentDetails{"outage", at, -1, "case"}, ReasonTime},
	} {
		if err := c.good.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if c.bad != nil {
			err := c.bad.Check()
			if ReasonOf(err) != c.reason {
				t.Errorf("%s: got %v, want %s", name, err, c.reason)
			}
		}
	}
}

// No details pass when nothing in them is filled, but those whose every value has a meaning.
func TestEmptyDetails(t *testing.T) {
	for k := range kinds {
		d, _ := NewDetails(k)
		err := d.Check()
		free := k == ItemReceived || k == CaseKeyringChanged // the latter: see its rule
		if (err == nil) != free {
			t.Errorf("%s: %v", k, err)
		}
	}
}
