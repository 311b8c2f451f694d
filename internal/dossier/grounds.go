package dossier

import (
	"fmt"
	"strings"

	"strongroom.example/strongroom/internal/evidence"
)

// grounds says in plain words why the law let an event release something: on what legal ground, decided by whom, until when. It is asked
// after the law was, with the same facts; f holds the item as it was before e. "" for events that release nothing.
func grounds(e *evidence.Event, f evidence.Facts) string {
	item, ok := f.States[e.Stream.Stream()].(*evidence.ItemState)
	if !ok {
		return ""
	}
	switch d := e.Details.(type) {
	case *evidence.ItemOpenedDetails:
		who := "the signer held a key of the case and the right to open"
		if e.Actor.Role == evidence.Survivor {
			who = "it was the own copy of the person concerned"
		}
		return sentenceOf("Allowed", who, kept(item, e, f))
	case *evidence.ItemBreakGlassDetails:
		return sentenceOf("Allowed without the right to open", "the signer was on duty and stated an emergency ("+strings.ReplaceAll(d.Code, "_", " ")+")",
			kept(item, e, f), "another person has to review it")
	case *evidence.GrantRedeemedDetails:
		return shared(item, d.Grant, e, f)
	case *evidence.ItemExportedDetails:
		if d.Grant != "" {
			return shared(item, d.Grant, e, f)
		}
		return sentenceOf("Allowed", "the signer held a key of the case and had opened the item", kept(item, e, f))
	}
	return ""
}

func sentenceOf(begin string, parts ...string) string {
	return begin + ": " + strings.Join(parts, "; ") + "."
}

// shared names the two persons, the period and the consent behind a share.
func shared(item *evidence.ItemState, id evidence.GrantID, e *evidence.Event, f evidence.Facts) string {
	g := item.Grant(id)
	if g == nil {
		return ""
	}
	t := &g.Terms
	parts := []string{
		fmt.Sprintf("%s proposed the share and %s, another person, approved it", g.ProposedBy, g.Custodian),
		fmt.Sprintf("it is for exactly this key, for %s, from %s to %s", t.Purpose, date(t.NotBefore), date(t.Expires)),
	}
	answers := []string{}
	for _, consent := range item.Consent {
		if c, ok := f.States[evidence.ConsentOf(consent)].(*evidence.ConsentState); ok {
			answers = append(answers, fmt.Sprintf("consent %s, version %d, says yes to %s for a %s in %s", c.ID, c.Version, item.Content, t.RecipientClass, t.Jurisdiction))
		}
	}
	return sentenceOf("Allowed", append(append(parts, answers...), kept(item, e, f))...)
}

// kept says on what ground the item could still be used at the time of e.
func kept(item *evidence.ItemState, e *evidence.Event, f evidence.Facts) string {
	if len(item.Consent) == 0 {
		if item.Basis == evidence.ByConsent {
			return "the item is itself a consent form"
		}
		return "the item is held on another ground than consent: " + strings.ReplaceAll(string(item.Basis), "_", " ")
	}
	if item.Frozen(f, e.Time) == nil {
		versions := make([]string, 0, len(item.Consent))
		for _, id := range item.Consent {
			if c, ok := f.States[evidence.ConsentOf(id)].(*evidence.ConsentState); ok {
				versions = append(versions, fmt.Sprintf("consent %s, version %d, in force until %s, lets the item be kept", id, c.Version, date(c.Until)))
			}
		}
		return strings.Join(versions, "; ")
	}
	if e.Actor.Role == evidence.Survivor {
		return "the consent has ended, which does not take it from her"
	}
	return "the consent has ended, and a hold that two persons confirmed stands in its place"
}
