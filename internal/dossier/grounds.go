package dossier

import "strongroom.example/strongroom/internal/evidence"

// grounds says why the law let an event release something: on what legal ground, decided by whom, until when. It is asked after the law
// was, with the same facts; f holds the item as it was before e. "" for events that release nothing.
func grounds(e *evidence.Event, f evidence.Facts) telling {
	item, ok := f.States[e.Stream.Stream()].(*evidence.ItemState)
	if !ok {
		return ""
	}
	switch d := e.Details.(type) {
	case *evidence.ItemOpenedDetails:
		who := tell("ground.keyholder")
		if e.Actor.Role == evidence.Survivor {
			who = tell("ground.own")
		}
		return allowed.with(who).with(kept(item, e, f)...)
	case *evidence.ItemBreakGlassDetails:
		return tell("why.emergency").with(tell("ground.duty", "code", code("emergency."+d.Code))).with(kept(item, e, f)...).with(tell("ground.review"))
	case *evidence.GrantRedeemedDetails:
		return shared(item, d.Grant, e, f)
	case *evidence.ItemExportedDetails:
		if d.Grant != "" {
			return shared(item, d.Grant, e, f)
		}
		return allowed.with(tell("ground.opened")).with(kept(item, e, f)...)
	}
	return ""
}

const allowed telling = "why.allowed"

// shared names the two persons, the period and the consent behind a share.
func shared(item *evidence.ItemState, id evidence.GrantID, e *evidence.Event, f evidence.Facts) telling {
	g := item.Grant(id)
	if g == nil {
		return ""
	}
	t := &g.Terms
	why := allowed.with(tell("ground.persons", "proposer", g.ProposedBy, "approver", g.Custodian),
		tell("ground.terms", "purpose", t.Purpose, "from", onDay(t.NotBefore), "until", onDay(t.Expires)))
	for _, consent := range item.Consent {
		if c, ok := f.States[evidence.ConsentOf(consent)].(*evidence.ConsentState); ok {
			why = why.with(tell("ground.answer", "consent", c.ID, "version", c.Version, "content", item.Content,
				"class", t.RecipientClass, "country", country(t.Jurisdiction)))
		}
	}
	return why.with(kept(item, e, f)...)
}

// kept says on what ground the item could still be used at the time of e.
func kept(item *evidence.ItemState, e *evidence.Event, f evidence.Facts) (list []telling) {
	if len(item.Consent) == 0 {
		if item.Basis == evidence.ByConsent {
			return append(list, tell("ground.form"))
		}
		return append(list, tell("ground.basis", "basis", item.Basis))
	}
	if item.Frozen(f, e.Time) == nil {
		for _, id := range item.Consent {
			if c, ok := f.States[evidence.ConsentOf(id)].(*evidence.ConsentState); ok {
				list = append(list, tell("ground.in_force", "consent", id, "version", c.Version, "until", onDay(c.Until)))
			}
		}
		return list
	}
	if e.Actor.Role == evidence.Survivor {
		return append(list, tell("ground.hers"))
	}
	return append(list, tell("ground.hold"))
}
