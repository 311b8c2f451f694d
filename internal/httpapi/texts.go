package httpapi

import (
	"cmp"

	"strongroom.example/strongroom/internal/evidence"
)

// text is what a person reads: what happened, what was not lost, what to do.
type text struct{ title, detail, kept, next string }

// with returns t with what more precise says instead.
func (t text) with(precise text) text {
	return text{
		cmp.Or(precise.title, t.title), cmp.Or(precise.detail, t.detail), cmp.Or(precise.kept, t.kept), cmp.Or(precise.next, t.next),
	}
}

const (
	keptAll     = "Nothing was changed. What was stored before, finished and unfinished uploads included, is as it was."
	keptRequest = "Nothing was changed by this request."
)

var kindTexts = map[evidence.ErrorKind]text{
	evidence.Invalid: {
		"This cannot be accepted", "What was sent is malformed or breaks a rule that waiting will not lift.", keptAll,
		"Correct what the reason names and send it again.",
	},
	evidence.Unauthenticated: {
		"Not signed in", "There is no valid sign-in for this request.", "Uploads under way stay where they are.", "Sign in again, then repeat the request.",
	},
	evidence.Forbidden: {
		"Not permitted", "The rules do not let this person do this.", keptAll, "Ask a person who may, or ask a custodian of the case for the right.",
	},
	evidence.NotFound: {
		"Not found", "It does not exist, or it is not for you to see.", keptRequest, "Check the address. If somebody shared it with you, ask them whether it still holds.",
	},
	evidence.Conflict: {
		"Something changed in the meantime", "The request was made on a state that is no longer the present one.", keptAll,
		"Look at the present state, then decide and sign again.",
	},
	evidence.Gone: {
		"This is over", "It has expired, was withdrawn or was destroyed.", "The history of what was done stays complete.", "Ask for a new permission if one is still needed.",
	},
	evidence.Held: {
		"This is blocked", "A freeze or a hold stands in the way.", keptAll, "See in the item's history who placed it, on what ground, and until when.",
	},
	evidence.Pending: {
		"Not ready yet", "The transparency log has not answered yet.", "What was accepted is stored and will not be lost.", "Wait a moment and ask again.",
	},
	evidence.TooLarge: {
		"Too large", "What was sent is larger than what is accepted.", keptAll, "Send less, or in parts.",
	},
	evidence.TooMany: {
		"Too much at once", "The limit for one person is reached.", keptAll, "Finish or give up what is open, or wait, then try again.",
	},
	evidence.Unknown: {
		"A newer version is needed", "What was sent belongs to a version of the rules that this vault does not know.", keptAll, "Ask the administrator to upgrade the vault.",
	},
	evidence.Internal: {
		"The vault could not do this", "Something is wrong on the vault's side. It is in the vault's own log.", "What was confirmed before stays confirmed.",
		"Try again later. If it stays, give the administrator the request number from the answer's header.",
	},
}

// reasonTexts are the reasons people meet most. Every other reason is told by its kind.
var reasonTexts = map[string]text{
	reasonContract:    {title: "The request is not well formed", detail: "It departs from the published interface; the places are listed."},
	reasonContentType: {title: "Unexpected type of content", detail: "The body is not of the type that this address accepts."},
	reasonBodySize:    {title: "Too large", detail: "The body is larger than this address accepts.", next: "Send less. Evidence goes up as an upload."},
	reasonMethod:      {title: "Not possible here", detail: "This address does not know this method.", next: "See the published interface."},
	reasonCrossOrigin: {title: "Refused", detail: "The request came from a page of another site.", next: "Open the vault's own page and try there."},
	reasonRange:       {title: "Outside the file", detail: "The range lies outside the file.", next: "Ask for a range inside the length that the answer's header states."},

	reasonOften: {title: "Too often", detail: "More requests came in a short time than one person, or one place, may send.", kept: keptRequest,
		next: "Wait as long as the answer's header says, then send the request again."},

	"sign_in": {title: "Sign-in failed", detail: "The sign-in was not accepted.", kept: keptRequest,
		next: "Check that this device's key is the current one and its clock is right, then ask for a new challenge."},
	"upload_offset": {title: "The upload is at another place", detail: "The part does not begin where the upload ends.",
		kept: "Every byte that was confirmed is stored.", next: "Ask where the upload ends and go on from there."},
	"upload_busy": {title: "The upload is in use", detail: "Another request is writing to this upload.",
		kept: "Every byte that was confirmed is stored.", next: "Wait a moment, ask where the upload ends and go on from there."},
	"upload_broken": {title: "The connection broke", detail: "The part ended early.",
		kept: "Every byte that arrived and was made durable is stored.", next: "Ask where the upload ends and go on from there."},
	"upload_reading": {title: "The upload is still being read", detail: "Before it is evidence, the vault reads a large upload from its beginning to its end.",
		kept: "The upload is complete, and the reading goes on by itself.", next: "Send the event again after a moment; once it is older than two minutes, take the vault's time and sign again."},
	"store_busy": {title: "Too many uploads at once", detail: "There is no room for another part at this moment.",
		kept: "Every byte that was confirmed is stored.", next: "Wait a moment, ask where the upload ends and go on from there."},
	"store_unreachable": {title: "The storage does not answer", detail: "The vault cannot reach the storage of its files at this moment.",
		kept: "What was confirmed is stored, and nothing was opened that is not in the log.", next: "Try again after a minute. If it stays, tell the administrator."},
	"upload_quota":      {detail: "Too many uploads are open, or they are too large together."},
	"upload_metadata":   {detail: "An upload carries no names: they belong into the sealed description.", next: "Send the upload without metadata."},
	"upload_incomplete": {detail: "The evidence has not been uploaded completely.", next: "Finish the upload, then send the event again."},
	"upload_differs":    {detail: "The uploaded bytes are not those that the event names.", next: "Upload the file again."},

	evidence.ReasonSecondPerson:     {detail: "This needs another person than the one who began it.", next: "Ask a second person to do it."},
	evidence.ReasonTwoOrgs:          {detail: "The second person must belong to another organization.", next: "Ask a person of another organization."},
	evidence.ReasonRole:             {detail: "People in this role cannot do this."},
	evidence.ReasonRight:            {detail: "In this case you do not have the right that this needs.", next: "Ask a custodian of the case for the right."},
	evidence.ReasonNotMember:        {detail: "You are not a member of this case, or no longer."},
	evidence.ReasonNotKeyholder:     {detail: "You do not hold a key of this case."},
	evidence.ReasonPosition:         {detail: "Another event took this place in the history.", next: "Load the history, look at what happened, and sign again."},
	evidence.ReasonStaleBasis:       {detail: "Something this act stands on has changed since you looked.", next: "Look again, then decide and sign again."},
	evidence.ReasonClock:            {detail: "The signing time is more than two minutes from the vault's clock.", next: "Take the vault's time and sign again."},
	evidence.ReasonConsentAnswer:    {detail: "The consent does not permit this.", next: "Nothing else permits it: ask the person concerned, or stop here."},
	evidence.ReasonConsentWithdrawn: {detail: "The consent was withdrawn.", next: "Decide with a second custodian: destroy the item, or state the legal duty to hold it."},
	evidence.ReasonConsentExpired:   {detail: "The consent has ended or has not begun.", next: "Ask the person concerned, or stop here."},
	evidence.ReasonFrozen:           {detail: "The consent that keeps this item was withdrawn, narrowed or has ended.", next: "Decide with a second custodian: destroy the item, or state the legal duty to hold it."},
	evidence.ReasonHeld:             {detail: "A hold says that this item must be kept.", next: "See in its history who placed the hold, on what ground and until when."},
	evidence.ReasonHolds:            {detail: "There are as many holds on this item as there may be."},
	evidence.ReasonSecrets:          {detail: "There are as many secret holds on this item as there may be at one time.", next: "Place the hold without secrecy, or wait until another one is secret no longer."},
	evidence.ReasonUnconfirmed:      {detail: "Nothing is done under a secret hold behind which no second person stands.", next: "Another custodian confirms it first; what is over is not named."},
	evidence.ReasonUnseen:           {detail: "As it may be shown, nobody would be told that the item was shredded.", next: "Let another custodian shred it, or wait until the hold is secret no longer."},
	"withheld":                      {detail: "The vault may not say now why this cannot be done."},
	evidence.ReasonBinned:           {detail: "The item is in the bin: it waits to be shredded.", next: "A custodian can cancel that."},
	evidence.ReasonWaiting:          {detail: "The wait between proposal and shredding is not over.", next: "Wait until the date in the item's history."},
	evidence.ReasonShredded:         {detail: "The item was shredded. Nobody can open it any more.", kept: "Its history, receipts and proofs are intact."},
	evidence.ReasonNotDue:           {detail: "The item must still be kept.", next: "See the due date in the item's history."},
	evidence.ReasonWider:            {detail: "A narrowing takes something away and adds nothing.", next: "To allow more, give a new version with a new form."},
	evidence.ReasonNotSubject:       {detail: "This is for the person concerned, or for who speaks for her."},
	"not_final": {title: "Not confirmed yet", detail: "It is in the log, but not all of those who watch over the log from outside have confirmed that yet.",
		kept: "What was accepted is stored, logged and proved; nothing of it will be lost.", next: "Wait: the vault asks them again by itself. If it takes longer than a few minutes, tell the administrator."},
	"cosignature":               {detail: "No line is a cosignature of this checkpoint by a key of the vault's witness policy."},
	"cosignature_time":          {detail: "The cosignature's time is before the checkpoint's, or ahead of the vault's clock.", next: "Correct the clock, then cosign the newest published checkpoint."},
	"form_taken":                {detail: "Another consent stands on this form already.", next: "Take and deposit a form of its own."},
	"identity_case":             {detail: "Who a person is and other items are not kept in one case: all its keyholders would learn both.", next: "Open a case of its own for the identity, with those keyholders alone who may know."},
	"open_grant":                {detail: "A share in this case can still be used.", next: "End it or wait until it is over, then close the case."},
	"open_review":               {detail: "An emergency opening in this case was not reviewed.", next: "Review it, then close the case."},
	evidence.ReasonDamaged:      {detail: "The stored file was found to differ. It is not served.", next: "The item's history, receipts and envelopes are intact. Tell the administrator: the file is put back from a backup, then scrubbed."},
	evidence.ReasonRestored:     {detail: "The vault was restored from a backup and waits for a custodian's confirmation. It lets read, withdraw and end, and nothing else.", next: "Ask a custodian to confirm the restore: strongroom vault confirm."},
	evidence.ReasonGrantOver:    {detail: "The grant was refused, revoked or has expired.", next: "Ask for a new grant."},
	evidence.ReasonGrantPending: {detail: "The grant has not been approved yet.", next: "Wait for the approval."},
	evidence.ReasonNotYet:       {detail: "The grant has not begun, or its cooling-off has not ended.", next: "Wait until it begins."},
	"release_expired":           {detail: "The right to fetch lasts a quarter of an hour and has ended.", next: "Renew it on the same access event."},
	"log_size":                  {detail: "The log, or what its newest publication covers, is not that long.", next: "Ask for the newest checkpoint first, and for no entry beyond it."},
	"release_over":              {detail: "An access event can be used for a day.", next: "Sign a new access event."},
}
