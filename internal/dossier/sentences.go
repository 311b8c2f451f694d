package dossier

import (
	"slices"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

// sentence says what a finding means, to people who never saw one (INTERFACE §6). Rules without a sentence of their own are named by their
// code.
func sentence(f Finding) telling {
	if id := "reason." + f.Reason; English.has(id) {
		return tell(id)
	}
	return tell("reason.unknown", "code", printable(f.Reason))
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
	case *evidence.ItemExportedDetails:
		if form := id + "." + d.Form; English.has(form) {
			return tell(form)
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
	for i, c := range r.Checks {
		if c.Result == NotRequired || c.Result == NotChecked {
			r.hides = append(r.hides, r.details[i])
		}
	}
	r.aloud = v.aloud()
	r.hides = append(r.hides, r.aloud...)
	r.hides = append(r.hides, v.clocks()...)
	if v.pkg != nil {
		others := v.unread()
		for i, name := range others {
			if i == maxNamed {
				r.hides = append(r.hides, tell("unseen.others", "n", len(others)-maxNamed, "folder", "log"))
				break
			}
			r.hides = append(r.hides, tell("unseen.file", "file", name))
		}
		r.hides = append(r.hides, v.forOthers()...)
	}
	r.hides = append(r.hides, v.incidents()...)
	for _, limit := range limits {
		if limit != manyHistories || !v.oneHistory {
			r.hides = append(r.hides, limit)
		}
	}
	if r.Verdict == Verified {
		r.shows = v.shown(r.Items)
	}
}

// shown is what a verified package shows.
func (v *verification) shown(items []ItemReport) (list []telling) {
	if v.earlier != nil {
		list = append(list, tell("shows.extends", "before", v.earlier.Size, "now", v.history.published.Size))
	}
	for _, n := range items {
		say := func(id string, pairs ...any) { list = append(list, tell(id, append(pairs, "item", n.name())...)) }
		say("shows.recorded", "time", n.Deposited)
		say("shows.whole", "steps", n.Steps)
		switch {
		case n.Opened && n.Class == evidence.DescriptionOnly:
			say("shows.alone")
		case n.Opened:
			say("shows.opened")
		}
		if n.Share != nil {
			say("shows.ground")
			say("shows.of", "said", n.standing())
		}
		for _, c := range n.Consent {
			if c.over(n.AsOf) {
				say("shows.of", "said", c.standing(n.AsOf))
			}
		}
	}
	return append(list, tell("shows.order"))
}

// aloud is what is said in the first lines, beside what was not required.
func (v *verification) aloud() []telling {
	if v.history == nil || !v.history.opened.stamps.development.Load() {
		return nil
	}
	return []telling{tell("unseen.development")}
}

// clocks is what the times leave open.
func (v *verification) clocks() (list []telling) {
	if v.history == nil {
		return nil
	}
	if v.history.backwards > 2*evidence.Clock { // which two honest clocks can differ by
		list = append(list, tell("unseen.backwards", "duration", v.history.backwards.Round(time.Second)))
	}
	if v.history.waited > 0 {
		list = append(list, tell("unseen.waited", "duration", v.history.waited.Round(time.Second)))
	}
	if v.history.opened.stamps.unlisted.Load() {
		list = append(list, tell("unseen.unlisted"))
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
func (v *verification) incidents() (list []telling) {
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
				list = append(list, tell("unseen.incident").with(incident(d)))
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
func (v *verification) forOthers() (list []telling) {
	for _, name := range []string{"README.html", "VERIFY.html", "tools/verify.py"} {
		if v.pkg.Has(name) {
			list = append(list, tell("unseen.page", "file", name))
		}
	}
	if v.Trust == nil {
		return list
	}
	for name, want := range map[string][]byte{"trust/trusted_root.json": v.Trust.TrustedRoot(), "trust/witness_policy": []byte(v.Trust.WitnessPolicy())} {
		if f, ok := v.pkg.listed(name); ok && f.SHA256 != evidence.SHA256(want) {
			list = append(list, tell("unseen.trust", "file", name))
		}
	}
	slices.Sort(list)
	return list
}

// standing says whether a share was still in force when the package was made.
func (n ItemReport) standing() telling {
	switch n.Share.Status {
	case evidence.GrantActive:
		if slices.ContainsFunc(n.Consent, func(c ConsentReport) bool { return c.over(n.AsOf) }) {
			return tell("share.groundless")
		}
		return tell("share.active", "time", n.AsOf)
	case evidence.GrantPending:
		return tell("share.pending")
	case evidence.GrantDenied:
		return tell("share.denied")
	case evidence.GrantEnded:
		return tell("share.ended")
	case evidence.GrantOver:
		return tell("share.over")
	}
	return tell("share.unknown")
}

func (c ConsentReport) over(at evidence.Time) bool {
	return c.Version != 0 && (c.Withdrawn != 0 || c.Until <= at)
}

// standing says the same of a consent.
func (c ConsentReport) standing(at evidence.Time) telling {
	switch {
	case c.Version == 0:
		return tell("consent.unknown", "consent", c.ID)
	case c.Withdrawn != 0:
		return tell("consent.withdrawn", "consent", c.ID, "time", c.Withdrawn)
	case c.over(at):
		return tell("consent.ended", "consent", c.ID, "time", c.Until)
	}
	return tell("consent.in_force", "consent", c.ID, "time", at)
}

func (n ItemReport) name() telling { return itemName(n.ID, n.Exhibit) }

func itemName(id evidence.ItemID, exhibit int64) telling {
	if exhibit > 0 {
		return tell("custody.exhibit", "number", exhibit)
	}
	return tell("item.named", "item", id)
}

func moment(t evidence.Time) string { return English.moment(t) }
