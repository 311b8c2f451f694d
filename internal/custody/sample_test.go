package custody

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
)

const origin = "vault.example.org"

// fixedKey is a key with a known scalar and RFC 6979 signatures: vectors made from it come out the same every time.
type fixedKey struct{ *Key }

func (k fixedKey) Sign(message []byte) ([]byte, error) {
	digest := sha256.Sum256(message)
	return k.private.Sign(nil, digest[:], crypto.SHA256)
}

func testKey(name string) fixedKey {
	scalar := sha256.Sum256([]byte("strongroom test key " + name))
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar[:])
	if err != nil {
		panic(err)
	}
	k, err := NewKey(private)
	if err != nil {
		panic(err)
	}
	return fixedKey{k}
}

func id[T ~string](prefix string, n int) T {
	return T(fmt.Sprintf("%s-%s", prefix, strings.Repeat(string("abcdefghijklmnopqrstuvwxyz"[n]), 25)+"a"))
}

func actor(n int) ev.ActorID     { return id[ev.ActorID]("act", n) }
func item(n int) ev.ItemID       { return id[ev.ItemID]("itm", n) }
func consent(n int) ev.ConsentID { return id[ev.ConsentID]("con", n) }
func grant(n int) ev.GrantID     { return id[ev.GrantID]("gra", n) }
func hold(n int) ev.HoldID       { return id[ev.HoldID]("hld", n) }

var (
	org  = id[ev.OrgID]("org", 0)
	kase = id[ev.CaseID]("cas", 0)
	noon = ev.At(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
)

func digest(s string) ev.Hash { return ev.SHA256([]byte(s)) }

// hybrid has the outside of an age hybrid recipient. Statements carry recipients; nothing here encrypts to one.
func hybrid(n int) string {
	return "age1pq1" + strings.Repeat("qpzry9x8gf2tvdw0s3jn54khce6mua7l"[n:n+1], 1952)
}

// noteNames are the notes without which a kind is refused, where that is another than the reason.
var noteNames = map[ev.Kind]string{
	ev.HoldPlaced: "order", ev.ItemBreakGlassReviewed: "measures", ev.ItemReceived: "condition", ev.ItemTransferred: "transfer",
}

func sampleDetails() map[ev.Kind]ev.Details {
	hour := ev.Time(time.Hour.Milliseconds())
	key := testKey("enrolled")
	keys := ev.Keys{Key: base64.StdEncoding.EncodeToString(key.SPKI()), Recipient: hybrid(1), Invitation: digest("invitation")}
	proof, err := Possession{origin, actor(1), ev.Fingerprint(key.SPKI(), keys.Recipient), keys.Invitation}.Sign(key.SPKI(), key)
	if err != nil {
		panic(err)
	}
	if _, s, err := OpenPossession(proof); err != nil {
		panic(err)
	} else {
		keys.Possession = base64.StdEncoding.EncodeToString(s.DER)
	}
	answers := ev.Answers{Examination: ev.Yes, Photographs: ev.Yes, Storage: ev.Yes, PoliceInformation: ev.No, PolicePhotographs: ev.NotAsked,
		PolicePhysical: ev.No, Research: ev.No,
		Courts: []ev.CourtAnswer{{Jurisdiction: "DE", Information: ev.Yes, Photographs: ev.No, Physical: ev.NotAsked}}}
	holders := []ev.Keyholder{{Actor: actor(1), Fingerprint: digest("one")}, {Actor: actor(2), Fingerprint: digest("two")}}
	envelopes := []ev.EnvelopeRef{{Recipient: digest("one"), SHA256: digest("envelope one")}}
	label := ev.LabelKey{Recipient: hybrid(2), Envelopes: envelopes}
	member := ev.Member{Actor: actor(1), Rights: []ev.Right{ev.MayDeposit, ev.MayOpen}, Until: noon + 1000*hour}
	terms := ev.Terms{ID: grant(0), Item: item(0), Recipient: holders[0], RecipientClass: ev.Court, Actions: []ev.Action{ev.Download, ev.View},
		Purpose: ev.ForAdjudication, Jurisdiction: "DE", LegalBasis: "mla_request", NotBefore: noon, Expires: noon + 100*hour,
		Consent: []ev.ConsentRef{{ID: consent(0), Version: 2}}, CoolingOff: noon + hour}
	file := func(name string, size int64) ev.File { return ev.File{SHA256: digest(name), Size: size} }
	tool := ev.Tool{Name: "ffmpeg", Version: "7.1", Build: ""}

	return map[ev.Kind]ev.Details{
		ev.ActorEnrolled:   &ev.ActorEnrolledDetails{Keys: keys, Role: ev.Clinician, Organization: org, DocumentsOnly: true},
		ev.ActorKeyRotated: &ev.ActorKeyRotatedDetails{Keys: keys, Cause: ev.CauseLoss},
		ev.ActorConfirmed:  &ev.ActorConfirmedDetails{Fingerprint: digest("one"), Method: ev.ByVideo},
		ev.ActorSuspended:  &ev.ActorSuspendedDetails{Cause: ev.CauseOverdue, Until: noon + hour},
		ev.ActorRevoked:    &ev.ActorRevokedDetails{Cause: ev.CauseDeparture},

		ev.CaseOpened:         &ev.CaseOpenedDetails{Type: "case", Members: []ev.Member{member}, Keyring: holders, Recovery: digest("recovery"), LabelKey: label},
		ev.CaseMemberAdded:    &ev.CaseMemberAddedDetails{Member: member, Envelope: envelopes[0]},
		ev.CaseMemberRemoved:  &ev.CaseMemberRemovedDetails{Actor: actor(2), Cause: ev.CauseRequest, LabelKey: label},
		ev.CaseKeyringChanged: &ev.CaseKeyringChangedDetails{Added: holders[:1], Removed: []ev.ActorID{actor(3)}},
		ev.CaseClosed:         &ev.CaseClosedDetails{Outcome: "decided"},
		ev.CaseReopened:       &ev.CaseReopenedDetails{Cause: ev.CauseNewFacts},

		ev.ConsentGiven:           &ev.ConsentGivenDetails{Version: 1, Answers: answers, From: noon, Until: noon + 1000*hour, By: "self", AskFirst: true, Form: item(1)},
		ev.ConsentNarrowed:        &ev.ConsentNarrowedDetails{Version: 2, Answers: answers, Until: noon + 500*hour},
		ev.ConsentWithdrawn:       &ev.ConsentWithdrawnDetails{Number: "1234-5678"},
		ev.ConsentDelegated:       &ev.ConsentDelegatedDetails{Advocate: actor(4), Rights: []string{"read", "withdraw"}, Until: noon + hour},
		ev.ConsentDelegationEnded: &ev.ConsentDelegationEndedDetails{Advocate: actor(4), Cause: ev.CauseRequest},

		ev.ItemDeposited: &ev.ItemDepositedDetails{ItemRecipient: hybrid(3), Class: ev.Original, Content: ev.Photograph, Basis: ev.ByConsent,
			Evidence:    ev.Evidence{SHA256: digest("evidence"), Size: 4096, Tree: digest("tree")},
			Description: file("description", 5743), Label: file("label", 2155), Envelopes: envelopes},
		ev.ItemSealed:             &ev.ItemSealedDetails{Exhibit: 7, Root: item(0)},
		ev.ItemOpened:             &ev.ItemOpenedDetails{Envelope: digest("envelope one")},
		ev.ItemVerified:           &ev.ItemVerifiedDetails{Scope: "content", Evidence: digest("evidence")},
		ev.ItemDerived:            &ev.ItemDerivedDetails{Item: item(2), Form: ev.Working, Tool: tool},
		ev.ItemAmended:            &ev.ItemAmendedDetails{Description: file("description 2", 5743), Cause: ev.CauseError},
		ev.ItemTransferred:        &ev.ItemTransferredDetails{Class: ev.Police},
		ev.ItemReceived:           &ev.ItemReceivedDetails{SealIntact: true},
		ev.ItemExported:           &ev.ItemExportedDetails{Form: "package", Grant: grant(0), Nonce: strings.Repeat("n0", 16), Content: digest("content")},
		ev.ItemEnvelopeAdded:      &ev.ItemEnvelopeAddedDetails{Envelope: envelopes[0], Cause: ev.CauseGrant, Grant: grant(0)},
		ev.ItemEnvelopeRemoved:    &ev.ItemEnvelopeRemovedDetails{Recipient: digest("one"), Cause: ev.CauseExpiry, Horizon: noon + hour},
		ev.ItemBreakGlass:         &ev.ItemBreakGlassDetails{Code: "life", Envelope: digest("envelope one")},
		ev.ItemBreakGlassReviewed: &ev.ItemBreakGlassReviewedDetails{Event: digest("event"), Justified: true},
		ev.ItemShredProposed:      &ev.ItemShredProposedDetails{Cause: ev.CauseWithdrawal, DryRun: digest("dry run")},
		ev.ItemShredCancelled:     &ev.ItemShredCancelledDetails{Cause: ev.CauseOrder},
		ev.ItemShredded:           &ev.ItemShreddedDetails{Envelopes: []ev.Hash{digest("one")}, Stores: []string{"records", "backups"}, Horizon: noon + hour},
		ev.RetentionSet:           &ev.RetentionSetDetails{Category: "criminal-file", Due: noon + 9000*hour},
		ev.HoldPlaced:             &ev.HoldPlacedDetails{Hold: hold(0), Basis: ev.CourtOrder, Expires: noon + hour, Review: noon + hour, SecretUntil: noon + hour},
		ev.HoldConfirmed:          &ev.HoldConfirmedDetails{Hold: hold(0)},
		ev.HoldLifted:             &ev.HoldLiftedDetails{Hold: hold(0), Cause: ev.CauseExpiry},
		ev.GrantProposed:          &ev.GrantProposedDetails{Terms: terms},
		ev.GrantApproved:          &ev.GrantApprovedDetails{Grant: grant(0), Terms: digest("terms")},
		ev.GrantRefused:           &ev.GrantRefusedDetails{Grant: grant(0)},
		ev.GrantRevoked:           &ev.GrantRevokedDetails{Grant: grant(0), Cause: ev.CauseRequest},
		ev.GrantExpired:           &ev.GrantExpiredDetails{Grant: grant(0)},
		ev.GrantRedeemed:          &ev.GrantRedeemedDetails{Grant: grant(0), Action: ev.Download, Envelope: digest("envelope court")},
		ev.GrantAcknowledged:      &ev.GrantAcknowledgedDetails{Grant: grant(0), Evidence: digest("evidence"), Equal: true, Verifier: "1.0.0"},

		ev.VaultHeads: &ev.VaultHeadsDetails{Covers: 10, Entries: 9, Void: []int64{4}, Root: digest("root")},
		ev.VaultConfigured: &ev.VaultConfiguredDetails{Rules: 1, Recovery: hybrid(4), LogKeys: []string{keys.Key}, Witness: "log vault.example.org\nquorum none\n",
			Version: "1.0.0", Builds: []string{digest("build").String()},
			Policy: ev.VaultPolicy{TwoOrganizations: true, ConfirmWait: 604800, DecisionTime: 604800, BinWait: 1209600, WithdrawalWait: 259200,
				ReviewTime: 259200, HoldTime: 259200, BackupHorizon: 2592000}},
		ev.VaultConfirmed: &ev.VaultConfirmedDetails{Event: digest("event")},
		ev.VaultRecovered: &ev.VaultRecoveredDetails{Recovery: digest("recovery"), Items: []ev.ItemID{item(0)}, Cause: ev.CauseLoss},
		ev.VaultRestored:  &ev.VaultRestoredDetails{Backup: noon, Before: 100, After: 120},
		ev.VaultIncident:  &ev.VaultIncidentDetails{Code: "outage", From: noon, Until: noon + hour, Scope: "vault"},
	}
}

// sampleStream is the stream an event of the kind belongs to.
func sampleStream(k ev.Kind) ev.Stream {
	switch prefix, _, _ := strings.Cut(string(k), "."); {
	case k == ev.VaultHeads:
		return ev.VaultOf(origin)
	case prefix == "vault":
		return ev.PolicyOf(origin)
	case prefix == "actor":
		return ev.ActorOf(actor(1))
	case prefix == "case":
		return ev.CaseOf(kase)
	case prefix == "consent":
		return ev.ConsentOf(consent(0))
	}
	return ev.ItemOf(item(0))
}

// sample is an event of the kind whose every field passes Check.
func sample(t testing.TB, k ev.Kind) *ev.Event {
	t.Helper()
	d, ok := sampleDetails()[k]
	if !ok {
		t.Fatalf("no sample of %s", k)
	}
	s := sampleStream(k)
	e := &ev.Event{
		Vault:  origin,
		Kind:   k,
		Stream: ev.Position{Type: s.Type, ID: s.ID, Seq: 3, Prev: digest("prev")},
		Actor:  ev.Signer{ID: actor(0), Role: ev.Custodian, Organization: org},
		Time:   noon,
		Tool:   ev.Tool{Name: "strongroom", Version: "1.0.0", Build: digest("build").String()},
		ReliedOn: []ev.Head{
			{Type: ev.ActorStream, ID: string(actor(0)), Seq: 1, Head: digest("actor head")},
		},
		Details: d,
	}
	switch k {
	case ev.ActorEnrolled, ev.CaseOpened, ev.ItemDeposited:
		e.Stream.Seq, e.Stream.Prev = 0, ev.Hash{}
	}
	e.Subject = []ev.Subject{ev.Named(s.ID, s.Tag(origin))}
	switch s.Type {
	case ev.ItemStream:
		e.Case = kase
		e.Purpose = ev.ForDocumentation
		e.Place = ev.Withheld
		e.Consent = []ev.ConsentRef{{ID: consent(0), Version: 2}}
		e.Object = &ev.Object{Class: ev.Original, Content: ev.Photograph, Exhibit: 7}
		e.Digests = &ev.Digests{Before: digest("evidence"), After: digest("evidence"), Size: 4096}
		e.Result = &ev.Result{Outcome: ev.Success}
		e.Counterparty = &ev.Counterparty{Actor: actor(1), Fingerprint: digest("one"), Class: ev.Court, Receipt: digest("receipt")}
		e.Subject = []ev.Subject{ev.Named(s.ID+"/evidence.age", digest("evidence"))}
		e.Notes = []ev.Note{{Name: cmp.Or(noteNames[k], "reason"), Audience: ev.ToInternal, SHA256: digest("note"), Size: 2560}}
		if strings.HasPrefix(string(k), "grant.") && k != ev.GrantRefused {
			e.Notes[0].Audience = ev.ToRecipient
		}
	case ev.ConsentStream:
		e.Case = kase
	}
	if k == ev.ItemDeposited {
		e.Subject = append(e.Subject, ev.Named(s.ID+"/description.age", digest("description")))
	}
	return e
}
