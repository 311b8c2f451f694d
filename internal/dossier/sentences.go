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
	ReasonConsistencyForm: "The proofs that the record book only grew are not in their proper form.",
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

	ReasonConsistency:      "The proof that the record book only grew does not hold.",
	ReasonPreviousUnproven: "Nothing shows that the record book goes on from where it was in the earlier package.",
	ReasonPreviousUnusable: "The earlier package cannot be compared with this one: verify it by itself.",

	ReasonWitnessMissing:   "A state of the record book is not signed by the independent witnesses whom the trust file asks for.",
	ReasonWitnessSignature: "The signature of an independent witness does not hold.",
	ReasonAuditMissing:     "The state right after the vault's list of last steps is not signed by the auditors whom the trust file asks for.",

	ReasonTimestamp:        "A time stamp does not hold.",
	ReasonTimestampMissing: "The time stamp that the trust file asks for is missing.",
	ReasonTimestampRevoked: "The key of a time-stamp authority could no longer be relied on when it stamped.",
	ReasonTimeBounds:       "The time that it states is not one that independent clocks allow.",
	ReasonClocks:           "The clocks of those who signed the states of the record book contradict each other: they do not tell when it was entered.",

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

// what says what happened.
func what(e *evidence.Event) telling {
	id := "event." + string(e.Kind)
	switch d := e.Details.(type) {
	case *evidence.ItemSealedDetails:
		return tell(id, "exhibit", d.Exhibit)
	case *evidence.ItemVerifiedDetails:
		if e.Result != nil && e.Result.Outcome == evidence.Failure {
			return tell(id + ".different")
		}
	case *evidence.GrantProposedDetails:
		return tell(id, "class", d.RecipientClass, "country", country(d.Jurisdiction), "until", onDay(d.Expires))
	case *evidence.VaultIncidentDetails:
		return tell(id).with(incident(d))
	case *evidence.GrantAcknowledgedDetails:
		if !d.Equal {
			return tell(id + ".different")
		}
	}
	if !English.has(id) {
		return tell("event.unknown")
	}
	return tell(id)
}

// limits are what no package shows (RULES §11, INTERFACE §7).
var limits = []telling{"limit.truth", "limit.others", "limit.outside", "limit.hand", "limit.after", "limit.withheld", "limit.number", manyHistories}

// manyHistories is not said where proofs show that there is one.
const manyHistories = "limit.history"

// maxNamed is how many files are named that are not looked at.
const maxNamed = 8

// explain says what the package shows and what it does not.
func (v *verification) explain(r *Report) {
	for _, c := range r.Checks {
		if c.Result == NotRequired || c.Result == NotChecked {
			r.DoesNotShow = append(r.DoesNotShow, c.Detail)
		}
	}
	r.aloud = v.aloud()
	r.DoesNotShow = append(r.DoesNotShow, r.aloud...)
	r.DoesNotShow = append(r.DoesNotShow, v.clocks()...)
	if v.pkg != nil {
		others := v.unread()
		if n := len(others); n > maxNamed {
			others = append(others[:maxNamed], fmt.Sprintf("%d other files under log", n-maxNamed))
		}
		for _, name := range others {
			r.DoesNotShow = append(r.DoesNotShow, "What is in "+name+": this verifier does not look at it.")
		}
		r.DoesNotShow = append(r.DoesNotShow, v.forOthers()...)
	}
	r.DoesNotShow = append(r.DoesNotShow, v.incidents()...)
	for _, limit := range limits {
		if limit != manyHistories || !v.oneHistory {
			r.DoesNotShow = append(r.DoesNotShow, English.say(limit))
		}
	}
	if r.Verdict != Verified {
		return
	}
	if v.earlier != nil {
		r.Shows = append(r.Shows, fmt.Sprintf("This log extends the one of the earlier package: %d entries then, %d now, and all steps that both show are equal.",
			v.earlier.Size, v.history.published.Size))
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

// aloud is what is said in the first lines, beside what was not required.
func (v *verification) aloud() []string {
	if v.history == nil || !v.history.opened.stamps.development.Load() {
		return nil
	}
	return []string{"Anything to outsiders about when: a time stamp here is by the development authority, which anybody who runs a vault can be."}
}

// clocks is what the times leave open.
func (v *verification) clocks() (list []string) {
	if v.history == nil {
		return nil
	}
	if v.history.backwards > 2*evidence.Clock { // which two honest clocks can differ by
		list = append(list, "When things happened: times that signers state run against the order of entry, by up to "+
			v.history.backwards.Round(time.Second).String()+".")
	}
	if v.history.waited > 0 {
		list = append(list, "When things happened: a step states a time "+v.history.waited.Round(time.Second).String()+
			" before an independent witness saw a record book without it. It waited for its entry, or was signed later than it states.")
	}
	if v.history.opened.stamps.unlisted.Load() {
		list = append(list, "Whether the key of a time-stamp authority had been revoked: no list that would say so is here.")
	}
	return list
}

// unread are the files of the log that were not looked at.
func (v *verification) unread() (names []string) {
	for _, f := range v.pkg.under("log/") {
		switch {
		case f.Path == "log/checkpoint", f.Path == "log/heads.sigstore.json", v.history != nil && f.Path == consistencyName:
		case v.history != nil && v.history.opened.stamps.read(f.Path):
		default:
			names = append(names, f.Path)
		}
	}
	return names
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
				list = append(list, "What is not affected by a known incident: "+English.say(incident(d)))
			}
		}
	}
	return list
}

// incident says what was stated.
func incident(d *evidence.VaultIncidentDetails) telling {
	id := "incident.over"
	if d.Until == 0 {
		id = "incident.open"
	}
	return tell(id, "code", code("incident."+d.Code), "from", d.From, "until", d.Until, "scope", code("scope."+d.Scope))
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

func date(t evidence.Time) string   { return English.day(t) }
func moment(t evidence.Time) string { return English.moment(t) }
