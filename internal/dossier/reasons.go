package dossier

// Reasons of this package. Besides these, findings of the checks signatures, time and rules carry the reasons of package evidence. A
// reason that has been published never changes its meaning; what it says in plain words stands in the catalogues (assets).
const (
	// package

	ReasonContainer       = "container"
	ReasonManifestMissing = "manifest_missing"
	ReasonManifest        = "manifest"
	ReasonVersion         = "version"
	ReasonFileName        = "file_name"
	ReasonFileMissing     = "file_missing"
	ReasonFileUnlisted    = "file_unlisted"
	ReasonFileSize        = "file_size"
	ReasonFileChanged     = "file_changed"
	ReasonItems           = "items"
	ReasonComplete        = "complete_form"
	ReasonWithheldForm    = "withheld_form"
	ReasonReceipt         = "receipt"
	ReasonTooMuch         = "too_much"
	ReasonTooMany         = "too_many"
	ReasonStreamTwice     = "stream_twice"
	ReasonUnreadable      = "unreadable"
	ReasonOtherVault      = "other_vault"
	ReasonCovers          = "manifest_covers"
	ReasonSignerFile      = "signer_file"
	ReasonConsistencyForm = "consistency_form"

	// signatures

	ReasonStatement     = "statement"
	ReasonPayload       = "payload"
	ReasonSignature     = "signature"
	ReasonSignerKey     = "signer_key"
	ReasonSignerUnknown = "signer_unknown"
	ReasonKeyTwice      = "key_twice"

	// inclusion

	ReasonIndex           = "index"
	ReasonIndexTwice      = "index_twice"
	ReasonOtherCheckpoint = "other_checkpoint"
	ReasonLeaf            = "leaf"
	ReasonProof           = "proof"

	// checkpoint

	ReasonLogKey            = "log_key"
	ReasonLogKeyRetired     = "log_key_retired"
	ReasonLogOrigin         = "log_origin"
	ReasonLogSignature      = "log_signature"
	ReasonLogFork           = "log_fork"
	ReasonCheckpointMissing = "checkpoint_missing"
	ReasonCheckpointFile    = "checkpoint_file"

	ReasonConsistency      = "consistency"
	ReasonPreviousUnproven = "previous_unproven"
	ReasonPreviousUnusable = "previous_unusable"

	// witnesses, audit

	ReasonWitnessMissing   = "witness_missing"
	ReasonWitnessSignature = "witness_signature"
	ReasonAuditMissing     = "audit_missing"

	// time

	ReasonTimestamp        = "timestamp"
	ReasonTimestampMissing = "timestamp_missing"
	ReasonTimestampRevoked = "timestamp_revoked"
	ReasonTimeBounds       = "time_bounds"
	ReasonClocks           = "clocks_contradict"

	// chain

	ReasonForeignStream = "foreign_stream"
	ReasonMissingFirst  = "missing_first"
	ReasonMissing       = "missing"
	ReasonSwapped       = "swapped"
	ReasonDuplicate     = "duplicate"
	ReasonFork          = "fork"
	ReasonLink          = "link"

	// complete

	ReasonStreamMissing = "stream_missing"
	ReasonBasisMissing  = "basis_missing"
	ReasonHeadsMissing  = "heads_missing"
	ReasonHeadsUnproved = "heads_unproved"
	ReasonHeadsCovers   = "heads_covers"
	ReasonHeadsVoid     = "heads_void"
	ReasonHeadsProof    = "heads_proof"
	ReasonMissingLast   = "missing_last"
	ReasonOtherLast     = "other_last"
	ReasonNotCovered    = "not_covered"

	// rules

	ReasonLogOrder     = "log_order"
	ReasonBasisFork    = "basis_fork"
	ReasonWithheld     = "withheld"
	ReasonWithheldKind = "withheld_kind"
	ReasonUnjudged     = "unjudged"

	ReasonExhibitTwice = "exhibit_twice"
	ReasonItemKeyTwice = "item_key_twice"

	// content

	ReasonItemUnknown         = "item_unknown"
	ReasonEvidenceMissing     = "evidence_missing"
	ReasonEvidenceChanged     = "evidence_changed"
	ReasonDescriptionMissing  = "description_missing"
	ReasonDescriptionChanged  = "description_changed"
	ReasonEnvelopeMissing     = "envelope_missing"
	ReasonEnvelopeChanged     = "envelope_changed"
	ReasonNoteChanged         = "note_changed"
	ReasonNotGranted          = "not_granted"
	ReasonNotExported         = "not_exported"
	ReasonExportChanged       = "export_changed"
	ReasonIdentityForeign     = "identity_foreign"
	ReasonEnvelopeForeign     = "envelope_foreign"
	ReasonEnvelopeDamaged     = "envelope_damaged"
	ReasonDescriptionUnopened = "description_unopened"
	ReasonPlaintextChanged    = "plaintext_changed"
	ReasonEvidenceUnopened    = "evidence_unopened"
	ReasonDescriptionForm     = "description_form"
	ReasonNoFileDescribed     = "no_file_described"
	ReasonNoteMissing         = "note_missing"
	ReasonExportSigner        = "export_signer"
	ReasonGroundUnstated      = "ground_unstated"

	// more than one check

	ReasonTrustMissing = "trust_missing"
	ReasonNotReached   = "not_reached"
	ReasonNoWitness    = "no_witness_required"
	ReasonNoAuthority  = "no_authority_required"
	ReasonNoAuditor    = "no_auditor_required"
	ReasonNoIdentity   = "no_identity"
)
