package evidence

import (
	"cmp"
	"slices"
)

// factsForm is the schema of a clinical record without opinions (RULES §5).
const factsForm = "clinical-record-facts/1"

// withoutOpinions are the schemas that leave no room for what their writer concludes.
var withoutOpinions = []string{factsForm, "acquisition/1", "consent-form/1", "identity/1"}

func (a *act) form() string {
	if a.Object == nil {
		return ""
	}
	return a.Object.Form
}

// opinions: who documents only says so in the form of what is written about a person's health, and uses no form that asks for opinions
// (RULES §5).
func (a *act) opinions() error {
	form := a.form()
	allowed := form == factsForm
	if a.item.Content != Clinical {
		allowed = form == "" || slices.Contains(withoutOpinions, form)
	}
	if a.signer.DocumentsOnly && !allowed {
		return Refuse(Forbidden, ReasonDocumentsOnly)
	}
	return nil
}

// fromSource: what is made from an item stays in its case, inherits its basis and consents, and is made by who had it open, while it is
// kept: nothing shredded comes back under another name. It is so for everybody, whatever they may not be shown of the source yet.
func (a *act) fromSource(s *ItemState) error {
	source, err := lookup[*ItemState](a.facts, ItemOf(s.Source))
	if err != nil {
		return err
	}
	for _, seen := range source.everybodys() {
		if err := a.fromSeen(s, seen); err != nil {
			return err
		}
	}
	return nil
}

func (a *act) fromSeen(s, source *ItemState) error {
	inherited := source.Basis == s.Basis && !slices.ContainsFunc(source.Consent, func(c ConsentID) bool { return !slices.Contains(s.Consent, c) })
	had := source.Depositor == a.Actor.ID || slices.Contains(source.OpenedBy, a.Actor.ID)
	switch {
	case source.Case != s.Case || !inherited || !had:
		return Refuse(Forbidden, ReasonSource)
	case source.Shredded != 0:
		return Refuse(Gone, ReasonShredded)
	case source.Bin != nil:
		return Refuse(Held, ReasonBinned)
	}
	return nil
}

// itemDerived: by a keyholder who opened the item, the link to what was made from it and deposited as such.
func itemDerived(a *act) (State, error) {
	d := a.Details.(*ItemDerivedDetails)
	if err := a.keyholder(MayDeposit); err != nil {
		return nil, err
	}
	made, err := lookup[*ItemState](a.facts, ItemOf(d.Item))
	switch {
	case err != nil:
		return nil, err
	case !a.opened():
		return nil, Refuse(Forbidden, ReasonNotOpened)
	case made.Source != a.item.ID || made.Class != d.Form || made.Case != a.item.Case:
		return nil, Refuse(Invalid, ReasonSource)
	case slices.Contains(a.item.Derivatives, d.Item):
		return nil, Refuse(Conflict, ReasonDerivative)
	}
	s := *a.item
	s.Last, s.Derivatives = a.tip, with(s.Derivatives, d.Item, cmp.Compare[ItemID])
	return &s, nil
}

// itemAmended: by who deposited it or a custodian of the case, a new version of the description. The evidence is never replaced, and the
// earlier description stays.
func itemAmended(a *act) (State, error) {
	if err := a.member(""); err != nil {
		return nil, err
	}
	if a.Actor.ID != a.item.Depositor && a.Actor.Role != a.manager() {
		return nil, Refuse(Forbidden, ReasonRole)
	}
	if err := a.opinions(); err != nil {
		return nil, err
	}
	s := *a.item
	s.Last, s.Description = a.tip, a.Details.(*ItemAmendedDetails).Description
	return &s, nil
}
