package evidence

// Every reason that an Error of this package can carry, with what it says in plain English. The interface, the verifier and the
// documentation show these codes, so one that has been published never changes its meaning.
const (
	// The statement itself.

	ReasonKind         = "kind"               // the kind of event is not known to this version
	ReasonField        = "field"              // a field is not known to this version
	ReasonCode         = "code"               // a code is not in its list
	ReasonRules        = "rule_version"       // the rule version is not known to this version
	ReasonJSON         = "json"               // the text is not the JSON of an event
	ReasonDetails      = "details"            // the details are not those of the kind
	ReasonIdentifier   = "identifier"         // an identifier is malformed
	ReasonDigest       = "digest"             // a digest is malformed or missing
	ReasonTime         = "time"               // a time is malformed, missing or outside the years 1970 to 9999
	ReasonStream       = "stream"             // the stream is malformed or of the wrong type for the kind
	ReasonOrder        = "order"              // a list is unsorted, repeats an entry or is too long
	ReasonSize         = "size"               // a size or count is out of bounds
	ReasonText         = "text"               // a text is too long or holds characters it may not
	ReasonCountry      = "country"            // a country or jurisdiction code is malformed
	ReasonKeys         = "keys"               // a public key, recipient or proof of possession is malformed or does not fit the role
	ReasonOrganization = "organization"       // the organization is missing, or given for an actor that has none
	ReasonFieldMissing = "field_missing"      // a field that the kind demands is missing
	ReasonFieldExcess  = "field_not_for_kind" // a field is given that the kind does not have
	ReasonNoteName     = "note_name"          // a note's name is malformed
	ReasonNoteAudience = "note_audience"      // a note is addressed to an audience that the kind does not allow
	ReasonNoteSize     = "note_size"          // a note's size is not a multiple of 512 bytes or too large
	ReasonNoteMissing  = "note_missing"       // a note that the kind demands is missing
	ReasonWindow       = "time_window"        // a period ends before it begins, or has already ended
	ReasonClass        = "class"              // class, content, source and files of an item do not fit together

	// The place of the event among others.

	ReasonVault            = "vault"             // the statement is for another vault
	ReasonPosition         = "position"          // another event took this place in the stream, or one before it is missing
	ReasonFirst            = "first_event"       // the kind may not stand at this place of a stream
	ReasonStaleBasis       = "stale_basis"       // a stream that the act stands on has moved on
	ReasonMissingBasis     = "missing_basis"     // a stream that the act stands on is not named
	ReasonSuperfluousBasis = "superfluous_basis" // a stream is named that the act does not stand on, or that does not exist
	ReasonTimeOrder        = "time_order"        // the time is earlier than that of an event it follows or stands on
	ReasonClock            = "clock"             // the time is more than two minutes from the vault's clock
	ReasonSubject          = "subject"           // the statement's subjects are not those the act is about

	// The signer.

	ReasonSignerPending   = "signer_pending"    // the signer's key has not been confirmed by a second person
	ReasonSignerSuspended = "signer_suspended"  // the signer is suspended
	ReasonSignerRevoked   = "signer_revoked"    // the signer was revoked
	ReasonSignerRole      = "signer_role"       // role or organization are not those the signer was enrolled with
	ReasonOtherVaultKey   = "other_vault_key"   // the signer was enrolled as a vault, but is not the one that began the policy
	ReasonRole            = "role"              // this role may not do this
	ReasonDelegation      = "delegation"        // nobody has delegated this to the signer, or not any more
	ReasonNotMember       = "not_member"        // the signer is not a member of the case, or no longer
	ReasonRight           = "right"             // the member lacks the right
	ReasonNotKeyholder    = "not_keyholder"     // the signer is not on the keyring of the case
	ReasonSecondPerson    = "second_person"     // the act needs another person than the one who began it
	ReasonTwoOrgs         = "two_organizations" // the second person must be of another organization

	// Actors.

	ReasonFounder       = "founder"        // only those whom the trust file names enrol themselves, each as it names them
	ReasonEnroller      = "enroller"       // staff are enrolled by an administrator, everybody else by a custodian
	ReasonPossession    = "possession"     // proof of possession and invitation are missing, or given by a founder
	ReasonTrustee       = "trustee"        // a trustee acts only for a person who named that trustee
	ReasonFingerprint   = "fingerprint"    // the fingerprint is not that of the actor's keys
	ReasonNotPending    = "not_pending"    // there is nothing to confirm or decide
	ReasonOwnKey        = "own_key"        // nobody replaces or confirms the own key
	ReasonSameKey       = "same_key"       // the new key is the old one
	ReasonRevoked       = "revoked"        // the actor was revoked for ever
	ReasonActorInactive = "actor_inactive" // an actor named in the act is not active

	// Cases.

	ReasonCase           = "case"            // the event names another case than its stream or basis belongs to
	ReasonCaseClosed     = "case_closed"     // the case is closed
	ReasonCaseOpen       = "case_open"       // the case is open
	ReasonKeyholders     = "keyholders"      // a case needs at least two keyholders
	ReasonKeyholderRole  = "keyholder_role"  // this role may not be a keyholder of the case
	ReasonMemberRole     = "member_role"     // this role may not be a member of a case
	ReasonKeyring        = "keyring"         // who is added to the keyring is not a member or already on it, or who is removed is not on it
	ReasonStillKeyholder = "still_keyholder" // a keyholder leaves the keyring before leaving the case
	ReasonNoManager      = "no_manager"      // the case would have no custodian who may manage it, the complaint no auditor
	ReasonRecovery       = "recovery"        // the recovery recipient is not the vault's
	ReasonNotRecovered   = "not_recovered"   // two trustees have not stated that the recovery key opens this item
	ReasonNoRecovery     = "no_recovery"     // nothing that trustees have stated waits or holds
	ReasonLabelEnvelopes = "label_envelopes" // the label key's envelopes are not exactly for the members and recovery

	// Consent (RULES §4).

	ReasonConsentMissing   = "consent_missing"   // no consent is named where consent is the ground
	ReasonConsentExcess    = "consent_excess"    // consents are named where they are not the ground
	ReasonConsentVersion   = "consent_version"   // the consents named are not the governing ones in their current version
	ReasonConsentWithdrawn = "consent_withdrawn" // the consent was withdrawn
	ReasonConsentExpired   = "consent_expired"   // the consent has ended, or has not begun
	ReasonConsentAnswer    = "consent_answer"    // the consent does not say yes to this
	ReasonConsentForm      = "consent_form"      // the form is not a consent form of this case, or not a new one
	ReasonNotSubject       = "not_subject"       // the signer is not the subject of this consent, nor speaks for that one
	ReasonWider            = "wider"             // a narrowing would allow what was not allowed, or takes nothing away
	ReasonAdvocate         = "advocate"          // who is named is not an advocate, or not one of this consent
	ReasonFrozen           = "frozen"            // the consent that keeps the item was withdrawn, narrowed or has ended

	// Items.

	ReasonAuthority      = "authority"       // the stated authority is not the item's basis, or does not exist
	ReasonDocumentsOnly  = "documents_only"  // this clinician documents facts and may not state opinions
	ReasonSource         = "source"          // the source is not an item of this case that the signer may work from
	ReasonEnvelopes      = "envelopes"       // the envelopes are not exactly those of the keyring and recovery
	ReasonSealed         = "sealed"          // the item is already sealed
	ReasonNotSealed      = "not_sealed"      // the item is not sealed yet
	ReasonRoot           = "root"            // the root exhibit is not the one this item goes back to
	ReasonObject         = "object"          // class, content, exhibit number or digests are not those of the item
	ReasonEnvelope       = "envelope"        // there is no such envelope for this key
	ReasonEnvelopeExists = "envelope_exists" // this key already has an envelope
	ReasonEnvelopeNeeded = "envelope_needed" // the envelope belongs to the keyring, to recovery or to a grant in force
	ReasonNotOpened      = "not_opened"      // the signer has not opened or redeemed the item
	ReasonDamaged        = "damaged"         // the stored file was found to differ; it is not served
	ReasonResult         = "result"          // the result contradicts the digest found
	ReasonHold           = "hold"            // there is no such hold, or its id is taken
	ReasonHolds          = "holds"           // there are as many holds on the item as there may be
	ReasonSecrets        = "secrets"         // there are as many secret holds on the item as there may be
	ReasonUnconfirmed    = "unconfirmed"     // nobody else stands behind the secret hold that the act names
	ReasonPurpose        = "purpose"         // the purpose is not one for which this may be done
	ReasonDerivative     = "derivative"      // this derivative is linked already
	ReasonNotPhysical    = "not_physical"    // the item is not a physical one
	ReasonTransit        = "in_transit"      // the item was handed over and has not been received yet
	ReasonNoTransit      = "not_in_transit"  // the item was not handed over
	ReasonEmergency      = "emergency"       // there is no such emergency opening

	// Keeping and shredding (RULES §8).

	ReasonHeld         = "held"          // a hold says that the item must be kept
	ReasonHoldOver     = "hold_over"     // the hold was lifted, has lapsed or expired
	ReasonHoldRunning  = "hold_running"  // the hold has neither lapsed nor expired
	ReasonNotFrozen    = "not_frozen"    // the consents still keep the item
	ReasonNotDue       = "not_due"       // the item must still be kept
	ReasonBinned       = "binned"        // the item is in the bin
	ReasonNotBinned    = "not_binned"    // the item is not in the bin
	ReasonWaiting      = "waiting"       // the wait between proposal and shredding is not over
	ReasonEnvelopeList = "envelope_list" // the envelopes named are not exactly those that exist
	ReasonStores       = "stores"        // the stores or the horizon of their backups are not those of the vault
	ReasonShredded     = "shredded"      // the item was shredded: nobody can open it any more
	ReasonUnseen       = "unseen"        // those from whom a hold is still secret could not be told of the shredding

	// Grants (RULES §7).

	ReasonGrant          = "grant"            // there is no such grant, or its id is taken
	ReasonGrantOver      = "grant_over"       // the grant was refused, revoked or has expired
	ReasonGrantPending   = "grant_pending"    // the grant has not been approved yet
	ReasonGrantRunning   = "grant_running"    // the grant has not expired yet
	ReasonTerms          = "terms"            // the terms are not those that were proposed
	ReasonLegalBasis     = "legal_basis"      // the legal basis does not fit the item's
	ReasonRecipient      = "recipient"        // the recipient is not the one the grant names, with that role and key
	ReasonRecipientClass = "recipient_class"  // this role cannot receive a grant
	ReasonNotYet         = "not_yet"          // the grant has not begun, or its cooling-off has not ended
	ReasonAction         = "action"           // the grant does not allow this action
	ReasonApproved       = "already_approved" // this was already approved or confirmed
	ReasonAskFirst       = "ask_first"        // the subject is asked before each share and has not agreed
	ReasonNotRedeemed    = "not_redeemed"     // the grant has not been redeemed
	ReasonAcknowledged   = "acknowledged"     // the receipt was already acknowledged
	ReasonEqual          = "equal"            // "equal" is stated over a digest that differs

	// The vault.

	ReasonPolicy   = "policy"   // the vault has no policy, or the configuration names what may not change here
	ReasonProposal = "proposal" // there is no such configuration to confirm
	ReasonRestored = "restored" // the vault was restored from a backup and waits for a custodian's confirmation
	ReasonCovers   = "covers"   // the publication does not grow, or its numbers do not add up
)
