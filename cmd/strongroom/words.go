package main

import (
	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/words"
)

// sentence is what a person reads about a reason: what is the matter, and what to do.
type sentence struct{ what, next string }

// What several reasons advise.
const (
	lookAgain  = "Look at the present state, then decide again."
	newVersion = "Bring this program and the vault to the same version."
	askCase    = "Ask a custodian of the case."
	askSecond  = "Ask a second person to do it."
)

// sentenceFor says a reason in a language. What the person concerned is likely to meet is in the catalogues; the rest is in English alone.
func sentenceFor(l *words.Language, reason string) (w sentence, ok bool) {
	if !l.Has("why." + reason) {
		return w, false
	}
	w.what = l.Say("why." + reason)
	if l.Has("next." + reason) {
		w.next = l.Say("next."+reason, "command", advised[reason], "letters", "A-Z", "digits", "2-7", "ending", "#sha256:…")
	}
	return w, true
}

// inEnglish says any reason, or nothing of one that is not known here.
func inEnglish(reason string) sentence {
	if w, ok := sentenceFor(words.English(), reason); ok {
		return w
	}
	return sentences[reason]
}

// advised are what to type, in the advice of the catalogues.
var advised = map[string]string{
	"no_answer":                  "--yes",
	"no_terminal":                "--passphrase-file ($STRONGROOM_PASSPHRASE_FILE)",
	"no_keys":                    "strongroom enrol",
	"no_vault":                   "strongroom connect",
	"interrupted":                "strongroom deposit --resume",
	"card_here":                  "--card",
	"address":                    "https://vault.example",
	"certificate":                "strongroom connect",
	"other_certificate":          "strongroom connect",
	"proof_pending":              "strongroom history",
	"sign_in":                    "strongroom whoami",
	evidence.ReasonTime:          "2027-03-14, 2027-03-14T12:00:00Z",
	evidence.ReasonNoManager:     "--member ACTOR:open,manage",
	evidence.ReasonSignerPending: "strongroom whoami",
	evidence.ReasonActorInactive: "strongroom actor list",
	evidence.ReasonWider:         "strongroom consent give --consent",
	evidence.ReasonAdvocate:      "strongroom consent show",
	evidence.ReasonPurpose:       "--purpose subject_access",
	evidence.ReasonShredded:      "strongroom history",
	evidence.ReasonGrant:         "strongroom grant list",
}

// sentences says the other reasons in plain words. Reasons are those of package evidence, of the vault, of package client and of this
// program; a test compares what is said with what the packages can say.
var sentences = map[string]sentence{
	// This program.

	"passphrase_short":   {"The passphrase has fewer than 12 characters.", "Choose a longer one: four or five unrelated words are good."},
	"passphrase_differs": {"The two passphrases are not the same.", "Run the command again and type the same one twice."},
	"pinned":             {"This folder belongs to another vault.", "A second vault needs a second folder: add --home FOLDER."},
	"code_form":          {"This is not an invitation code.", "A code has 26 letters and digits. Type it as you were given it."},
	"contract":           {"The vault did not understand what was sent.", newVersion},
	"keys_exist":         {"There are keys in this folder already.", "New keys need a new folder: add --home FOLDER."},
	"number_differs":     {"The vault number is not the one you gave.", "Do not go on. Get the trust file again by another way."},
	"not_encrypted":      {"The address begins with http://, so others could listen in.", "Ask the administrator for the https:// address."},
	"trust_file":         {"This is not a trust file.", "Ask the person who invited you for the vault's trust.json."},
	"file_changed":       {"The file was changed while it was read. Nothing of it was sent.", "Wait until no program writes to it, then repeat the command."},
	"not_begun":          {"It was not begun: what stopped an earlier file would stop it too.", "Mend what is said above, then repeat the command. What is recorded is not repeated."},
	"resending":          {"The vault has given up what it had of the file, because it waited too long. The same sealed file is sent again.", ""},
	"internal":           {"This could not be done.", "Repeat it later. If it stays, tell the administrator the reason."},
	"reason_unread":      {"You cannot read why it was opened, so you cannot say that it was justified.", "Ask a custodian of the case to add you, or answer no, or add --unread and say on what else your yes rests."},
	"no_record":          {"There is no record in this item.", ""},
	"identity_case":      {"Who a person is and other items are not kept in one case: all its keyholders would learn both.", "Open a case of its own for the identity, with those keyholders alone who may know."},
	"page_code":          {"No page of what you may see has this code.", "Compare the twenty digits at the foot of the page, and whether the item is one of yours."},
	"version":            {"The description has no such version.", "Leave out --version to see how many there are."},

	// The recovery key.

	"ceremony_bounds":     {"So many parts cannot be made: 2 to 20, of which at least 2 are needed.", "Choose as many as there are trustees, and more than one that is needed."},
	"share_code":          {"This is not a part of a recovery key: a character is wrong or missing.", "Compare it with the page. There are 18 groups of four."},
	"share_wrong":         {"It is of another recovery key, or not the one that was given out.", "Ask its trustee, and use another part. If it was exchanged, tell the auditor."},
	"share_few":           {"There are too few parts of the recovery key.", "Ask another trustee."},
	"shares_differ":       {"These parts do not give the vault's recovery key, though each is in its form. At least one of them was made up.", "Add one more part, or --record: either tells which."},
	"shares_many":         {"These parts do not give the vault's recovery key, and there are too many to find out which of them do.", "Add --record: it tells which are wrong."},
	"recovery_record":     {"This is no record of a ceremony.", "It is the file recovery.json that strongroom ceremony wrote. It can be left out."},
	"other_recovery_key":  {"This is not the recovery key of the vault, or of this case.", "Compare its number with the one in strongroom vault policy."},
	"label_key_lost":      {"The titles of this case were sealed before the recovery key changed, so it does not open them. The evidence itself opens.", ""},
	"recovery_not_needed": {"Your keys open every item of this case.", "If other keyholders lack some, run strongroom case rewrap."},

	// Rotations.

	"rotation_file": {"This is not what strongroomd rotate plan wrote.", "Ask the operator for rotation.json."},
	"trust_older":   {"This trust file lacks what the one you trust has: a key, the end of one, or a root.", "Ask for the newest. If this is it, tell the auditor."},

	// Cards.

	"answer_lost":  {"The vault's answer did not come back, so it may have the keys of this card or not.", "Keep the card, and let who invited her run strongroom actor list. Only if it says that the invitation is not answered, destroy the card and repeat the command."},
	"card_address": {"The vault's address is too long for a card: 120 characters fit.", "Leave out --to and write the card by hand, or ask the administrator for a shorter address."},
	"card_role":    {"This invitation is not for a survivor, and only survivors have cards.", "Run strongroom enrol without --card, on the person's own computer."},
	"memory":       {"It is too large for the memory that is used with a card.", "Ask the people of the case to deposit it."},

	// Package client.

	"not_enrolled":          {"You are not enrolled in a vault yet.", "Run strongroom enrol with the code you were given."},
	"enrolled_already":      {"This folder belongs to another person of the vault.", "Another person needs another folder: add --home FOLDER."},
	"invitation":            {"There is no such invitation, or it was answered or has ended, or it was made on another device.", "Check the code. Otherwise ask for a new invitation."},
	"invitation_unanswered": {"The person has not answered the invitation yet.", "Wait until the person has run strongroom enrol."},
	"signer_key":            {"The key on this device is not the one that counts for you.", "Use the device with your present keys, or ask for new ones."},
	"keyring_outdated":      {"A keyholder or the vault has changed keys, and the case's keyring has not followed.", "Who manages the case runs strongroom case keyring to replace the old key, or with --recovery."},
	"policy_moved":          {"The vault's limits have changed since they were shown to you. Nothing was signed.", lookAgain},
	"policy_unchanged":      {"This is in force already: nothing changes.", "See strongroom vault policy."},
	"streams":               {"This stands on more records than can be proved at once.", "Tell the administrator."},
	"description":           {"The description of the file cannot be used.", "Keep names and details shorter, then try again."},
	"event":                 {"There is no such entry.", "Check the number."},

	"recovery_differs":    {"Another trustee has stated another use of the recovery key, and nobody has confirmed that one.", "Compare the items and the cause with the other trustee. --instead replaces the statement."},
	"no_recovery":         {"No trustee has stated anything that holds or waits.", "See strongroom history vault."},
	"content_differs":     {"The content is not what its depositor described.", "Keep it unchanged and tell the depositor and the auditor."},
	"sealed_file":         {"What was sealed on this computer is gone or damaged, so it cannot be sent.", "Deposit the file again. It is sealed anew."},
	"note":                {"There is no such note.", ""},
	"document":            {"This is no record, or not the one it should be.", "Put right what is said above. strongroom record new writes a blank one."},
	"document_place":      {"This record does not belong into such an item.", "Clinical records need the content clinical; how it was acquired goes with --acquisition."},
	"document_unfinished": {"The record is not complete, so it cannot be sealed.", "Fill in what is missing, or say why not. A keyholder may keep a draft with --draft."},
	"document_draft":      {"A draft can only be left by who holds a key of the case and can look at it again.", "Complete the record first."},
	"document_unread":     {"There is a record in this item, and you cannot read whether it is complete.", "A keyholder or the depositor seals it."},
	"document_kept":       {"There is a record in this item. Nothing replaces it silently.", "Run strongroom record edit, which lists what changes. Without a key add --before."},
	"document_answers":    {"The consent form says otherwise: it refuses what is answered with yes, holds for a shorter time, or another person decided.", "Ask the person again. Correct the form or the answers."},
	"readers":             {"The item is shared, or the person concerned has an own copy: what you wrote goes there, so it was not recorded.", "Write it without what they must not read, or go on with --despite."},
	"left_out":            {"The person concerned chose that shared copies do not say where a picture was taken, or with which camera. This one does.", "Make a working copy without it (strongroom item derive) and share that."},
	"view_only":           {"The share is for viewing: no package may be made of it.", "Read it with strongroom grant redeem, or ask for a share with --allow view,download."},
	"found":               {"Something was found in this item, so it was not sent.", "Make a copy without it (strongroom item derive), or go on with --despite."},
	"same_as_source":      {"The file is the original itself, so nothing was derived from it.", "Name the file that was made, or choose --form working for a copy."},

	// The vault.

	"attachments":       {"What was sent does not match what was signed.", newVersion},
	"age_header":        {"The sealed file is not in the form that the vault accepts.", newVersion},
	"upload":            {"There is no such upload.", "Deposit the file again."},
	"upload_reading":    {"The vault is still reading the upload; what was sent is kept.", "Wait some minutes, then run strongroom deposit --resume."},
	"store_busy":        {"The vault takes too many uploads at once; what was sent is kept.", "Wait some minutes, then run strongroom deposit --resume."},
	"upload_busy":       {"Another program is sending to this upload.", "Wait a moment, then run strongroom deposit --resume."},
	"upload_broken":     {"The connection stopped. What arrived is kept.", "Run strongroom deposit --resume; the rest follows."},
	"upload_offset":     {"The upload stands at another place than expected. What arrived is kept.", "Run strongroom deposit --resume."},
	"upload_incomplete": {"The file was not sent to its end.", "Run strongroom deposit --resume."},
	"upload_differs":    {"What arrived is not what was signed.", "Deposit the file again."},
	"upload_quota":      {"Too many uploads are open, or they are too large together.", "Finish those under way with strongroom deposit --resume. What nobody finishes ends after some days."},
	"upload_size":       {"The file is larger than this vault accepts.", "Ask the administrator, or deposit it in parts."},
	"release_expired":   {"The time to fetch the file has ended.", "Open it again."},
	"release_over":      {"One opening can be used for a day.", "Open it again; that is a new entry."},
	"extent":            {"How long the file is cannot be written like that; nothing was sent.", "Give --pages as a number, or --duration in whole seconds, such as 1h2m3s."},
	"items":             {"A report is about 200 items at most.", "Name fewer, and write several reports."},
	"store_unreachable": {"The vault cannot reach the storage of its files; what was confirmed is kept.", "Try again after a minute. If it stays, tell the administrator."},
	"store_full":        {"The vault has no room left.", "Tell the administrator. Then run strongroom deposit --resume."},

	"open_grant":  {"A share in this case can still be used.", "Stop it or wait until it is over, then close the case."},
	"open_review": {"An emergency opening in this case was not reviewed.", "Review it with strongroom item review, then close the case."},

	// The statement itself.

	evidence.ReasonKind:         {"This act is of a kind that is not known here.", newVersion},
	evidence.ReasonField:        {"The act says something that is not known here.", newVersion},
	evidence.ReasonCode:         {"A word is used that is not in its list.", "Check the options; --help lists the words."},
	evidence.ReasonRules:        {"The vault lives by a newer version of the rules.", newVersion},
	evidence.ReasonJSON:         {"The signed text is not readable.", newVersion},
	evidence.ReasonDetails:      {"The details do not belong to this act.", newVersion},
	evidence.ReasonIdentifier:   {"An id is not complete.", "Copy ids whole: three letters, a hyphen and 26 characters."},
	evidence.ReasonDigest:       {"A check number is missing or not complete.", newVersion},
	evidence.ReasonStream:       {"The act is about another sort of record.", "Check the id."},
	evidence.ReasonOrder:        {"A list has an entry twice, or is too long.", "Name everything once."},
	evidence.ReasonSize:         {"A number or size is out of bounds.", "Check the numbers."},
	evidence.ReasonText:         {"A text is too long or has characters it may not have.", "Shorten it."},
	evidence.ReasonCountry:      {"A country is not two capital letters.", "Write countries as NL or UA."},
	evidence.ReasonKeys:         {"The keys do not fit the role, or are not whole.", "Ask for a new invitation and make the keys again."},
	evidence.ReasonOrganization: {"The organization is missing, or given where there is none.", "Name it with --organization."},
	evidence.ReasonFieldMissing: {"Something that this act must say is missing.", "Check the options; --help lists them."},
	evidence.ReasonFieldExcess:  {"The act says something that does not belong to it.", "Leave out the option that does not fit."},
	evidence.ReasonNoteName:     {"A note's name cannot be used.", newVersion},
	evidence.ReasonNoteAudience: {"A note is addressed to people who may not read it here.", newVersion},
	evidence.ReasonNoteSize:     {"A note is too long.", "Shorten it."},
	evidence.ReasonNoteMissing:  {"This act needs a written reason.", "Add it with the option for the reason."},
	evidence.ReasonClass:        {"Kind, content and source of the item do not fit together.", "Check --class, --content and --source."},

	// The place of the act among others.

	evidence.ReasonVault:            {"This is for another vault.", "Check which folder you work in (--home)."},
	evidence.ReasonFirst:            {"This act cannot stand at this place of the history.", lookAgain},
	evidence.ReasonMissingBasis:     {"Something this act stands on was not looked at.", lookAgain},
	evidence.ReasonSuperfluousBasis: {"The act names something it does not stand on.", lookAgain},
	evidence.ReasonTimeOrder:        {"The time of signing is earlier than what it follows.", "Set this computer's clock, then repeat the command."},
	evidence.ReasonSubject:          {"The act is not about what it names.", newVersion},

	// The signer.

	evidence.ReasonSignerRole:    {"Role or organization are not those you were enrolled with.", "Check which folder you work in (--home)."},
	evidence.ReasonOtherVaultKey: {"This is not the key that began this vault.", "Tell the administrator."},
	evidence.ReasonNotMember:     {"You are not a member of this case, or no longer.", askCase},
	evidence.ReasonRight:         {"In this case you do not have the right that this needs.", askCase},
	evidence.ReasonNotKeyholder:  {"You do not hold a key of this case.", askCase},
	evidence.ReasonTwoOrgs:       {"The second person must belong to another organization.", "Ask a person of another organization."},

	// People.

	evidence.ReasonFounder:     {"Only a founder named in the trust file may enrol without an invitation.", "Run strongroom enrol with a code."},
	evidence.ReasonEnroller:    {"Staff are invited by an administrator, everybody else by a custodian.", "Ask the other one."},
	evidence.ReasonPossession:  {"The keys were not offered by their holder.", "Ask for a new invitation."},
	evidence.ReasonTrustee:     {"You are not one of this person's trusted people.", "The person names trusted people at enrolment."},
	evidence.ReasonFingerprint: {"The key number is not that of this person's keys.", "Do not confirm. Call on a number you already had and compare all six groups again."},
	evidence.ReasonOwnKey:      {"Nobody replaces or confirms the own key.", askSecond},
	evidence.ReasonSameKey:     {"The new keys are the old ones.", "Make new keys in a new folder: add --home FOLDER."},
	evidence.ReasonRevoked:     {"This person's keys were stopped for good.", "Invite the person anew."},

	// Cases.

	evidence.ReasonCase:           {"This belongs to another case.", "Check the case's id."},
	evidence.ReasonCaseClosed:     {"The case is closed.", askCase},
	evidence.ReasonCaseOpen:       {"The case is open.", ""},
	evidence.ReasonKeyholders:     {"A case needs at least two keyholders.", "Name two or more with --keyholder."},
	evidence.ReasonKeyholderRole:  {"A person in this role cannot hold a key of the case.", "Choose another person."},
	evidence.ReasonMemberRole:     {"A person in this role cannot be a member of a case.", "Choose another person. People outside receive shares."},
	evidence.ReasonKeyring:        {"Who is to hold a key is no member or holds one already; or who is to lose it holds none.", "See the case with strongroom case show."},
	evidence.ReasonStillKeyholder: {"This person still holds a key of the case.", "First run strongroom case keyring with --remove."},
	evidence.ReasonRecovery:       {"The recovery key is not the vault's.", lookAgain},
	evidence.ReasonLabelEnvelopes: {"The names in this case are not addressed to exactly its members.", lookAgain},

	// Consent.

	evidence.ReasonConsentMissing: {"This needs a consent, and none is named.", "Name it with --consent."},
	evidence.ReasonConsentExcess:  {"A consent is named where another ground is given.", "Leave out --consent, or choose consent as the ground."},
	evidence.ReasonConsentVersion: {"The consent has changed since you looked.", lookAgain},
	evidence.ReasonConsentForm:    {"The form is no consent form of this case, or was used before.", "Deposit the signed form first, with --class consent_form."},

	// Items.

	client.ReasonGround:           {"Authority, number and law must each stand on a line of its own; of a deposit without consent the ground of GDPR Art. 9, too.", "Write what is missing. Without a file you are asked."},
	evidence.ReasonAuthority:      {"The stated ground is not that of the item.", "Check --basis."},
	evidence.ReasonDocumentsOnly:  {"You document facts here and state no opinions.", "Use the form for facts: strongroom record new clinical-record-facts."},
	evidence.ReasonSource:         {"The source is no item of this case that you opened.", "Open the source first, or check its id."},
	evidence.ReasonEnvelopes:      {"The keys are not addressed to exactly the keyholders of the case.", lookAgain},
	evidence.ReasonSealed:         {"The item is sealed already.", ""},
	evidence.ReasonNotSealed:      {"The item is not sealed yet.", "Seal it first: strongroom seal."},
	evidence.ReasonRoot:           {"The exhibit goes back to another original.", lookAgain},
	evidence.ReasonObject:         {"Kind, content or exhibit number are not those of the item.", lookAgain},
	evidence.ReasonEnvelopeExists: {"This person has a key to the item already.", ""},
	evidence.ReasonEnvelopeNeeded: {"This key belongs to a keyholder, to recovery or to a share in force.", "First change the keyring or stop the share."},
	evidence.ReasonNotOpened:      {"You have not opened this item.", "Open it first."},
	evidence.ReasonResult:         {"The result contradicts what was found.", newVersion},
	evidence.ReasonHold:           {"There is no such legal duty on the item, or its id is taken.", "See them with strongroom hold list."},
	evidence.ReasonDerivative:     {"The two items are linked already.", ""},
	evidence.ReasonNotPhysical:    {"This is no physical item, so nothing can be handed over.", "Files are shared: strongroom grant propose."},
	evidence.ReasonTransit:        {"The object was handed over and has not been received yet.", "The receiver runs strongroom item receive."},
	evidence.ReasonNoTransit:      {"The object was not handed over.", "First run strongroom item hand-over."},
	evidence.ReasonEmergency:      {"There is no such emergency opening, or it was reviewed.", "See them with strongroom item emergencies."},

	// Keeping and making unreadable.

	evidence.ReasonHeld:         {"A legal duty keeps the item, so it cannot be made unreadable.", "See it with strongroom hold list. Another custodian than who placed it can lift it."},
	evidence.ReasonHolds:        {"There are as many legal duties on the item as there may be.", ""},
	evidence.ReasonSecrets:      {"There are as many secret legal duties on the item as there may be at one time.", "Place it without --secret-until, or wait until another one is secret no longer."},
	evidence.ReasonUnconfirmed:  {"Nothing is done under a secret legal duty behind which no second person stands.", "Another custodian confirms it first: strongroom hold confirm. One that is over is not named."},
	evidence.ReasonUnseen:       {"As it may be shown now, nobody would be told that the item was made unreadable.", "Let another custodian do it, or wait until the legal duty is secret no longer."},
	evidence.ReasonHoldOver:     {"The legal duty was lifted, has lapsed or has ended.", "Place a new one if the item must still be kept: strongroom hold place."},
	evidence.ReasonHoldRunning:  {"The legal duty still runs.", ""},
	evidence.ReasonNotFrozen:    {"The consent still keeps the item.", "Choose another reason with --because, or wait."},
	evidence.ReasonNotDue:       {"The item must still be kept.", "See the dates with strongroom retention due."},
	evidence.ReasonBinned:       {"The item is in the bin: it was proposed to make it unreadable.", "A custodian takes it out with strongroom shred cancel, or another one carries it out."},
	evidence.ReasonNotBinned:    {"The item is not in the bin.", "First run strongroom shred propose."},
	evidence.ReasonWaiting:      {"The waiting time is not over.", "See the date with strongroom retention due. Until then it can be taken back."},
	evidence.ReasonEnvelopeList: {"The keys to the item have changed since you looked.", lookAgain},
	evidence.ReasonStores:       {"The stores or the end of their backups are not those of the vault.", newVersion},

	// Shares.

	evidence.ReasonGrantPending:   {"The share has not been approved yet.", "Wait for the approval."},
	evidence.ReasonGrantRunning:   {"The share has not ended yet.", ""},
	evidence.ReasonTerms:          {"The terms are not those that were proposed.", lookAgain},
	evidence.ReasonLegalBasis:     {"The legal ground does not fit the item's.", "Check --legal-basis."},
	evidence.ReasonRecipient:      {"The recipient is not the person and key that the share names.", "Use the keys that the share was made for, or ask for a new share."},
	evidence.ReasonRecipientClass: {"A person in this role cannot receive a share.", "Shares go to court, prosecutor, police or defence."},
	evidence.ReasonNotYet:         {"The share has not begun, or its waiting time runs.", "Wait until it begins."},
	evidence.ReasonAction:         {"The share does not allow this.", "Ask for a share that does."},
	evidence.ReasonAskFirst:       {"The person concerned is asked before each share and has not agreed.", "Wait for the answer."},
	evidence.ReasonNotRedeemed:    {"The share has not been opened yet.", "First run strongroom grant redeem."},
	evidence.ReasonAcknowledged:   {"The receipt was confirmed already.", ""},
	evidence.ReasonEqual:          {"It says equal, but the files differ.", "Keep the copy and tell the sender."},

	// The vault's own rules.

	evidence.ReasonNotRecovered: {"Two trustees have not stated that the recovery key opens this item.", "Two of them run strongroom vault recovered, each naming the same items and cause."},
	evidence.ReasonPolicy:       {"The vault's rules do not allow this change here.", "Ask the administrator."},
	evidence.ReasonProposal:     {"There is no such change to confirm.", lookAgain},
	evidence.ReasonCovers:       {"The vault's own publication does not add up.", "Tell the administrator and the auditor."},
}

// kindWords are for reasons that no table knows.
var kindWords = map[evidence.ErrorKind]sentence{
	evidence.Invalid:         {"This cannot be accepted: it breaks a rule that waiting will not lift.", "Correct what the reason names."},
	evidence.Unauthenticated: {"You are not signed in.", "Repeat the command."},
	evidence.Forbidden:       {"The rules do not let you do this.", "Ask a person who may."},
	evidence.NotFound:        {"It does not exist, or it is not for you to see.", "Check the id."},
	evidence.Conflict:        {"Something has changed in the meantime.", lookAgain},
	evidence.Gone:            {"This is over: it has ended, was stopped, or was made unreadable for good.", "Ask for a new permission if it is still needed."},
	evidence.Held:            {"A stop or a legal duty stands in the way.", "See the item's history."},
	evidence.Pending:         {"It is not ready yet.", "Wait a moment, then repeat the command."},
	evidence.TooLarge:        {"It is larger than what is accepted.", "Send less, or in parts."},
	evidence.TooMany:         {"The limit for one person is reached.", "Finish what is open, or wait, then repeat the command."},
	evidence.Unknown:         {"This belongs to another version of the rules.", newVersion},
	evidence.Internal:        {"The vault could not do this; it is noted there.", "Repeat it later. If it stays, tell the administrator."},
}

// lies says what each alarm is about.
var lies = map[client.Lie]string{
	client.WrongVault:     "it is from another vault than your trust file names",
	client.OtherTrust:     "its trust file has another number than your card",
	client.WrongLogKey:    "the record book is signed with a key that your trust file does not name",
	client.UndecidedTrust: "its trust file names keys or witnesses that no two people of the vault decided",
	client.Forked:         "there are two histories that exclude each other",
	client.RolledBack:     "the record book is shorter than it was",
	client.NotIncluded:    "an entry is not in the record book as its proof says",
	client.OtherReceipt:   "the proof of entry is for something else than you signed",
	client.Unwitnessed:    "the independent witnesses that the trust file names did not confirm it",
	client.WrongWitness:   "what it calls a witness's signature is none",
	client.StaleHead:      "a history ends before what this device has seen of it",
	client.MissingEvent:   "a step was left out",
	client.HiddenStream:   "a history that others stand on is said not to exist",
	client.OtherStream:    "the steps are those of another history",
	client.OtherRelease:   "what it released is for another opening than you signed",
	client.Omitted:        "a list left out an item or a person that the record book has entries of",
	client.BrokenChain:    "the steps of a history do not follow each other",
	client.FalseLength:    "the proof that nothing is missing does not hold",
	client.ForeignKey:     "a step was signed with a key that was not its signer's",
	client.Unlawful:       "a step was accepted that the rules forbid",
	client.OtherEnvelope:  "the key you were sent is not the one that was signed for you",
	client.OtherBytes:     "the file is not the one that was deposited",
	client.OtherText:      "a description, name or note is not the one that was signed",
	client.FalseOffset:    "it counts other parts of a file than were sent",
	client.OtherOffer:     "the invitation or its answer is not what was agreed",
	client.Malformed:      "it is not in the agreed form",
}
