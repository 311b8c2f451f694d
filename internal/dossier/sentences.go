package dossier

import (
	"fmt"
	"slices"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

// sentences say what a reason means, to people who never saw one (INTERFACE §6). Translations replace whole sentences.
var sentences = map[string]string{
	ReasonContainer:       "This is not a court package in its proper form. It may have been packed again or cut short.",
	ReasonManifestMissing: "The package has no list of its files.",
	ReasonManifest:        "The list of files is not in its proper form.",
	ReasonVersion:         "The package is of a newer kind. A newer verifier is needed.",
	ReasonFileName:        "A file has a name that no package has.",
	ReasonFileMissing:     "A file is missing.",
	ReasonFileUnlisted:    "There is a file that the list does not name.",
	ReasonFileSize:        "The file has another size than the list says.",
	ReasonFileChanged:     "The file is not the one the list names.",
	ReasonItems:           "The list of items does not match the files.",
	ReasonComplete:        "The proof that nothing is missing is not in its proper form.",
	ReasonWithheldForm:    "The stand-in for a withheld step is not in its proper form.",
	ReasonReceipt:         "The proof of entry is not in its proper form.",
	ReasonTooMuch:         "To judge this step, more has to be kept in mind than a package may ask for.",
	ReasonTooMany:         "The package has more steps than a package may have.",
	ReasonStreamTwice:     "A record is there twice.",
	ReasonUnreadable:      "A file could not be read.",
	ReasonOtherVault:      "The package is from another vault than the trust file.",
	ReasonCovers:          "The list of files names another state of the record book.",
	ReasonSignerFile:      "The file of a signer's key holds another key than its name says.",

	ReasonStatement:     "The statement is not in its proper form.",
	ReasonPayload:       "The statement was changed after it was signed.",
	ReasonSignature:     "The signature does not belong to the statement.",
	ReasonSignerKey:     "It was signed with a key that was not the signer's at that time.",
	ReasonKeyTwice:      "One key was enrolled for two people.",
	ReasonSignerUnknown: "Whose key signed could not be found out.",

	ReasonIndex:           "The entry numbers do not agree.",
	ReasonIndexTwice:      "Two steps claim the same entry of the record book.",
	ReasonOtherCheckpoint: "The proof of entry belongs to another state of the record book.",
	ReasonLeaf:            "The entry in the record book is not that of the statement.",
	ReasonProof:           "The proof of entry does not hold: the step is not in the record book at that place.",

	ReasonLogKey:            "The record book is not signed with the key in the trust file.",
	ReasonLogKeyRetired:     "The record book is signed with a key that was no longer in use.",
	ReasonLogOrigin:         "The record book belongs to another vault.",
	ReasonLogSignature:      "The signature of the record book does not hold.",
	ReasonLogFork:           "The record book has two different histories. Keep everything and tell an auditor.",
	ReasonCheckpointMissing: "The signed state of the record book is missing.",
	ReasonCheckpointFile:    "The signed state of the record book is not the one under which the package was made.",

	ReasonForeignStream: "A step belongs to another record.",
	ReasonMissingFirst:  "The first step is missing.",
	ReasonMissing:       "A step in the middle is missing.",
	ReasonSwapped:       "Steps are in the wrong order.",
	ReasonDuplicate:     "A step is there twice.",
	ReasonFork:          "Two different steps claim the same place.",
	ReasonLink:          "The step does not follow from the one before.",

	ReasonStreamMissing: "A record that the steps rest on is missing.",
	ReasonBasisMissing:  "It rests on a step that is missing.",
	ReasonHeadsMissing:  "The proof that nothing is missing is not there.",
	ReasonHeadsUnproved: "The proof that nothing is missing could not be checked.",
	ReasonHeadsVoid:     "The vault declared entries of the record book void: what they say is not in the proof that nothing is missing. Tell an auditor.",
	ReasonHeadsCovers:   "The proof that nothing is missing claims entries that came after it.",
	ReasonHeadsProof:    "The proof that nothing is missing does not hold.",
	ReasonMissingLast:   "The last step is missing: the record goes on.",
	ReasonOtherLast:     "The record book has another last step.",
	ReasonNotCovered:    "A step is newer than the proof that nothing is missing.",

	ReasonLogOrder:     "It was entered before a step it rests on.",
	ReasonBasisFork:    "It rests on another version of a record than the one here.",
	ReasonWithheld:     "A step may not be shown yet. Its place is proved, what it says is not.",
	ReasonWithheldKind: "A step is withheld that no secret hold can cover.",
	ReasonUnjudged:     "A step could not be judged.",

	ReasonExhibitTwice: "Two items of one case have this exhibit number.",
	ReasonItemKeyTwice: "Two items have the same key.",

	ReasonItemUnknown:         "What was deposited could not be found out.",
	ReasonEvidenceMissing:     "The file is not in the package.",
	ReasonEvidenceChanged:     "The file is not the one recorded.",
	ReasonDescriptionMissing:  "The description is not in the package.",
	ReasonDescriptionChanged:  "The description is not the one recorded.",
	ReasonEnvelopeMissing:     "The key for the recipient is not in the package.",
	ReasonEnvelopeChanged:     "The key for the recipient is not one that was recorded.",
	ReasonNoteChanged:         "A note is not the one recorded, or does not belong here.",
	ReasonNotGranted:          "The share is not for this recipient.",
	ReasonNotExported:         "The recipient did not sign for this package.",
	ReasonExportChanged:       "The files are not those the recipient signed for.",
	ReasonIdentityForeign:     "The package is for another key than yours.",
	ReasonEnvelopeForeign:     "The key inside belongs to another item.",
	ReasonEnvelopeDamaged:     "The key for the recipient cannot be opened.",
	ReasonDescriptionUnopened: "The description cannot be opened with the item's key.",
	ReasonPlaintextChanged:    "The opened file is not the one described.",
	ReasonEvidenceUnopened:    "The file cannot be opened with the item's key.",
	ReasonDescriptionForm:     "The description is not in its proper form.",
	ReasonNoFileDescribed:     "The description stands alone, and yet it describes a file.",
	ReasonNoteMissing:         "A note that was recorded is not in the package.",
	ReasonGroundUnstated:      "The required note on its ground or order says nothing.",
	ReasonExportSigner:        "Somebody else than the recipient signed for this package.",

	ReasonTrustMissing: "The trust file is missing: ask the registry. It is never taken from the package.",
	ReasonNotReached:   "It could not be checked, because of what was found before.",
	ReasonNotInService: "The trust file asks for this check. A newer verifier is needed.",
	ReasonNoWitness:    "No independent witness was required: the vault's operator alone vouches that no other history exists.",
	ReasonNoAuthority:  "No time stamp was required: the times are those that the signers stated and the vault accepted.",
	ReasonNoAuditor:    "No auditor was required: the vault's operator alone vouches that its list of last steps is whole.",
	ReasonNoIdentity:   "No key was given: the encrypted files are those recorded, but they were not opened.",

	evidence.ReasonKind:  "It is of a kind this verifier does not know. A newer verifier is needed.",
	evidence.ReasonField: "It says something this verifier does not know. A newer verifier is needed.",
	evidence.ReasonRules: "It names newer rules. A newer verifier is needed.",
	evidence.ReasonCode:  "It uses a word this verifier does not know.",

	evidence.ReasonSignerPending:   "The signer's key had not been confirmed by a second person.",
	evidence.ReasonSignerSuspended: "The signer was suspended.",
	evidence.ReasonSignerRevoked:   "The signer's right to sign had been ended for good.",
	evidence.ReasonPossession:      "Nothing proves that the person enrolled held the key.",
	evidence.ReasonTimeOrder:       "Its time is before that of a step it rests on.",

	evidence.ReasonStaleBasis:       "It rests on outdated ground: that record had moved on.",
	evidence.ReasonMissingBasis:     "It does not name the ground it rests on.",
	evidence.ReasonSuperfluousBasis: "It names ground it does not rest on.",
	evidence.ReasonOtherVaultKey:    "The key is not the one that began this vault.",
	evidence.ReasonRole:             "A person of this role may not do this.",
	evidence.ReasonSignerRole:       "The signer claimed another role or organization.",
	evidence.ReasonNotMember:        "The signer did not belong to the case.",
	evidence.ReasonRight:            "The signer did not have the right to do this.",
	evidence.ReasonNotKeyholder:     "The signer was not a keyholder.",
	evidence.ReasonSecondPerson:     "It needs a second person: nobody decides on their own proposal.",
	evidence.ReasonTwoOrgs:          "It needs a second person from another organization.",
	evidence.ReasonFounder:          "Somebody enrolled themselves who is not, with this key and in this role, a founder that the trust file names.",

	evidence.ReasonDelegation:       "The signer acted for another, who had not asked for it, or not any more.",
	evidence.ReasonNotSubject:       "The signer does not speak for the person concerned.",
	evidence.ReasonAdvocate:         "Somebody was named as an advocate who is none.",
	evidence.ReasonWider:            "A narrowing of consent allowed more than before, or took nothing away.",
	evidence.ReasonConsentMissing:   "No consent is named where consent is the ground.",
	evidence.ReasonConsentVersion:   "It names an outdated consent.",
	evidence.ReasonConsentWithdrawn: "The consent had been withdrawn.",
	evidence.ReasonConsentExpired:   "The consent had ended.",
	evidence.ReasonConsentAnswer:    "The consent does not say yes to this.",
	evidence.ReasonFrozen:           "It was stopped: the consent had been withdrawn or had ended.",

	evidence.ReasonGrant:        "There was no such share.",
	evidence.ReasonGrantOver:    "The share was over.",
	evidence.ReasonGrantPending: "The share had not been approved.",
	evidence.ReasonTerms:        "The terms are not those that were proposed.",
	evidence.ReasonRecipient:    "It is not the person or key that the share names.",
	evidence.ReasonNotYet:       "The share had not begun.",
	evidence.ReasonAction:       "The share does not allow this.",
	evidence.ReasonAskFirst:     "The survivor wanted to be asked first, and had not agreed.",
	evidence.ReasonNotRedeemed:  "The share had not been used before.",
	evidence.ReasonPurpose:      "This may not be done for the stated purpose.",
	evidence.ReasonNotOpened:    "The signer had not opened the item before.",
	evidence.ReasonNotPhysical:  "The item is not a physical one.",
	evidence.ReasonTransit:      "The object was on its way already.",
	evidence.ReasonNoTransit:    "The object had not been handed over.",
	evidence.ReasonEmergency:    "There was no such emergency opening.",
	evidence.ReasonHeld:         "It had to be kept: a hold stood in the way.",
	evidence.ReasonHold:         "There was no such hold.",
	evidence.ReasonHolds:        "There were as many holds on the item as there may be.",
	evidence.ReasonSecrets:      "There were as many secret holds on the item as there may be.",
	evidence.ReasonUnconfirmed:  "Nobody else stood behind the secret hold that it names.",
	evidence.ReasonUnseen:       "Those from whom a hold was secret could not be told of it.",
	evidence.ReasonHoldOver:     "The hold was over.",
	evidence.ReasonHoldRunning:  "The hold was not over.",
	evidence.ReasonNotFrozen:    "The consent still stood: there was no ground to make the item unreadable.",
	evidence.ReasonNotDue:       "The item still had to be kept.",
	evidence.ReasonBinned:       "The item was in the bin, from which nothing is released.",
	evidence.ReasonNotBinned:    "The item was not in the bin.",
	evidence.ReasonWaiting:      "The wait before the item may be made unreadable was not over.",
	evidence.ReasonEnvelopeList: "It does not name every key that existed.",
	evidence.ReasonStores:       "It does not name every store from which keys have to go.",
	evidence.ReasonShredded:     "The item had been made unreadable for good.",
	evidence.ReasonEnvelope:     "There was no such key for this person.",
}

// sentence says what a finding means. Rules without a sentence of their own are named by their code.
func sentence(f Finding) string {
	if s, ok := sentences[f.Reason]; ok {
		return s
	}
	return fmt.Sprintf("It broke a rule of the vault (%s).", f.Reason)
}

// acts say what happened, for the timeline.
var acts = map[evidence.Kind]string{
	evidence.ItemDeposited:          "Deposited the item.",
	evidence.ItemSealed:             "Sealed the item: it is final.",
	evidence.ItemOpened:             "Asked to open the item.",
	evidence.ItemVerified:           "Compared the item with the record.",
	evidence.ItemDerived:            "Made another item from it.",
	evidence.ItemAmended:            "Added a new description.",
	evidence.ItemTransferred:        "Handed the object over.",
	evidence.ItemReceived:           "Received the object.",
	evidence.ItemExported:           "Took a copy out of the vault. What happens to it is not recorded here.",
	evidence.ItemEnvelopeAdded:      "Made a key for a person.",
	evidence.ItemEnvelopeRemoved:    "Destroyed the key for a person.",
	evidence.ItemBreakGlass:         "Opened the item in an emergency.",
	evidence.ItemBreakGlassReviewed: "Reviewed an emergency opening.",
	evidence.ItemShredProposed:      "Proposed to make the item unreadable for good.",
	evidence.ItemShredCancelled:     "Cancelled the proposal to make the item unreadable.",
	evidence.ItemShredded:           "Made the item unreadable for good.",
	evidence.RetentionSet:           "Set how long the item is kept.",
	evidence.HoldPlaced:             "Demanded that the item is kept by law.",
	evidence.HoldConfirmed:          "Confirmed that the item is kept by law.",
	evidence.HoldLifted:             "Ended that the item is kept by law.",
	evidence.GrantProposed:          "Proposed a share.",
	evidence.GrantApproved:          "Approved the share.",
	evidence.GrantRefused:           "Refused the share.",
	evidence.GrantRevoked:           "Ended the share.",
	evidence.GrantExpired:           "Noted that the share has ended.",
	evidence.GrantRedeemed:          "Used the share.",
	evidence.GrantAcknowledged:      "Confirmed what arrived.",

	evidence.ActorEnrolled:          "Enrolled a person's keys.",
	evidence.ActorKeyRotated:        "Gave a person new keys.",
	evidence.ActorConfirmed:         "Confirmed the number of a person's key.",
	evidence.ActorSuspended:         "Suspended a person.",
	evidence.ActorRevoked:           "Ended a person's right to sign for good.",
	evidence.CaseOpened:             "Opened a case.",
	evidence.CaseMemberAdded:        "Gave a person rights in the case.",
	evidence.CaseMemberRemoved:      "Ended a person's membership of the case.",
	evidence.CaseKeyringChanged:     "Changed who holds keys of the case.",
	evidence.CaseClosed:             "Closed the case.",
	evidence.CaseReopened:           "Opened the case again.",
	evidence.ConsentGiven:           "Recorded a consent.",
	evidence.ConsentNarrowed:        "Narrowed the consent: less is allowed.",
	evidence.ConsentWithdrawn:       "Withdrew the consent: all use stopped.",
	evidence.ConsentDelegated:       "Named somebody who speaks for the person concerned.",
	evidence.ConsentDelegationEnded: "Ended that somebody speaks for the person concerned.",
	evidence.VaultConfigured:        "Set the rules of the vault.",
	evidence.VaultConfirmed:         "Confirmed a change of the vault's rules.",
	evidence.VaultRecovered:         "Stated that the recovery key was used.",
	evidence.VaultRestored:          "Restored the vault from a backup.",
	evidence.VaultIncident:          "Reported an incident.",
}

func what(e *evidence.Event) string {
	switch d := e.Details.(type) {
	case *evidence.ItemSealedDetails:
		return fmt.Sprintf("Sealed the item as exhibit %d: it is final.", d.Exhibit)
	case *evidence.ItemVerifiedDetails:
		if e.Result != nil && e.Result.Outcome == evidence.Failure {
			return "Compared the item with the record: it differed."
		}
		return "Compared the item with the record: they were equal."
	case *evidence.GrantProposedDetails:
		return fmt.Sprintf("Proposed a share to a %s in %s until %s.", d.RecipientClass, d.Jurisdiction, date(d.Expires))
	case *evidence.VaultIncidentDetails:
		return "Reported an incident: " + incident(d)
	case *evidence.GrantAcknowledgedDetails:
		if !d.Equal {
			return "Confirmed that something else arrived than was recorded."
		}
		return "Confirmed that exactly what was recorded arrived."
	}
	if s, ok := acts[e.Kind]; ok {
		return s
	}
	return "Did something that this verifier does not know."
}

// limits are what no package shows (RULES §11, INTERFACE §7).
var limits = []string{
	"That the content is true, or that a court may use it.",
	"Which other items exist.",
	"Copies, and openings outside the service: whoever holds a key, with the operator or a stolen backup, opens an item without a trace.",
	"Whose hand held a key.",
	"What happens after a copy was taken: whoever opened an item may keep it, also after the vault has made the item unreadable.",
	"That what is withheld until a date had to be withheld: that is the vault's word until then.",
	"That an exhibit number was used only once: that is the vault's claim.",
	"That all states of the record book named here belong to one history: the book's own key alone vouches for that.",
}

// maxNamed is how many files are named that are not looked at.
const maxNamed = 8

// explain says what the package shows and what it does not.
func (v *verification) explain(r *Report) {
	for _, c := range r.Checks {
		if c.Result == NotRequired || c.Result == NotChecked {
			r.DoesNotShow = append(r.DoesNotShow, c.Detail)
		}
	}
	if v.history != nil && v.history.backwards > 2*evidence.Clock { // which two honest clocks can differ by
		r.DoesNotShow = append(r.DoesNotShow, "When things happened: times that signers state run against the order of entry, by up to "+
			v.history.backwards.Round(time.Second).String()+".")
	}
	if v.pkg != nil {
		var others []string
		for _, f := range v.pkg.under("log/") {
			if f.Path != "log/checkpoint" && f.Path != "log/heads.sigstore.json" {
				others = append(others, f.Path)
			}
		}
		if n := len(others); n > maxNamed {
			others = append(others[:maxNamed], fmt.Sprintf("%d other files under log", n-maxNamed))
		}
		for _, name := range others {
			r.DoesNotShow = append(r.DoesNotShow, "What is in "+name+": this verifier does not look at it.")
		}
		r.DoesNotShow = append(r.DoesNotShow, v.forOthers()...)
	}
	r.DoesNotShow = append(append(r.DoesNotShow, v.incidents()...), limits...)
	if r.Verdict != Verified {
		return
	}
	for _, n := range r.Items {
		r.Shows = append(r.Shows,
			fmt.Sprintf("%s: the file is the one recorded on %s.", n.name(), moment(n.Deposited)),
			fmt.Sprintf("%s: no step from 1 to %d is missing.", n.name(), n.Steps))
		switch {
		case n.Opened && n.Class == evidence.DescriptionOnly:
			r.Shows = append(r.Shows, n.name()+": a description alone; there is no file.")
		case n.Opened:
			r.Shows = append(r.Shows, fmt.Sprintf("%s: the opened file is the one its description names.", n.name()))
		}
		if n.Share != nil {
			r.Shows = append(r.Shows, fmt.Sprintf("%s: consent or another legal ground, and two persons, stood behind the share.", n.name()))
			r.Shows = append(r.Shows, n.name()+": "+n.standing())
		}
		for _, c := range n.Consent {
			if c.over(n.AsOf) {
				r.Shows = append(r.Shows, n.name()+": "+c.standing(n.AsOf))
			}
		}
	}
	r.Shows = append(r.Shows, "Who acted, in which role, and in which order.")
}

// incidents are what the vault's people have stated about times in which something was wrong (RULES §12.8). Whatever they did not state
// is not here.
func (v *verification) incidents() (list []string) {
	if v.history == nil {
		return nil
	}
	for _, s := range v.history.Streams() {
		if s.Type != evidence.PolicyStream {
			continue
		}
		for seq := range v.history.Len(s) {
			e, err := v.history.Event(s, seq)
			if err != nil {
				continue // a check says so
			}
			if d, ok := e.Details.(*evidence.VaultIncidentDetails); ok {
				list = append(list, "What is not affected by a known incident: "+incident(d))
			}
		}
	}
	return list
}

var incidentCodes = map[string]string{
	"breach":         "somebody got in who should not",
	"outage":         "the vault did not work",
	"key_compromise": "a key may have been in wrong hands",
	"witness_alarm":  "a witness raised an alarm",
	"data_damage":    "stored data was damaged",
}

// incident says what was stated.
func incident(d *evidence.VaultIncidentDetails) string {
	until := "and has not ended"
	if d.Until != 0 {
		until = "to " + moment(d.Until)
	}
	scope := "the whole vault"
	if d.Scope != "vault" {
		scope = "one " + d.Scope
	}
	return fmt.Sprintf("%s, from %s %s. It concerns %s.", incidentCodes[d.Code], moment(d.From), until, scope)
}

// forOthers names the files of the package that are not looked at, and trust data that is not the one pinned: a newer trust file may name
// newer keys, so that alone is no reason to refuse.
func (v *verification) forOthers() (list []string) {
	for _, name := range []string{"README.html", "VERIFY.html", "tools/verify.py"} {
		if v.pkg.Has(name) {
			list = append(list, "What "+name+" says or does: this verifier does not look at it.")
		}
	}
	if v.Trust == nil {
		return list
	}
	for name, want := range map[string][]byte{"trust/trusted_root.json": v.Trust.TrustedRoot(), "trust/witness_policy": []byte(v.Trust.WitnessPolicy())} {
		if f, ok := v.pkg.listed(name); ok && f.SHA256 != evidence.SHA256(want) {
			list = append(list, "What "+name+" says: it is not what your trust file says. Never use it.")
		}
	}
	slices.Sort(list)
	return list
}

// standing says whether a share was still in force when the package was made.
func (n ItemReport) standing() string {
	switch n.Share.Status {
	case evidence.GrantActive:
		if slices.ContainsFunc(n.Consent, func(c ConsentReport) bool { return c.over(n.AsOf) }) {
			return "The share was not ended, but a consent that it rests on is over."
		}
		return "The share was in force on " + moment(n.AsOf) + "; what came later is not shown here."
	case evidence.GrantPending:
		return "The share had not been approved."
	case evidence.GrantDenied:
		return "The share was refused."
	case evidence.GrantEnded:
		return "The share is over: it was ended before its time."
	case evidence.GrantOver:
		return "The share is over: its time has run out."
	}
	return "Whether the share is still in force could not be found out."
}

func (c ConsentReport) over(at evidence.Time) bool {
	return c.Version != 0 && (c.Withdrawn != 0 || c.Until <= at)
}

// standing says the same of a consent.
func (c ConsentReport) standing(at evidence.Time) string {
	switch {
	case c.Version == 0:
		return "What became of consent " + string(c.ID) + " could not be found out."
	case c.Withdrawn != 0:
		return "Consent " + string(c.ID) + " was withdrawn on " + moment(c.Withdrawn) + "."
	case c.over(at):
		return "Consent " + string(c.ID) + " ended on " + moment(c.Until) + "."
	}
	return "Consent " + string(c.ID) + " was in force on " + moment(at) + "."
}

func (n ItemReport) name() string {
	if n.Exhibit > 0 {
		return fmt.Sprintf("Exhibit %d", n.Exhibit)
	}
	return "Item " + string(n.ID)
}

func date(t evidence.Time) string   { return t.Std().Format("2 January 2006") }
func moment(t evidence.Time) string { return t.Std().Format("2 January 2006, 15:04:05 UTC") }
